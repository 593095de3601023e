"""Runs side by side: verdicts and facts as rows, the hosts of the runs as columns. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from harness.evidence import Record, Run, Value

Sort = Literal["verdict", "fact"]

ABSENT = "absent"
"""The cell of a column in which the experiment did not run or the fact was not measured."""

_BAD = ("failed", "error")


class Column(msgspec.Struct, frozen=True):
    """One host in one run."""

    run: str
    host: str
    kernel: str


class Row(msgspec.Struct, frozen=True):
    """One experiment's verdict, or one fact, in every column."""

    sort: Sort
    name: str
    cells: list[Value]

    @property
    def differs(self) -> bool:
        """Whether the columns do not agree."""
        return any(cell != self.cells[0] for cell in self.cells)

    @property
    def regressed(self) -> bool:
        """Whether a claim that held in the first column is refuted, or without a verdict, in another."""
        return (
            self.sort == "verdict" and self.cells[0] == "passed" and any(cell in _BAD for cell in self.cells)
        )


class Comparison(msgspec.Struct, frozen=True):
    """What :func:`compare` found."""

    columns: list[Column]
    rows: list[Row]

    @property
    def differing(self) -> list[Row]:
        """The rows whose columns do not agree."""
        return [row for row in self.rows if row.differs]

    @property
    def regressions(self) -> list[Row]:
        """The rows that got worse since the first column."""
        return [row for row in self.rows if row.regressed]


def compare(runs: Sequence[Run]) -> Comparison:
    """Put runs side by side, each host of each run a column, in the order given."""
    tables: list[tuple[Column, dict[tuple[Sort, str], Value]]] = []
    for run in runs:
        for name, host in run.hosts.items():
            records = [record for record in run.records if record.host == name]
            tables.append((Column(run.id, name, host.kernel), _values(records)))
    names = dict.fromkeys(name for _, values in tables for name in values)
    rows = [
        Row(sort, name, [values.get((sort, name), ABSENT) for _, values in tables]) for sort, name in names
    ]
    return Comparison([column for column, _ in tables], rows)


def _values(records: Iterable[Record]) -> dict[tuple[Sort, str], Value]:
    values: dict[tuple[Sort, str], Value] = {}
    for record in records:
        values["verdict", experiment(record)] = record.outcome
        values.update({("fact", name): value for name, value in record.facts.items()})
    return values


def experiment(record: Record) -> str:
    """The experiment's node id without the host: what is the same in every column."""
    test, bracket, parameters = record.test.partition("[")
    rest = parameters.removesuffix("]").removeprefix(record.host).removeprefix("-")
    return f"{test}[{rest}]" if bracket and rest else test
