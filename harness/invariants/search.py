"""Search for a program of which kernel and model tell different things, and make it as short as it can be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from itertools import islice
from typing import Any, NamedTuple

from hypothesis import strategies as st

from harness.errors import LabError
from harness.invariants import Begin, Disagreement, Draw, Hear, begun, difference
from harness.models import MODELS
from harness.models.acts import Act
from harness.models.deviations import WITNESSES
from harness.models.simpler import simplified
from harness.models.situations import SITUATIONS
from harness.search import draw
from harness.search.effort import Effort
from harness.search.memory import Kept
from harness.search.shorter import smallest

PROGRAMS = 2
"""Programs for each of hypothesis' examples: with the situations, enough to reach every rule by default."""

LONGEST = 24
"""Acts of a program."""

AHEAD = 2
"""Programs that the kernel has before it while the next one is drawn."""

PATIENCE = 60.0
"""Seconds after which no further program is tried to make a disagreement shorter."""

HASTE = 1.0
"""Seconds in which who should end has to end while a disagreement is made shorter."""


def drawn(model: Any) -> st.SearchStrategy[list[list[Draw]]]:
    """Programs, some at once, before there are states to read their acts in."""
    limits = (len(model.VERBS), 6, 61)
    return draw.drawn(limits, lambda _, draws: [*islice(draws, LONGEST)], openings=1)


class Found(NamedTuple):
    """A disagreement, and which difference from the pages explains it."""

    disagreement: Disagreement
    difference: str
    """The difference's id; empty where the model has none that explains it."""


def run_on(
    kind: str,
    begin: Begin,
    base: Mapping[str, Any],
    effort: Effort,
    memory: Kept[Act] | None = None,
    known: Set[str] = frozenset(),
) -> Iterator[Found]:
    """All disagreements that are found, each behind the one before it; ``known`` is not among them.

    The search goes on where a difference that the model can have explains what was found; so the last one
    may be one that nothing explains.

    Raises:
        LabError: the crew broke; its programs tell nothing.
    """
    model, behind, begun_at = MODELS[kind], known, time.monotonic()
    while found := search(
        model,
        begin,
        having(base, behind),
        effort.after(time.monotonic() - begun_at),
        SITUATIONS[kind].values(),
        memory,
        # Where they agree behind a difference that was found meanwhile, the next search meets it again.
        forget=behind == known,
    ):
        others = sorted(WITNESSES.get(kind, {}).keys() - behind)
        agree = (it for it in others if not difference(model, begin, found.acts, having(base, {*behind, it})))
        explanation = next(agree, "")
        yield Found(found, explanation)
        if not explanation:
            return
        behind = {*behind, explanation}


def deviations(kind: str, begin: Begin, base: Mapping[str, Any], known: Callable[[str], bool]) -> set[str]:
    """The differences that the kernel shows and that are known of its build: the search goes on behind."""
    return {
        name
        for name, witness in WITNESSES.get(kind, {}).items()
        if difference(MODELS[kind], begin, witness, base)
        and not difference(MODELS[kind], begin, witness, having(base, {name}))
        and known(name)
    }


def having(base: Mapping[str, Any], known: Set[str]) -> Mapping[str, Any]:
    """A host whose kernel has these differences; a model without any is not told of them."""
    return {**base, "known": known} if known else base


def search(
    model: Any,
    begin: Begin,
    base: Mapping[str, Any],
    effort: Effort,
    situations: Iterable[Sequence[Act]] = (),
    memory: Kept[Act] | None = None,
    *,
    forget: bool = True,
) -> Disagreement | None:
    """The shortest program that tells kernel and model apart, of the situations and of what is drawn.

    What ``memory`` has is tried first, and forgotten where kernel and model now agree, if it is to be.

    Raises:
        LabError: the crew broke; its programs tell nothing.
    """
    if memory is None:
        return _new(model, begin, base, effort, situations)
    if found := memory.still(lambda program: difference(model, begin, program, base), forget=forget):
        return found
    if found := _new(model, begin, base, effort, situations):
        memory.keep(found.acts)
    return found


def _new(
    model: Any,
    begin: Begin,
    base: Mapping[str, Any],
    effort: Effort,
    situations: Iterable[Sequence[Act]],
) -> Disagreement | None:
    for situation in situations:
        found = difference(model, begin, situation, base)
        if found:
            return shortest(model, begin, base, found)
    noted: list[Disagreement] = []

    def ask(program: Sequence[Draw]) -> Callable[[], bool]:
        hear = begun(model, begin, program, base)

        def differs() -> bool:
            found = hear()
            noted.extend([found] if found else [])
            return bool(found)

        return differs

    draw.hunt(drawn(model), ask, effort.programs(PROGRAMS), effort.seed, AHEAD, effort.over())
    return shortest(model, begin, base, noted[0]) if noted else None


def shortest(
    model: Any, begin: Begin, base: Mapping[str, Any], found: Disagreement, patience: float = PATIENCE
) -> Disagreement:
    """Leave out or make plainer every act with which the disagreement does without, until none is left.

    After so many seconds no further program is tried. What is left is played again; what does not show the
    disagreement then was made short in haste, and the program as it was found is told instead.

    Raises:
        LabError: the crew broke, or the kernel does not do the same twice.
    """
    end, tried = time.monotonic() + patience, {tuple(found.acts)}

    def hastily(program: Sequence[tuple[Act, Sequence[int]]], ends_within: float = HASTE) -> Hear:
        return begin(program, ends_within)

    def simpler(it: Disagreement) -> Iterator[Disagreement | None]:
        for program in simplified(model, it.acts, base):
            if tuple(program) not in tried and time.monotonic() < end:
                tried.add(tuple(program))
                yield difference(model, hastily, program, base)

    for program in (smallest(found, simpler).acts, found.acts):
        if again := difference(model, begin, program, base):
            return again
    raise LabError(f"the kernel did something else than the model, but not when asked again:\n{found.text}")
