"""The notebook of one experiment: what was done, seen and measured, in the order of time."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Any

import msgspec

from harness.evidence import (
    SCRIPT_NAME,
    Cell,
    Forest,
    Observation,
    Process,
    Script,
    Side,
    Sighting,
    Table,
    Value,
)


class Notebook:
    """Collects the observations, process trees, facts, tables, scripts and trees of one experiment."""

    def __init__(self) -> None:
        """Start the experiment's clock."""
        self.started = now()
        self._began = time.monotonic()
        self.observations: list[Observation] = []
        self.processes: list[list[Process]] = []
        self.facts: dict[str, Value] = {}
        self.tables: list[Table] = []
        self.scripts: list[Script] = []
        self.forests: list[Forest] = []
        self.known: list[Sighting] = []

    @property
    def clock(self) -> float:
        """Seconds since the experiment began."""
        return time.monotonic() - self._began

    def observe(
        self,
        side: Side,
        where: str,
        command: str,
        output: str,
        status: int | None,
        *,
        began: float,
        stderr: str = "",
    ) -> None:
        """Write down one act or look that started at ``began`` (a reading of :attr:`clock`)."""
        self.observations.append(
            Observation(
                side=side,
                where=where,
                command=printable(command),
                output=printable(output),
                stderr=printable(stderr),
                status=status,
                at=round(began, 6),
                seconds=round(self.clock - began, 6),
            )
        )

    def fact(self, name: str, value: Value) -> None:
        """Name a value that is comparable across runs; what varies by nature (PIDs, times) is none.

        Raises:
            TypeError: the value is none that a record can hold.
            ValueError: the name was given another value before in the same experiment.
        """
        name, value = printable(name), _plain(name, value)
        if self.facts.setdefault(name, value) != value:
            raise ValueError(f"fact {name!r} is both {self.facts[name]!r} and {value!r} in one experiment")

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
        """Keep a table, which the report shows with the experiment.

        Raises:
            TypeError: a cell is none that a record can hold.
            ValueError: a row has more or fewer cells than there are columns.
        """
        kept = [[_cell(title, cell) for cell in row] for row in rows]
        for number, row in enumerate(kept, 1):
            if len(row) != len(columns):
                raise ValueError(
                    f"table {title!r}, row {number}: expected {len(columns)} cells, got {len(row)}: {row!r}"
                )
        heads = [printable(column) for column in columns]
        self.tables.append(Table(title=printable(title), columns=heads, rows=kept))

    def script(self, name: str, text: str) -> None:
        """Keep a script, which the report shows and the run's folder holds as a file.

        Raises:
            ValueError: the name is not plainly a file's, or it was given to another script before.
        """
        if not re.fullmatch(SCRIPT_NAME.strip("^$"), name):
            raise ValueError(
                f"script {name!r}: expected a file's name of letters, digits, dots, dashes and underscores"
            )
        script = Script(name=name, text=printable(text))
        if script not in self.scripts:
            if any(name == other.name for other in self.scripts):
                raise ValueError(f"script {name!r} was written twice, with different text, in one experiment")
            self.scripts.append(script)

    def forest(self, forest: Forest) -> None:
        """Keep trees, which the report draws side by side."""
        self.forests.append(msgspec.convert(_printable(msgspec.to_builtins(forest)), Forest))


def _printable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _printable(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_printable(part) for part in value]
    return printable(value) if isinstance(value, str) else value


def _cell(title: str, cell: Cell) -> Cell:
    if isinstance(cell, str):
        return printable(cell)
    if cell is None or isinstance(cell, int | float):
        return cell
    raise TypeError(f"table {title!r} holds {cell!r}: expected text, a number, a truth value or None")


def _plain(name: str, value: Value) -> Value:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return [printable(item) for item in value]
    if value is None or isinstance(value, int | float):
        return value
    raise TypeError(
        f"fact {name!r} is {value!r}: expected text, a number, a truth value, a list of text or None"
    )


def now() -> str:
    """The time as records write it: ISO 8601, UTC, whole milliseconds."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def printable(text: str) -> str:
    """The text without lone surrogates, which UTF-8 and so JSON cannot carry."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
