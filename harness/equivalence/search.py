"""Searches for a trial of which two isolators make different worlds."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import random
from collections.abc import Callable, Iterable
from typing import NamedTuple

import hypothesis
import msgspec
from hypothesis.errors import NoSuchExample

from harness.equivalence.pair import Outcome, differences
from harness.equivalence.strategies import trials
from harness.equivalence.tally import Tally, Trial
from harness.search.effort import never

PER_EXAMPLE = 50
"""Trials for each example that hypothesis' profile asks for: one takes some milliseconds."""

ROUND, BATCH = 1000, 20
"""Trials that are drawn at once, and that are tried by one round trip."""


class Difference(NamedTuple):
    """The smallest trial that was found of which two isolators make different worlds."""

    trial: Trial
    lines: list[str]
    """Each place in which the outcomes differ, with both sides."""


class Search:
    """Tries each trial once and tallies what came of it."""

    def __init__(
        self,
        outcomes: Callable[[list[Trial]], list[dict[str, Outcome]]],
        names: tuple[str, str],
        scratch: str,
        own: int = 0,
    ) -> None:
        """``outcomes`` tries with both isolators of those names, on a host with its files in ``scratch``.

        ``own`` is the ID of the user who starts them.
        """
        self._outcomes, self._names = outcomes, names
        self._trials = trials(scratch, own)
        self.tally = Tally()
        self._known: dict[bytes, list[str]] = {}
        """Where the outcomes of each trial so far differ."""

    @property
    def tried(self) -> int:
        """How many trials, each another one."""
        return len(self._known)

    def find(
        self,
        count: int,
        seed: int | str = 0,
        over: Callable[[], bool] = never,
        *,
        shrink: bool = True,
    ) -> Difference | None:
        """The smallest of the differing trials that ``count`` drawn ones lead to; None if there is none.

        Once the time is ``over``, no more are tried.

        Trials are drawn by rounds and then tried by batches, which costs a fraction of one after another. A
        round in which one differs is drawn once more by the same seed: hypothesis then knows and shrinks it.
        """
        chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
        while (missing := count - self.tried) > 0:
            size = min(ROUND, max(BATCH, missing))
            began, drawn = self.tried, list[Trial]()
            same = copy.copy(chance)
            self._draw(chance, size, drawn.append)
            for at in range(0, len(drawn), BATCH):
                if over():
                    return None
                batch = drawn[at : at + BATCH]
                self.compare(batch)
                different = [trial for trial in batch if self.lines(trial)]
                if different:
                    found = (shrink and self._draw(same, size, self.lines)) or different[0]
                    return Difference(found, self.lines(found))
            if self.tried == began:
                break
        return None

    def _draw(self, chance: random.Random, count: int, condition: Callable[[Trial], object]) -> Trial | None:
        """The first of ``count`` trials for which the condition holds, or a smaller one like it."""
        phases = [hypothesis.Phase.generate, hypothesis.Phase.shrink]
        settings = hypothesis.settings(max_examples=count, phases=phases, database=None)
        with contextlib.suppress(NoSuchExample):
            return hypothesis.find(
                self._trials, lambda drawn: bool(condition(drawn)), settings=settings, random=chance
            )
        return None

    def lines(self, trial: Trial) -> list[str]:
        """Where the outcomes of a trial differ."""
        self.compare([trial])
        return self._known[_key(trial)]

    def compare(self, batch: Iterable[Trial]) -> None:
        """Try some trials; one that is known is not tried again."""
        new = {key: trial for trial in batch if (key := _key(trial)) not in self._known}
        if not new:
            return
        for (key, trial), seen in zip(new.items(), self._outcomes([*new.values()]), strict=True):
            one, other = (seen[name] for name in self._names)
            self._known[key] = differences(one, other)
            self.tally.count(trial, started="world" in one, different=bool(self._known[key]))


def _key(trial: Trial) -> bytes:
    return hashlib.blake2b(msgspec.json.encode(trial), digest_size=16).digest()
