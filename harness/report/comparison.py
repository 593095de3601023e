"""Runs side by side, for people: a page of its own, and a table for the terminal."""

from __future__ import annotations

import io
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.compare import ABSENT
from harness.report.seen import value_text
from harness.report.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.compare import Comparison, Row, Step
    from harness.evidence import Value

MOST_ROWS = 5000
"""So many rows of one table a page shows."""

_SHORT = 28
"""Longer values are cut in a cell; the evidence has them whole."""


class Cell(NamedTuple):
    """One cell of the page's table."""

    text: str
    look: str
    """``same`` as the cell before, ``changed``, ``absent``, or ``first``; then ``known`` or ``regressed``."""
    href: str
    note: str


class Line(NamedTuple):
    """One row of the page's table."""

    row: Row
    cells: list[Cell]


class Group(NamedTuple):
    """The rows about one subject."""

    title: str
    lines: list[Line]


def shown_rows(comparison: Comparison, *, everything: bool) -> list[Row]:
    """The rows that a reader sees: by default those that differ; what got worse first."""
    rows = comparison.rows if everything else comparison.differing
    return sorted(rows, key=_place)


def _place(row: Row) -> tuple[bool, bool, str]:
    """Verdicts come before facts, and facts by what they are about."""
    subject = "" if row.sort == "verdict" else row.name.partition(".")[0]
    return not row.regressed, row.sort == "fact", subject


def groups(rows: Sequence[Row], pages: Sequence[str]) -> list[Group]:
    """The rows by subject; ``pages`` are the columns' pages of evidence, empty where a column has none."""
    return [
        Group(title, [Line(row, list(_cells(row, pages))) for row in some])
        for title, some in groupby(rows[:MOST_ROWS], key=_subject)
    ]


def _subject(row: Row) -> str:
    if row.regressed:
        return "Regressed"
    return "Verdicts" if row.sort == "verdict" else f"Facts: {row.name.partition('.')[0]}"


def _cells(row: Row, pages: Sequence[str]) -> Iterator[Cell]:
    before: Value = None
    for column, value in enumerate(row.cells):
        look = (
            "absent"
            if value == ABSENT
            else "first"
            if column == 0
            else "same"
            if value == before
            else "changed"
        )
        known = row.known[column] if row.known else ""
        if known:
            look += " known"
        if row.regressed and row.regressed[column]:
            look += " regressed"
        number = row.evidence[column] if row.evidence else 0
        href = f"{pages[column]}#e{number}" if pages[column] and number else ""
        yield Cell(short(value, before), look, href, f"known: {known}" if known else "")
        before = value


def short(value: Value, before: Value = None) -> str:
    """A value in few words: of a long list, what it has more and less than the one before, or its length."""
    text = value_text(value)
    if len(text) <= _SHORT:
        return text
    if not isinstance(value, list):
        return text[: _SHORT - 1] + "…"
    if not isinstance(before, list) or value == before:
        return f"{len(value)} values"
    more = [f"+{each}" for each in value if each not in before]
    less = [f"−{each}" for each in before if each not in value]  # noqa: RUF001 - a minus
    return ", ".join(more + less) or "in another order"


def change(row: Row, step: Step) -> str:
    """What became of a value from one kernel to the next."""
    older, newer = row.cells[step.older], row.cells[step.newer]
    if isinstance(older, list) and isinstance(newer, list):
        return short(newer, older)
    return f"{value_text(older)} → {value_text(newer)}"


def named(comparison: Comparison, step: Step) -> str:
    """A step by the kernels on both sides of it."""
    older, newer = comparison.columns[step.older], comparison.columns[step.newer]
    return f"between {older.build or older.title} and {newer.build or newer.title}"


def text_table(
    comparison: Comparison, *, everything: bool, width: int | None = None, colour: bool = False
) -> str:
    """The comparison for a terminal: a table where it fits, else the changes between consecutive kernels."""
    rows = shown_rows(comparison, everything=everything)
    if not rows:
        return f"no difference in {len(comparison.rows)} verdicts and facts\n"
    # Rendered here and not on the console: a file gets the same as a terminal.
    console = Console(file=io.StringIO(), width=width, force_terminal=colour, highlight=False)
    if len(comparison.columns) * 12 + 30 <= console.width or len(comparison.columns) <= 2:
        console.print(_table(comparison, rows))
    if len(comparison.columns) > 1:
        _print_steps(console, comparison, rows)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _table(comparison: Comparison, rows: Sequence[Row]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column(f"{len(rows)} of {len(comparison.rows)} verdicts and facts", overflow="fold", ratio=3)
    titles = [column.title for column in comparison.columns]
    for column in comparison.columns:
        twice = titles.count(column.title) > 1
        head = f"{column.title}\n{column.run}" if twice else column.title
        table.add_column(Text(plain(head)), overflow="fold", ratio=1)
    for row in rows:
        table.add_row(Text(plain(row.name)), *map(_marked, range(len(row.cells)), [row] * len(row.cells)))
    return table


def _marked(column: int, row: Row) -> Text:
    """A cell; what is known of it, or worse than before, in a word and a colour."""
    value = plain(short(row.cells[column], row.cells[column - 1] if column else None))
    if row.regressed and row.regressed[column]:
        return Text(f"{value} (regressed)", style="bold red")
    if row.known and row.known[column]:
        return Text(value if value == "known" else f"{value} (known)", style="magenta")
    return Text(value)


def _print_steps(console: Console, comparison: Comparison, rows: Sequence[Row]) -> None:
    """What changed from kernel to kernel, with what explains it."""
    chosen = {id(row) for row in rows}
    for step in comparison.steps:
        changed = [row for row in step.rows if id(row) in chosen]
        if not changed:
            continue
        console.print(Text(f"{named(comparison, step)}: {len(changed)} changed", style="bold"))
        for row in changed:
            console.print(Text(f"  {plain(row.name)}: {plain(change(row, step))}"), soft_wrap=True)
            for why in reasons(row, step):
                console.print(Text(f"    {plain(why)}", style="dim"), soft_wrap=True)


def reasons(row: Row, step: Step) -> list[str]:
    """What is known of a row's change: the known difference on either side, or the change of the kernel."""
    known = [row.known[i] for i in (step.older, step.newer) if row.known and row.known[i]]
    return [f"known: {why}" for why in dict.fromkeys(known)] or ([row.explained] if row.explained else [])
