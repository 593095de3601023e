"""Are the mounts of a disagreement drawn as trees, side by side, with what differs marked?"""

from __future__ import annotations

import msgspec
from made_runs import in_order, record, run

from harness.evidence import Branch, Forest, Tree
from harness.notebook import Notebook
from harness.propagation.programs import parse, replay
from harness.propagation.render import of_state
from harness.propagation.state import LOST_UNBINDABLE
from harness.report import render_run
from harness.report.forest import COLOURS, DEEPEST, MOST, Line, drawn
from harness.search.kernel import Disagreement
from harness.search.trees import parted

PROGRAM = parse("make-shared /; mount t1 /a; make-unbindable /a; mount t2 /b; unshare")


def disagreement() -> Disagreement:
    """What a search would find of a kernel that loses `unbindable`."""
    kernel = replay(PROGRAM, {LOST_UNBINDABLE})
    return Disagreement(replay(PROGRAM), kernel[-1].errno, [of_state(step.state) for step in kernel])


def tree(*depths: int, side: str = "before", name: str = "ns0") -> Tree:
    """A tree whose lines are named by their numbers."""
    branches = [Branch(depth=depth, text=f"m{number}") for number, depth in enumerate(depths)]
    return Tree(name=name, side=side, branches=branches)


def lines(*depths: int) -> list[Line]:
    """The lines that are drawn of a tree."""
    ((_, (found,)),) = drawn(Forest(title="", trees=[tree(*depths)])).rows
    return [*found]


def test_line_leads_to_what_it_lies_on() -> None:
    """Each line hangs on the one it lies on; a branch goes on as far as there is more below it."""
    assert [line.lead + line.text for line in lines(0, 1, 2, 1, 2, 2)] == [
        "m0",
        "├─ m1",
        "│  └─ m2",
        "└─ m3",
        "   ├─ m4",
        "   └─ m5",
    ]


def test_tree_of_any_size_can_be_drawn() -> None:
    """What is deeper, longer or otherwise than trees are makes the page neither wide nor long without end."""
    found = lines(10**9, -3, *range(2 * MOST))

    assert len(found) == MOST
    assert max(len(line.lead) for line in found) == 3 * DEEPEST


def test_each_side_is_a_column_and_each_namespace_a_row() -> None:
    """What a side does not have leaves its place empty."""
    trees = [tree(0), tree(0, 1, side="after"), tree(0, side="after", name="ns1")]

    found = drawn(Forest(title="T", trees=trees))

    assert found.sides == ["before", "after"]
    assert [(name, [len(lines) for lines in cells]) for name, cells in found.rows] == [
        ("ns0", [1, 2]),
        ("ns1", [0, 1]),
    ]


def test_group_has_one_colour() -> None:
    """A group and its slaves have the colour of its number; what is in no group has none."""
    tags = ["shared:2", "master:2", f"shared:{COLOURS + 2}", "shared:1", "unbindable", "shared:x"]
    trees = [Tree(name="", side="", branches=[Branch(depth=0, text="", tags=tags)])]

    ((_, ((line,),)),) = drawn(Forest(title="", trees=trees)).rows

    looks = [tag.look for tag in line.tags]
    assert looks == ["shared group-1", "master group-1", "shared group-1", "shared group-0", "", ""]


def test_disagreement_is_drawn_before_and_after() -> None:
    """Before the last step both sides are as one; after it the lines are marked that only one side has."""
    found = parted(disagreement(), "6.18")

    assert found.title == "ns0: unshare: kernel 6.18: done, the model: done"
    assert [(it.name, it.side) for it in found.trees] == [
        ("ns0", "before, both"),
        ("ns0", "after: kernel 6.18"),
        ("ns1", "after: kernel 6.18"),
        ("ns0", "after: the model"),
        ("ns1", "after: the model"),
    ]
    marked = {(it.name, it.side): [(b.text, b.tags) for b in it.branches if b.differs] for it in found.trees}
    assert {key: lines for key, lines in marked.items() if lines} == {
        ("ns1", "after: kernel 6.18"): [("/a t1", ["private"])],
        ("ns1", "after: the model"): [("/a t1", ["unbindable"])],
    }


def test_page_shows_the_trees() -> None:
    """The record's section has the trees, with the groups and with what differs."""
    notebook = Notebook()
    notebook.forest(parted(disagreement(), "6.18"))

    shown = render_run(run(msgspec.structs.replace(record(outcome="failed"), forests=notebook.forests)))

    assert in_order(shown, '<table class="forest">', "before, both", "after: kernel 6.18", "after: the model")
    assert in_order(shown, '<span aria-hidden="true">├─ </span>/a t1', '<b class="">unbindable</b>')
    assert '<b class="shared group-0">shared:1</b>' in shown
    assert shown.count('<div class="differs">') == 2
