"""Trees side by side: of each name a row, of each side a column, and what belongs together in one colour."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.evidence import Branch, Forest

MOST, DEEPEST = 200, 60
"""So many lines of a tree are drawn, and none further to the right."""
COLOURS = 6
"""Of the style sheet; with more groups than that two look alike, and their numbers tell them apart."""

_NUMBERED = re.compile(r"(shared|master|propagate_from):([0-9]{1,9})")


class Tag(NamedTuple):
    """A tag and the style sheet's classes for its look."""

    text: str
    look: str


class Line(NamedTuple):
    """A line; ``lead`` leads to it from what it lies on."""

    lead: str
    text: str
    tags: Sequence[Tag]
    differs: bool


class Drawn(NamedTuple):
    """A forest as a table."""

    title: str
    sides: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Sequence[Line]]]]


def drawn(forest: Forest) -> Drawn:
    """What the page shows of a forest, in the order in which names and sides come in it."""
    sides = list(dict.fromkeys(tree.side for tree in forest.trees))
    names = dict.fromkeys(tree.name for tree in forest.trees)
    cells = {(tree.name, tree.side): _lines(tree.branches[:MOST]) for tree in forest.trees}
    rows = [(name, [cells.get((name, side), []) for side in sides]) for name in names]
    return Drawn(forest.title, sides, rows)


def _lines(branches: Sequence[Branch]) -> list[Line]:
    leads = _leads([min(max(branch.depth, 0), DEEPEST) for branch in branches])
    return [
        Line(lead, branch.text, [Tag(tag, _look(tag)) for tag in branch.tags], branch.differs)
        for lead, branch in zip(leads, branches, strict=True)
    ]


def _leads(depths: Sequence[int]) -> Iterable[str]:
    """What is drawn before each line: from the last line upwards, for it depends on what comes below."""
    leads: list[str] = []
    below: set[int] = set()
    for depth in reversed(depths):
        passing = "".join("│  " if level in below else "   " for level in range(1, depth))
        own = ("├─ " if depth in below else "└─ ") if depth else ""
        leads.append(passing + own)
        below = {level for level in below if level < depth} | {depth}
    return reversed(leads)


def _look(tag: str) -> str:
    found = _NUMBERED.fullmatch(tag)
    return f"{found[1]} group-{(int(found[2]) - 1) % COLOURS}" if found else ""
