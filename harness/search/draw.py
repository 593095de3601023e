"""What hypothesis draws: programs of operations; and how a search goes through as many as it may."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from random import Random
from typing import TypeVar

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
    strategy: st.SearchStrategy[Program],
    differs: Callable[[Program], bool],
    examples: int,
    seed: int | None,
    key: bytes,
) -> Program | None:
    """A program that differs, of so many; none where none does. Without a seed the profile decides on chance.

    ``key`` is the search's own in hypothesis' database, from which the programs come that differed before.

    Raises:
        LabError: a worker broke; what it ran tells nothing.
    """
    seeds = Random(seed)  # noqa: S311 - chance, not secrets
    assert settings.default is not None
    chance = seed is not None or not settings.default.derandomize
    for done in range(0, examples, BATCH):
        random = Random(seeds.getrandbits(64) if chance else done)  # noqa: S311
        found = _batch(strategy, differs, min(BATCH, examples - done), random, key)
        if found is not None:
            return found
    return None


def _batch(
    strategy: st.SearchStrategy[Program],
    differs: Callable[[Program], bool],
    examples: int,
    random: Random,
    key: bytes,
) -> Program | None:
    broken: list[LabError] = []

    def holds(program: Program) -> bool:
        try:
            return not broken and differs(program)
        except LabError as error:
            # An error in a predicate would be shrunk, as if it were what is looked for.
            broken.append(error)
            return False

    # What hypothesis would try in thousands of runs, leaving out steps does in a few.
    phases = (Phase.reuse, Phase.generate)
    usual = settings.default
    database = usual.database if usual else None
    options = settings(
        max_examples=examples, derandomize=False, database=database, phases=phases, deadline=None
    )
    try:
        found = find(strategy, holds, settings=options, random=random, database_key=key)
    except NoSuchExample:
        found = None
    if broken:
        raise broken[0]
    return found
