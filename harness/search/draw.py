"""What hypothesis draws: programs of operations; and how a search goes through as many as it may."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Set
from random import Random
from typing import Generic, TypeVar

from hypothesis import Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from harness.errors import LabError
from harness.propagation.programs import LIMITS, OPENINGS, Draw, Step, read

MOST_STEPS = 40
"""After the opening."""

BATCH = 1000
"""Programs of one search of hypothesis, which remembers every program of it."""

Program = TypeVar("Program")
Verdict = Callable[[], bool]
"""Whether a program differs, once it has been tried."""


def programs(known: Set[str] = frozenset()) -> st.SearchStrategy[list[Step]]:
    """Programs with what the model says of each step."""
    return drawn(LIMITS, lambda begun, draws: [*read(draws, known, begun)])


def drawn(
    limits: Draw, read: Callable[[int, Iterator[Draw]], Program], openings: int = len(OPENINGS)
) -> st.SearchStrategy[Program]:
    """What ``read`` makes of an opening's number and of draws below these limits."""
    # One draw of bytes for all steps: drawn one by one, they would cost more than the kernel's work.
    each = len(limits)
    data = st.integers(1, MOST_STEPS).flatmap(lambda n: st.binary(min_size=n * each, max_size=n * each))
    opening = st.integers(0, openings - 1)
    return st.builds(lambda begun, data: read(begun, _draws(data, limits)), opening, data)


def _draws(data: bytes, limits: Draw) -> Iterator[Draw]:
    what, whom, source = limits
    for first, second, third in zip(data[::3], data[1::3], data[2::3], strict=True):
        yield first % what, second % whom, third % source


def hunt(
    strategy: st.SearchStrategy[Program], ask: Callable[[Program], Verdict], examples: int, seed: int | None
) -> Program | None:
    """A program that differs, of so many; none where none does. Without a seed the profile decides on chance.

    ``ask`` begins to try a program; its verdict is heard when the next one has begun.

    Raises:
        LabError: a worker broke; what it ran tells nothing.
    """
    seeds = Random(seed)  # noqa: S311 - chance, not secrets
    assert settings.default is not None
    chance = seed is not None or not settings.default.derandomize
    for done in range(0, examples, BATCH):
        random = Random(seeds.getrandbits(64) if chance else done)  # noqa: S311
        found = _Batch(ask).run(strategy, min(BATCH, examples - done), random)
        if found:
            return found[0]
    return None


class _Batch(Generic[Program]):
    """One search of hypothesis, of which each program runs while the next one is drawn."""

    def __init__(self, ask: Callable[[Program], Verdict]) -> None:
        self._ask = ask
        self._waiting: tuple[Program, Verdict] | None = None
        self._differing: list[Program] = []
        self._broken: list[LabError] = []

    def run(self, strategy: st.SearchStrategy[Program], examples: int, random: Random) -> list[Program]:
        """The first program that differs, if there is one."""
        # What hypothesis would try in thousands of runs to shorten it, leaving out steps does in a few.
        options = settings(
            max_examples=examples, derandomize=False, database=None, phases=[Phase.generate], deadline=None
        )
        with contextlib.suppress(NoSuchExample):
            find(strategy, self._try, settings=options, random=random)
        self._hear(self._waiting)
        if self._broken:
            raise self._broken[0]
        return self._differing[:1]

    def _try(self, program: Program) -> bool:
        """Begin with a program and hear of the one before; hypothesis is never told that one differs."""
        if not (self._broken or self._differing):
            before, self._waiting = self._waiting, None
            try:
                self._waiting = program, self._ask(program)
            except LabError as error:
                self._broken.append(error)
            self._hear(before)
        return False

    def _hear(self, waiting: tuple[Program, Verdict] | None) -> None:
        try:
            if waiting and not self._broken and waiting[1]():
                self._differing.append(waiting[0])
        except LabError as error:
            # An error in a predicate would be shrunk, as if it were what is looked for.
            self._broken.append(error)
