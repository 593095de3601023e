"""Searches for a trial of which two isolators make different worlds, and counts what was tried."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import hypothesis
from hypothesis.errors import NoSuchExample

from harness.equivalence.pair import Outcome, differences
from harness.equivalence.strategies import FIELDS, trials

PER_EXAMPLE = 40
"""Trials for each of hypothesis' examples: one takes some ten milliseconds."""

COLUMNS = ("field", "tried", "started", "refused", "different")

Trial = Mapping[str, Any]


class Difference(NamedTuple):
    """The smallest trial that was found of which two isolators make different worlds."""

    trial: Trial
    lines: list[str]
    """Each place in which the outcomes differ, with both sides."""


class Search:
    """Counts trials by their fields."""

    def __init__(
        self, outcomes: Callable[[Trial], dict[str, Outcome]], names: tuple[str, str], scratch: str
    ) -> None:
        """``outcomes`` tries with both isolators of those names, on a host with its files in ``scratch``."""
        self._outcomes, self._names, self._scratch = outcomes, names, scratch
        self.tried = 0
        self._counts: Counter[tuple[str, str]] = Counter()

    def find(self, count: int, *, shrink: bool = True) -> Difference | None:
        """The smallest of the differing trials that ``count`` drawn ones lead to; None if there is none."""
        phases = [hypothesis.Phase.generate, *[hypothesis.Phase.shrink] * shrink]
        settings = hypothesis.settings(max_examples=count, phases=phases, database=None)
        try:
            trial = hypothesis.find(
                trials(self._scratch), lambda drawn: bool(self.compare(drawn)), settings=settings
            )
        except NoSuchExample:
            return None
        return Difference(trial, self.compare(trial))

    def compare(self, trial: Trial) -> list[str]:
        """Where the outcomes of a trial differ."""
        seen = self._outcomes(copy.deepcopy(trial))
        one, other = (seen[name] for name in self._names)
        lines = differences(one, other)
        self.tried += 1
        kind = "started" if "world" in one else "refused"
        for field in trial["fields"] or ["none"]:
            self._counts[field, "tried"] += 1
            self._counts[field, kind] += 1
            self._counts[field, "different"] += bool(lines)
        return lines

    def rows(self) -> Iterator[list[str | int]]:
        """How often each field was part of a trial, and what came of these."""
        for field in ("none", *FIELDS):
            yield [field, *(self._counts[field, column] for column in COLUMNS[1:])]
