"""Why two hosts differ, where it is a difference from the documents that one of them has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import NamedTuple

from harness.propagation import render
from harness.propagation.operations import Operation
from harness.propagation.state import LOST_UNBINDABLE
from harness.search import beyond
from harness.search.beyond_on_host import FIRST_READER

Known = tuple[Set[str], Set[str]]
"""The differences from the documents that each of two hosts has."""


class Shown(NamedTuple):
    """What a host showed after a step."""

    errno: str
    tables: render.Tables


Both = tuple[Sequence[Shown], Sequence[Shown]]
"""What each of two hosts showed, step by step; the last one is the first in which they differ."""


def told_by_known(operations: Sequence[Operation], shown: Both, known: Known) -> str:
    """The names of the known differences that explain what two hosts showed; empty where none do."""
    if known[0] == known[1]:
        return ""
    return _by_models(operations, shown, known) or _by_tables(operations[-1], shown, known)


def _by_models(operations: Sequence[Operation], shown: Both, known: Known) -> str:
    """Those that models have that do what both hosts do."""
    one, other = ((steps[-1].errno, plain(steps[-1].tables)) for steps in shown)
    if one == other:
        # They differ in what models do not have: mounts' options, what readers of other roots see.
        return ""
    sides = [*zip(known, shown, strict=True)]
    if not all(does(operations, steps, each) for each, steps in sides):
        return ""
    needed = {name for each, steps in sides for name in each if not does(operations, steps, each - {name})}
    return ", ".join(sorted(needed))


def _by_tables(last: Operation, shown: Both, known: Known) -> str:
    """The loss of ``unbindable``, which tables show whatever came before, also what no model can follow."""
    one, other = (LOST_UNBINDABLE in each for each in known)
    if one == other or not last.kind.startswith("unshare"):
        return ""
    losing, keeping = shown if one else (shown[1], shown[0])
    new = keeping[-1].tables.keys() - (keeping[-2].tables.keys() if len(keeping) > 1 else {0})
    kept = keeping[-1]._replace(tables={**keeping[-1].tables, **dict(_bindable(keeping[-1].tables, new))})
    return LOST_UNBINDABLE if kept == losing[-1] else ""


def _bindable(tables: render.Tables, numbers: Set[int]) -> Iterator[tuple[int, render.Table]]:
    """Some of the tables, as if nothing in them were unbindable."""
    for number in numbers:
        yield (
            number,
            tuple(
                line._replace(tags=tuple(tag for tag in line.tags if tag != "unbindable"))
                for line in tables[number]
            ),
        )


def does(operations: Sequence[Operation], steps: Sequence[Shown], known: Set[str]) -> bool:
    """Whether a model with these known differences does what a host showed, at each step."""
    refused = [step.errno for step in steps[:-1]]
    return all(
        guide.errno == step.errno and beyond.shown(guide) == plain(step.tables)
        for guide, step in zip(beyond.replay(operations, known, refused), steps, strict=True)
    )


def plain(tables: render.Tables) -> render.Tables:
    """Tables as the model has them: without mounts' options and without readers of other root directories."""
    return {
        number: tuple(
            line._replace(tags=tuple(tag for tag in line.tags if not tag.startswith(("ro", "rw"))))
            for line in table
        )
        for number, table in tables.items()
        if number < FIRST_READER
    }
