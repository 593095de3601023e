"""What hypothesis draws: programs of operations; and how a search goes through as many as it may."""

from __future__ import annotations

import contextlib
import gc
from collections import deque
from collections.abc import Callable, Iterator, Sequence, Set
from functools import cache
from itertools import islice
from random import Random
from typing import Generic, TypeVar

from hypothesis import Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from harness.errors import LabError
from harness.propagation.programs import LIMITS, OPENINGS, Draw, Step, read, replay
from harness.search.effort import never

MOST_STEPS = 40
"""After the opening."""

BATCH = 1000
"""Programs of one search of hypothesis, which remembers all that it drew."""

AT_ONCE = 4
"""Programs that are drawn together: for each draw hypothesis does much beside it."""

_RARELY = 50_000
"""New objects after which garbage is looked for; Python has it at some hundred."""

Seed = int | str
Program = TypeVar("Program")
Verdict = Callable[[], "bool | Verdict"]
"""Whether a program differs, once it has been tried; or what tells it later, after those that wait by now."""


def programs(known: Set[str] = frozenset()) -> st.SearchStrategy[list[list[Step]]]:
    """Programs, :data:`AT_ONCE`, with what the model says of each step."""
    opened = cache(lambda number: replay(OPENINGS[number], known))
    return drawn(LIMITS, lambda number, draws: [*read(draws, known, opened(number))])


def drawn(
    limits: Draw, read: Callable[[int, Iterator[Draw]], Program], openings: int = len(OPENINGS)
) -> st.SearchStrategy[list[Program]]:
    """What ``read`` makes of an opening's number and of draws below these limits, :data:`AT_ONCE`."""
    # One draw of bytes for all: drawn one by one, the steps would cost more than the kernel's work. And where
    # two draws were of one kind, hypothesis would go on with what it has, the one in place of the other.
    size = 2 + MOST_STEPS * len(limits)
    data = st.binary(min_size=AT_ONCE * size, max_size=AT_ONCE * size)

    def programs(data: bytes) -> list[Program]:
        parts = (data[begin : begin + size] for begin in range(0, len(data), size))
        return [read(first % openings, _draws(steps, count, limits)) for first, count, *steps in parts]

    return data.map(programs)


def _draws(data: Sequence[int], count: int, limits: Draw) -> Iterator[Draw]:
    """So many draws as a number stands for, which are one at least."""
    what, whom, source = limits
    steps = zip(data[::3], data[1::3], data[2::3], strict=True)
    for first, second, third in islice(steps, 1 + count % MOST_STEPS):
        yield first % what, second % whom, third % source


def hunt(
    strategy: st.SearchStrategy[Sequence[Program]],
    ask: Callable[[Program], Verdict],
    examples: int,
    seed: Seed,
    ahead: int = 1,
    over: Callable[[], bool] = never,
) -> Program | None:
    """A program that differs, of so many; none where none does, or none until the time is ``over``.

    ``strategy`` draws :data:`AT_ONCE`, all of which are tried: so it may be a few more than were asked for.
    ``ask`` begins to try a program; its verdict is heard when the next ones, so many ``ahead``, have begun.

    Raises:
        LabError: a worker broke; what it ran tells nothing.
    """
    chance = Random(seed)  # noqa: S311 - chance, not secrets
    for done in range(0, examples, BATCH):
        if over():
            break
        found = _Batch(ask, ahead, over).run(strategy, min(BATCH, examples - done), chance)
        if found:
            return found[0]
    return None


class _Batch(Generic[Program]):
    """One search of hypothesis, of which programs run while the next ones are drawn."""

    def __init__(self, ask: Callable[[Program], Verdict], ahead: int, over: Callable[[], bool]) -> None:
        self._ask, self._ahead, self._over = ask, ahead, over
        self._waiting: deque[tuple[Program, Verdict]] = deque()
        self._differing: list[Program] = []
        self._broken: list[LabError] = []

    def run(
        self, strategy: st.SearchStrategy[Sequence[Program]], examples: int, random: Random
    ) -> list[Program]:
        """The first program that differs, if there is one."""
        # What hypothesis would try in thousands of runs to shorten it, leaving out steps does in a few.
        options = settings(
            max_examples=-(-examples // AT_ONCE),
            derandomize=False,
            database=None,
            phases=[Phase.generate],
            deadline=None,
        )
        with contextlib.suppress(NoSuchExample), _collecting_rarely():
            find(strategy, self._try, settings=options, random=random)
        while self._waiting:
            self._hear()
        if self._broken:
            raise self._broken[0]
        return self._differing[:1]

    def _try(self, programs: Sequence[Program]) -> bool:
        """Begin with programs and hear of earlier ones; hypothesis is never told that one differs."""
        for program in programs:
            if not (self._broken or self._differing or self._over()):
                self._begin(program)
        return False

    def _begin(self, program: Program) -> None:
        try:
            self._waiting.append((program, self._ask(program)))
        except LabError as error:
            self._broken.append(error)
        while len(self._waiting) > self._ahead:
            self._hear()

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
