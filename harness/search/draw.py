"""What hypothesis draws: programs of operations; and how a search goes through as many as it may."""

from __future__ import annotations

import contextlib
import gc
from collections import deque
from collections.abc import Callable, Iterator, Set
from functools import cache
from random import Random
from typing import Generic, TypeVar

from hypothesis import Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from harness.errors import LabError
from harness.propagation.programs import LIMITS, OPENINGS, Draw, Step, read, replay

MOST_STEPS = 40
"""After the opening."""

BATCH = 1000
"""Programs of one search of hypothesis, which remembers every program of it."""

_RARELY = 50_000
"""New objects after which garbage is looked for; Python has it at some hundred."""

Program = TypeVar("Program")
Verdict = Callable[[], "bool | Verdict"]
"""Whether a program differs, once it has been tried; or what tells it later, after those that wait by now."""


def programs(known: Set[str] = frozenset()) -> st.SearchStrategy[list[Step]]:
    """Programs with what the model says of each step."""
    opened = cache(lambda number: replay(OPENINGS[number], known))
    return drawn(LIMITS, lambda number, draws: [*read(draws, known, opened(number))])


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
    strategy: st.SearchStrategy[Program],
    ask: Callable[[Program], Verdict],
    examples: int,
    seed: int | None,
    ahead: int = 1,
) -> Program | None:
    """A program that differs, of so many; none where none does. Without a seed the profile decides on chance.

    ``ask`` begins to try a program; its verdict is heard when the next ones, so many ``ahead``, have begun.

    Raises:
        LabError: a worker broke; what it ran tells nothing.
    """
    seeds = Random(seed)  # noqa: S311 - chance, not secrets
    assert settings.default is not None
    chance = seed is not None or not settings.default.derandomize
    for done in range(0, examples, BATCH):
        random = Random(seeds.getrandbits(64) if chance else done)  # noqa: S311
        found = _Batch(ask, ahead).run(strategy, min(BATCH, examples - done), random)
        if found:
            return found[0]
    return None


class _Batch(Generic[Program]):
    """One search of hypothesis, of which programs run while the next ones are drawn."""

    def __init__(self, ask: Callable[[Program], Verdict], ahead: int) -> None:
        self._ask = ask
        self._ahead = ahead
        self._waiting: deque[tuple[Program, Verdict]] = deque()
        self._differing: list[Program] = []
        self._broken: list[LabError] = []

    def run(self, strategy: st.SearchStrategy[Program], examples: int, random: Random) -> list[Program]:
        """The first program that differs, if there is one."""
        # What hypothesis would try in thousands of runs to shorten it, leaving out steps does in a few.
        options = settings(
            max_examples=examples, derandomize=False, database=None, phases=[Phase.generate], deadline=None
        )
        with contextlib.suppress(NoSuchExample), _collecting_rarely():
            find(strategy, self._try, settings=options, random=random)
        while self._waiting:
            self._hear()
        if self._broken:
            raise self._broken[0]
        return self._differing[:1]

    def _try(self, program: Program) -> bool:
        """Begin with a program and hear of an earlier one; hypothesis is never told that one differs."""
        if not (self._broken or self._differing):
            try:
                self._waiting.append((program, self._ask(program)))
            except LabError as error:
                self._broken.append(error)
            while len(self._waiting) > self._ahead:
                self._hear()
        return False

    def _hear(self) -> None:
        program, verdict = self._waiting.popleft()
        try:
            said = not self._broken and verdict()
            if callable(said):
                self._waiting.append((program, said))
            elif said:
                self._differing.append(program)
        except LabError as error:
            # An error in a predicate would be shrunk, as if it were what is looked for.
            self._broken.append(error)


@contextlib.contextmanager
def _collecting_rarely() -> Iterator[None]:
    """Look for cycles of garbage more rarely: hardly anything that a search makes is in one."""
    before = gc.get_threshold()
    gc.set_threshold(before[0] and max(before[0], _RARELY), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
