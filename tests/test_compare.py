"""Runs side by side."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from harness import cli
from harness.compare import ABSENT, Column, compare
from harness.evidence import SCHEMA, HostDescription, KnownDifference, Outcome, Record, Run, Sighting, Value
from harness.known import Change, Known
from harness.publish import publish
from harness.report import comparison_page, text_table
from harness.report.comparison import short
from harness.runs import RunWriter


def run_of(
    name: str, kernel: str, verdicts: dict[str, Outcome], facts: dict[str, Value] | None = None
) -> Run:
    """A run on one stage with these verdicts; the facts are those of each experiment."""
    host = HostDescription(
        name="stage", kind="stage", kernel=kernel, distribution="", architecture="", user="", tools={}
    )
    records = [
        Record(
            test=test,
            title=test,
            claims=[],
            host="stage",
            outcome=outcome,
            facts=facts or {},
            started="",
            seconds=0,
        )
        for test, outcome in verdicts.items()
    ]
    return Run(
        schema=SCHEMA, id=name, nslab="0", command=[], started="", records=records, hosts={"stage": host}
    )


def test_each_host_of_each_run_is_a_column() -> None:
    """The columns are the hosts of the runs, in the order in which the runs were named."""
    comparison = compare([run_of("b", "6.1", {}), run_of("a", "5.10", {})])

    assert comparison.columns == [
        Column("b", "stage", "6.1", "6.1"),
        Column("a", "stage", "5.10", "5.10"),
    ]


def test_host_is_no_part_of_an_experiments_name() -> None:
    """The same experiment on two hosts is one row."""
    comparison = compare(
        [run_of("a", "1", {"t.py::test_x[stage-go-uts]": "passed", "t.py::test_y[stage]": "passed"})]
    )

    assert [row.name for row in comparison.rows] == ["t.py::test_x[go-uts]", "t.py::test_y"]


@pytest.mark.parametrize("now", ["failed", "error"])
def test_claim_that_held_before_has_regressed(now: Outcome) -> None:
    """A claim that passed first and is refuted or without verdict later is a regression."""
    comparison = compare([run_of("a", "1", {"t": "passed"}), run_of("b", "2", {"t": now})])

    assert [row.name for row in comparison.regressions] == ["t"]


@pytest.mark.parametrize(
    ("before", "now"), [("failed", "passed"), ("failed", "error"), ("passed", "skipped")]
)
def test_other_changes_differ_without_being_regressions(before: Outcome, now: Outcome) -> None:
    """A claim that did not hold before, or is skipped now, differs and has not regressed."""
    comparison = compare([run_of("a", "1", {"t": before}), run_of("b", "2", {"t": now})])

    assert comparison.differing
    assert not comparison.regressions


def test_equal_rows_do_not_differ() -> None:
    """What is the same everywhere is no difference."""
    assert not compare([run_of("a", "1", {"t": "passed"}, {"f": 64})] * 2).differing


def test_facts_are_compared_as_values() -> None:
    """A fact that differs is a row with both values."""
    comparison = compare(
        [run_of("a", "1", {"t": "passed"}, {"f": 64}), run_of("b", "2", {"t": "passed"}, {"f": 65})]
    )

    assert [(row.name, row.cells) for row in comparison.differing] == [("f", [64, 65])]


def test_what_is_missing_in_a_run_is_absent() -> None:
    """An experiment that one run lacks differs and says so."""
    comparison = compare([run_of("a", "1", {"t": "passed"}), run_of("b", "2", {})])

    assert [row.cells for row in comparison.differing] == [["passed", ABSENT]]


ODD = KnownDifference(
    id="odd",
    what="Odd.",
    seen=["6.2.1"],
    not_seen=["6.1.5"],
    source="s",
    script="x",
    facts={"uts.x_longest": 65},
)
NEW_CALL = Change(id="new call", what="There is a call.", source="its page", facts=["f.*"])
KNOWN = Known([ODD], [NEW_CALL])


def kernels() -> list[Run]:
    """Three kernels, the newest named first: one fact came with 6.2.1, another deviates there."""
    told: dict[str, dict[str, Value]] = {
        "6.3.1": {"f.call": "ok", "uts.x_longest": 64},
        "6.1.5": {"f.call": "ENOSYS", "uts.x_longest": 64},
        "6.2.1": {"f.call": "ok", "uts.x_longest": 65},
    }
    return [run_of(f"run-{kernel}", kernel, {"t": "passed"}, facts) for kernel, facts in told.items()]


def test_changes_are_between_consecutive_kernels() -> None:
    """Whatever the order of the columns, a change lies between a kernel and the next newer one."""
    comparison = compare(kernels())

    assert [(step.older, step.newer, [row.name for row in step.rows]) for step in comparison.steps] == [
        (1, 2, ["f.call", "uts.x_longest"]),
        (2, 0, ["uts.x_longest"]),
    ]


def test_broken_promise_is_a_regression() -> None:
    """A fact that was as promised and is not any more got worse, unless the difference is known."""
    before, now = (
        run_of(name, "6.2.1", {"t": "passed"}, {"uts.x_longest": n}) for name, n in (("a", 64), ("b", 65))
    )

    assert [row.name for row in compare([before, now]).regressions] == ["uts.x_longest"]
    assert not compare([now, before]).regressions
    (row,) = compare([before, now], KNOWN).differing
    assert row.known[1].startswith("odd, ")
    assert not row.regressed


def test_changed_fact_without_a_promise_is_no_regression() -> None:
    """What documents leave open may change; the change of the kernel that explains it is named."""
    comparison = compare(kernels()[1:], KNOWN)

    row = next(row for row in comparison.differing if row.name == "f.call")
    assert not row.regressed
    assert row.explained == "new call: There is a call. (its page)"


def test_known_refutation_is_no_regression() -> None:
    """A claim that is refuted by a known difference alone has not regressed."""
    refuted = run_of("b", "6.2.1", {"t": "failed"})
    sighting = Sighting(id="odd", name="f", value=1, words="odd, not fixed")
    refuted.records[0] = msgspec.structs.replace(refuted.records[0], known=[sighting])

    (row,) = compare([run_of("a", "6.1.5", {"t": "passed"}), refuted]).differing
    assert (row.cells, row.regressed) == (["passed", "known"], [])


def test_terminal_names_changes_and_what_explains_them() -> None:
    """The table is followed by what changed from kernel to kernel, and why."""
    shown = text_table(compare(kernels(), KNOWN), everything=False, width=200)

    assert (
        "between 6.1.5 and 6.2.1: 2 changed\n  f.call: ENOSYS → ok\n    new call: There is a call." in shown
    )
    assert "  uts.x_longest: 64 → 65\n    known: odd, " in shown


def test_every_cell_leads_to_its_evidence() -> None:
    """On the page each value is a link to the record of its own run; no row is there that does not differ."""
    page = comparison_page(compare(kernels(), KNOWN), "T", ["a/index.html", "b/index.html", ""])

    assert 'href="./a/index.html#e1">ok</a>' in page
    assert 'href="./b/index.html#e1">ENOSYS</a>' in page
    assert "between 6.1.5 and 6.2.1" in page
    assert 'class="changed known" title="known: odd, ' in page
    assert "<code>t</code>" not in page


def stored(folder: Path, run: Run) -> Path:
    """The run on disk, with its page."""
    writer = RunWriter(folder, msgspec.structs.replace(run, records=[]))
    for host in run.hosts.values():
        writer.describe_host(host)
    for record in run.records:
        writer.append(record)
    writer.finish("", 0)
    publish(writer.folder)
    return writer.folder


@pytest.mark.parametrize("form", ["text", "html", "json", "ktap", "junit", "kcidb"])
def test_command_writes_every_form(tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each form goes to the terminal or a file; the exit status tells of a regression and of nothing else."""
    good = stored(tmp_path, run_of("a", "6.1", {"t": "passed"}))
    bad = stored(tmp_path, run_of("b", "6.1", {"t": "failed"}))

    assert cli.main(["compare", str(good), str(bad), f"--format={form}"]) == 1
    shown = capsys.readouterr().out
    assert cli.main(["compare", str(bad), str(good), f"--format={form}", f"--output={tmp_path / 'out'}"]) == 0
    assert shown
    assert (tmp_path / "out").stat().st_size


