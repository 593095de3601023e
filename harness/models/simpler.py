"""Programs that say the same in fewer or plainer acts: what a counterexample is made shorter by.

Acts are taken as they are, never as draws: what one is about stays what it is when another is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from harness.models.acts import BIRTHS, Act, renamed, whom

PLAINER = 5
"""How many other arguments are tried in the place of one: the first ones that the model names."""


def simplified(model: Any, program: Sequence[Act], base: Mapping[str, Any]) -> Iterator[list[Act]]:
    """Programs that are simpler: without an act, with an actor less, or with an act that says less."""
    for number in reversed(range(len(program))):
        yield playable(model, [*program[:number], *program[number + 1 :]], base)
    for birth in [act for act in program if act.verb in BIRTHS]:
        child = whom(birth)
        assert child is not None
        yield playable(model, _merged(program, birth, {child: birth.actor}), base)
    for number, act in enumerate(program):
        for other in _plainer(model, program[:number], act, base):
            yield playable(model, [*program[:number], other, *program[number + 1 :]], base)


def playable(model: Any, program: Iterable[Act], base: Mapping[str, Any]) -> list[Act]:
    """The acts of a program that somebody can carry out, its actors numbered as they come."""
    state, names, kept = model.start(**base), {0: 0}, []
    for act in program:
        other = whom(act)
        if act.verb in BIRTHS and other is not None:
            names.setdefault(other, len(names))
        if act.actor not in names or other not in (None, *names):
            continue
        act = renamed(act, names)
        if act.actor not in able_to_act(state):
            continue
        try:
            state, _ = model.step(state, act)
        except KeyError:
            continue
        kept.append(act)
    return kept


def able_to_act(state: Any) -> list[int]:
    """The living who are not stopped."""
    return [number for number, one in state.actors.items() if not getattr(one, "stopped", False)]


def _merged(program: Iterable[Act], birth: Act, names: Mapping[int, int]) -> Iterator[Act]:
    """A program in which a child is its parent; without what one did to the other: nobody can stop itself."""
    for act in program:
        new = renamed(act, names)
        if act is not birth and (whom(act) == act.actor or whom(new) != new.actor):
            yield new


def _plainer(model: Any, before: Iterable[Act], act: Act, base: Mapping[str, Any]) -> Iterator[Act]:
    """The same act with what the model names first, and a new namespace without a birth or the other way."""
    state = model.start(**base)
    for earlier in before:
        state, _ = model.step(state, earlier)
    choices = [*dict.fromkeys(model.choices(state, act.actor, act.verb))]
    yield from choices[: min(PLAINER, choices.index(act) if act in choices else PLAINER)]
    if act.verb == "clone":
        yield Act("unshare", act.actor, act.argument[1])
    if act.verb in BIRTHS and act.verb != "fork":
        yield Act("fork", act.actor, whom(act))
