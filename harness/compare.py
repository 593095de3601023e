"""Runs side by side: verdicts and facts as rows, the hosts of the runs as columns. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import msgspec

from harness import promised
from harness.evidence import HostDescription, KnownDifference, Record, Run, Value
from harness.known import Known, build_of, explained, match, version

Sort = Literal["verdict", "fact"]

ABSENT = "absent"
"""The cell of a column in which the experiment did not run or the fact was not measured."""

_BAD = ("failed", "error")


class Column(msgspec.Struct, frozen=True):
    """One host in one run."""

    run: str
    host: str
    kernel: str
    build: str = ""
    """The version of the kernel, by which columns are put in order."""

    @property
    def title(self) -> str:
        """What a person calls the column."""
        return self.host if self.host == self.build else f"{self.host} {self.build or self.kernel}".strip()


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One experiment's verdict, or one fact, in every column."""

    sort: Sort
    name: str
    cells: list[Value]
    evidence: list[int] = []
    """For each column the record of its run with the evidence, counted from 1; 0 where there is none."""
    known: list[str] = []
    """For each column the known difference that explains it, in one line; empty where none explains any."""
    regressed: list[bool] = []
    """For each column whether it is worse than the first; empty where none is."""
    claims: list[str] = []
    explained: str = ""
    """Where kernels differ by nature, the change that explains it, in one line."""

    @property
    def differs(self) -> bool:
        """Whether the columns do not agree."""
        return any(cell != self.cells[0] for cell in self.cells)

    @property
    def contradicts(self) -> bool:
        """Whether columns that have it do not agree."""
        present = [cell for cell in self.cells if cell != ABSENT]
        return any(cell != present[0] for cell in present)


class Step(NamedTuple):
    """What changed from one kernel to the next newer one."""

    older: int
    """The column, counted from 0."""
    newer: int
    rows: list[Row]


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

    @property
    def steps(self) -> list[Step]:
        """What changed between consecutive kernels, in the order of their versions."""
        order = sorted(range(len(self.columns)), key=lambda i: _version(self.columns[i]))
        pairs = pairwise(order)
        return [
            Step(
                a,
                b,
                [row for row in self.rows if ABSENT not in _pair(row, a, b) and row.cells[a] != row.cells[b]],
            )
            for a, b in pairs
        ]


def _version(column: Column) -> tuple[int, ...]:
    return version(column.build) if column.build else ()


def _pair(row: Row, a: int, b: int) -> tuple[Value, Value]:
    return row.cells[a], row.cells[b]


class _Cell(NamedTuple):
    value: Value
    evidence: int
    claims: list[str]
    known: str


NOTHING = Known([], [])
"""Known by which every difference is new."""


def compare(runs: Sequence[Run], knowledge: Known = NOTHING) -> Comparison:
    """Put runs side by side, each host of each run a column, in the order given."""
    columns: list[Column] = []
    tables: list[dict[tuple[Sort, str], _Cell]] = []
    for run in runs:
        for host in run.hosts.values():
            columns.append(Column(run.id, host.name, host.kernel, build_of(host)))
            tables.append(_cells(run, host, knowledge.differences))
    names = dict.fromkeys(name for table in tables for name in table)
    rows = [
        _row(sort, name, [table.get((sort, name)) for table in tables], knowledge) for sort, name in names
    ]
    return Comparison(columns, rows)


def _cells(
    run: Run, host: HostDescription, differences: Iterable[KnownDifference]
) -> dict[tuple[Sort, str], _Cell]:
    """A column: everything that was told of one host."""
    cells: dict[tuple[Sort, str], _Cell] = {}
    build = build_of(host)
    for number, record in enumerate(run.records, 1):
        if record.host != host.name:
            continue
        known = "; ".join(sighting.words for sighting in record.known)
        cells["verdict", experiment(record)] = _Cell(record.verdict, number, record.claims, known)
        for name, value in record.facts.items():
            sighting = match(differences, build, "facts", name, value)
            cells["fact", name] = _Cell(value, number, record.claims, sighting.words if sighting else "")
    return cells


def _row(sort: Sort, name: str, cells: Sequence[_Cell | None], knowledge: Known) -> Row:
    values = [ABSENT if cell is None else cell.value for cell in cells]
    known = [cell.known if cell else "" for cell in cells]
    worse = [
        _worse(sort, name, values[0], value) and not why for value, why in zip(values, known, strict=True)
    ]
    return Row(
        sort,
        name,
        values,
        evidence=[cell.evidence if cell else 0 for cell in cells],
        known=known if any(known) else [],
        regressed=worse if any(worse) else [],
        claims=next((cell.claims for cell in cells if cell), []),
        explained=explained(knowledge.changes, name) if sort == "fact" else "",
    )


def _worse(sort: Sort, name: str, before: Value, now: Value) -> bool:
    """Whether a claim that held is refuted or without a verdict, or a promise that was kept is broken."""
    if sort == "verdict":
        return before == "passed" and now in _BAD
    if ABSENT in (before, now) or before == now:
        return False
    return promised.kept(name, before) and not promised.kept(name, now)


def experiment(record: Record) -> str:
    """The experiment's node id without the host: what is the same in every column."""
    test, bracket, parameters = record.test.partition("[")
    rest = parameters.removesuffix("]").removeprefix(record.host).removeprefix("-")
    return f"{test}[{rest}]" if bracket and rest else test
