"""Claims against isolators and hosts: every verdict in one look."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from harness.report.verdicts import rank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.evidence import Run, Verdict
    from harness.report.chapters import Chapter, Experiment, Section

Column = tuple[str, str | None]
"""A host and an isolator; None for experiments that need no isolator."""


class Cell(NamedTuple):
    """The worst verdict on one claim in one column, and how many experiments share it."""

    outcome: Verdict
    alike: int
    total: int
    anchor: str


class Line(NamedTuple):
    """One claim's verdicts, one per column; None where nothing was run."""

    section: Section
    cells: list[Cell | None]


class Group(NamedTuple):
    """One chapter's lines."""

    chapter: Chapter
    lines: list[Line]


class Matrix(NamedTuple):
    """The whole table."""

    hosts: list[tuple[str, int]]
    """Each host and how many columns it has."""
    columns: list[Column]
    groups: list[Group]


def matrix(run: Run, chapters: Sequence[Chapter]) -> Matrix:
    """Lay out the verdicts on the document's claims."""
    columns = _columns(run)
    hosts = list(dict.fromkeys(host for host, _ in columns))
    return Matrix(
        hosts=[(host, sum(host == each for each, _ in columns)) for host in hosts],
        columns=columns,
        groups=[
            Group(chapter, [_row(section, columns) for section in chapter.sections]) for chapter in chapters
        ],
    )


def _columns(run: Run) -> list[Column]:
    """Hosts and, within each, isolators in the run's own order; first the host without any."""
    claims = {claim.id for claim in run.claims}
    seen = {(each.host, each.isolator) for each in run.records if claims & set(each.claims)}
    hosts = list(dict.fromkeys([*run.hosts, *(record.host for record in run.records)]))
    isolators = list(dict.fromkeys([None, *run.isolators, *(record.isolator for record in run.records)]))
    return sorted(seen, key=lambda column: (hosts.index(column[0]), isolators.index(column[1])))


def _row(section: Section, columns: Sequence[Column]) -> Line:
    by_column: defaultdict[Column, list[Experiment]] = defaultdict(list)
    for each in section.experiments:
        by_column[each.record.host, each.record.isolator].append(each)
    return Line(section, [_cell(by_column[column]) for column in columns])


def _cell(experiments: Sequence[Experiment]) -> Cell | None:
    if not experiments:
        return None
    worst = min(experiments, key=lambda each: rank(each.record.verdict))
    alike = sum(each.record.verdict == worst.record.verdict for each in experiments)
    return Cell(worst.record.verdict, alike, len(experiments), worst.anchor)
