"""Does the picture of a shell show whose child it is and which namespaces are its own?"""

from __future__ import annotations

from typing import Literal

from harness.evidence import Process
from harness.report.picture import MOST, Picture, picture

HOST = {"uts": 10, "ipc": 20, "net": 30}


def process(
    pid: int, parent: int, role: Literal["host", "isolator", "shell", "other"], **namespaces: int
) -> Process:
    """A process in the host's namespaces, but for those given."""
    return Process(pid=pid, parent=parent, name=f"p{pid}", namespaces=HOST | namespaces, role=role)


def drawn(*processes: Process) -> Picture:
    """The picture of these processes, which there must be."""
    result = picture(processes)
    assert result
    return result


def test_new_and_shared_namespaces_are_marked() -> None:
    """Each namespace of the shell is compared with the host's; the host's own bear no mark."""
    host, _, shell = drawn(
        process(5, 1, "host"), process(7, 2, "isolator"), process(8, 7, "shell", uts=11)
    ).boxes

    assert [(row.kind, row.number, row.mark) for row in shell.rows] == [
        ("uts", "11", "new"),
        ("ipc", "20", "same"),
        ("net", "30", "same"),
    ]
    assert {row.mark for row in host.rows} == {""}


def test_children_stand_right_of_their_parents() -> None:
    """Host, isolator and shell are three columns, and a line leads from parent to child."""
    result = drawn(process(8, 7, "shell"), process(7, 2, "isolator"), process(5, 1, "host"))

    assert [box.role for box in sorted(result.boxes)] == ["host", "isolator", "shell"]
    assert len(result.lines) == 1


def test_boxes_never_overlap() -> None:
    """Siblings and separate trees have places of their own."""
    result = drawn(
        process(5, 1, "host"),
        process(6, 5, "other"),
        process(7, 2, "isolator"),
        process(8, 7, "shell"),
        process(9, 7, "other"),
        process(10, 3, "other"),
    )

    assert len({(box.x, box.y) for box in result.boxes}) == 6
    assert all(box.y + result.box_height <= result.height for box in result.boxes)


def test_processes_that_are_their_own_ancestors_are_drawn() -> None:
    """A tree that cannot be (PIDs were used again) is drawn, each process once."""
    result = drawn(process(7, 8, "isolator"), process(8, 7, "shell"), process(9, 9, "other"))

    assert sorted(box.name for box in result.boxes) == ["p7 (7)", "p8 (8)", "p9 (9)"]


def test_without_a_host_nothing_is_compared() -> None:
    """A mark is never guessed."""
    assert {row.mark for row in drawn(process(8, 7, "shell")).boxes[0].rows} == {""}


def test_unknown_namespace_is_called_so() -> None:
    """Where a link couldn't be read there is no number and no mark."""
    blind = Process(pid=8, parent=7, name="sh", namespaces={}, role="shell")

    rows = drawn(process(5, 1, "host"), blind).boxes[1].rows

    assert {(row.number, row.mark) for row in rows} == {("unknown", "")}


def test_crowd_is_cut_to_what_matters() -> None:
    """Of too many processes the host, the isolator and the shell are drawn before others."""
    others = [process(100 + i, 7, "other") for i in range(50)]

    result = drawn(*others, process(5, 1, "host"), process(7, 2, "isolator"), process(8, 7, "shell"))

    assert len(result.boxes) == MOST
    assert result.left_out == 53 - MOST
    assert {"host", "isolator", "shell"} <= {box.role for box in result.boxes}


def test_summary_says_the_same_in_words() -> None:
    """Who can't see the picture hears which namespaces are new."""
    summary = drawn(process(5, 1, "host"), process(8, 7, "shell", uts=11)).summary

    assert summary == "p5 (5), host. p8 (8), shell; new: uts; same: ipc, net."


def test_no_processes_no_picture() -> None:
    """A shell of which nothing was recorded has no picture."""
    assert picture([]) is None