def test_page_links_to_runs_from_where_it_is_written(tmp_path: Path) -> None:
    """The links to evidence are relative to the file's own folder."""
    runs = [stored(tmp_path / "reports", each) for each in kernels()[:2]]
    (tmp_path / "elsewhere").mkdir()

    cli.main(
        ["compare", *map(str, runs), "--format=html", f"--output={tmp_path / 'elsewhere' / 'page.html'}"]
    )

    page = (tmp_path / "elsewhere" / "page.html").read_text()
    assert 'href="./../reports/run-6.1.5/index.html#e1"' in page


def test_json_names_the_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Programs get columns, differing rows and the changes between consecutive kernels."""
    cli.main(["compare", *(str(stored(tmp_path, each)) for each in kernels()), "--json"])

    told = json.loads(capsys.readouterr().out)
    assert [column["build"] for column in told["columns"]] == ["6.3.1", "6.1.5", "6.2.1"]
    assert told["steps"][0] == {"older": 1, "newer": 2, "rows": ["f.call", "uts.x_longest"]}


def test_run_of_several_hosts_has_them_side_by_side(tmp_path: Path) -> None:
    """Beside the page of such a run lies one on which its hosts are columns, whose cells lead back to it."""
    one, two = kernels()[:2]
    guest = msgspec.structs.replace(two.hosts["stage"], name="guest")
    records = [msgspec.structs.replace(record, host="guest") for record in two.records]
    folder = stored(
        tmp_path,
        msgspec.structs.replace(one, hosts={**one.hosts, "guest": guest}, records=one.records + records),
    )

    assert '<a href="./matrix.html">' in (folder / "index.html").read_text()
    assert 'href="./index.html#e2">ENOSYS</a>' in (folder / "matrix.html").read_text()


@pytest.mark.parametrize(
    ("value", "before", "shown"),
    [
        (64, None, "64"),
        (["a"], ["b"], "a"),
        ([f"flag {i} ok" for i in range(9)], None, "9 values"),
        ([f"flag {i} ok" for i in range(1, 9)], [f"flag {i} ok" for i in range(8)], "+flag 8 ok, −flag 0 ok"),  # noqa: RUF001
        ("x" * 99, None, "x" * 27 + "…"),
    ],
)
def test_long_values_are_told_by_what_changed(value: Value, before: Value, shown: str) -> None:
    """Of a long list a cell tells what came and what went since the column before."""
    assert short(value, before) == shown


def test_file_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A place where nothing can be written is refused in one line that names it."""
    run = stored(tmp_path, run_of("a", "6.1", {"t": "passed"}))

    assert cli.main(["compare", str(run), f"--output={tmp_path}/none/page.html"]) == 2
    assert capsys.readouterr().err == (
        f"nslab: cannot write {tmp_path}/none/page.html: No such file or directory; name another file\n"
    )
