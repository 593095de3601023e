"""How far a search goes, and by which chance."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import NamedTuple

PER_EXAMPLE = 15
"""Programs for each of hypothesis' examples: one costs far less than a command typed at a shell."""


class Effort(NamedTuple):
    """What was asked of the searches of a session."""

    examples: int
    """How many the profile of hypothesis has."""
    seed: int | str
    seconds: float | None = None
    """How long each search goes on, if not for so many examples."""

    def programs(self, each: int = PER_EXAMPLE) -> int:
        """How many programs a search tries that has so many for each example."""
        return self.examples * each if self.seconds is None else sys.maxsize

    def over(self) -> Callable[[], bool]:
        """What tells a search that begins now when its time is over."""
        if self.seconds is None:
            return never
        end = time.monotonic() + self.seconds
        return lambda: time.monotonic() >= end

    def after(self, spent: float) -> Effort:
        """What is left of it when so many seconds of its time are over."""
        return self if self.seconds is None else self._replace(seconds=max(0.0, self.seconds - spent))

    @property
    def again(self) -> str:
        """The option with which a search draws the same once more."""
        return f"--hypothesis-seed={self.seed}"


def never() -> bool:
    """The time is not over."""
    return False
