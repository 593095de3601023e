"""Go and the port: what the experiments that hold the two against each other found, on one page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from harness.evidence import Cell, Table
from harness.report.verdicts import rank

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.report.chapters import Experiment


class Comparison(NamedTuple):
    """One question about Go and the port, and what came of it wherever it was asked."""

    title: str
    asked: Sequence[Experiment]
    """The worst first."""


class GoAndPort(NamedTuple):
    """The page's content."""

    comparisons: Sequence[Comparison]
    tables: Sequence[Table]
    """What the experiments wrote down; equal tables of several hosts or isolators are one."""


def go_and_port(every: Iterable[Experiment]) -> GoAndPort:
    """The experiments about Go and the port; no comparison at all where there is none."""
    concerned = [each for each in every if re.search(r"(^|/)test_go_\w+\.py::", each.record.test)]
    titles = dict.fromkeys(each.record.title or each.record.test for each in concerned)
    return GoAndPort(
        [Comparison(title, _asked(title, concerned)) for title in titles],
        _joined(concerned),
    )


def _asked(title: str, concerned: Iterable[Experiment]) -> list[Experiment]:
    asked = (each for each in concerned if title == (each.record.title or each.record.test))
    return sorted(asked, key=lambda each: rank(each.record.verdict))


def _joined(concerned: Iterable[Experiment]) -> list[Table]:
    """The tables, each row with its host; those of one title and the same columns in one."""
    joined: dict[tuple[str, ...], list[list[Cell]]] = {}
    for each in concerned:
        for table in each.record.tables:
            rows = joined.setdefault((table.title, "host", *table.columns), [])
            rows += [row for row in ([each.record.host, *row] for row in table.rows) if row not in rows]
    return [Table(title=title, columns=columns, rows=rows) for (title, *columns), rows in joined.items()]
