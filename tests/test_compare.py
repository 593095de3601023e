"""Runs side by side."""

from __future__ import annotations

import pytest

from harness.compare import ABSENT, Column, compare
from harness.evidence import SCHEMA, HostDescription, Outcome, Record, Run, Value


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

    assert comparison.columns == [Column("b", "stage", "6.1"), Column("a", "stage", "5.10")]


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
