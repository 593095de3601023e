"""Hold a model against a kernel, program by program: play it, compare, and print where the two differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from harness.crews import Seen
from harness.errors import LabError
from harness.models import acts
from harness.models.acts import OK, Act, View, letter
from harness.models.simpler import able_to_act

LEGEND = (
    "# A shell for each letter, a the first; $b is the PID of b's. What is not ok is said behind the line."
)
"""How a program is to be read."""


class Model(Protocol):
    """A module of :mod:`harness.models` with its own type of states."""

    VERBS: tuple[str, ...]
    LINES: acts.Lines
    """Each act as a line that a person could type."""

    def start(self, **base: Any) -> Any:
        """The first state, on a host with this base."""

    def choices(self, state: Any, actor: int, verb: str) -> list[Act]:
        """The acts of this kind that an actor could try."""

    def step(self, state: Any, act: Act) -> tuple[Any, Any]:
        """The state after an act, and the act's answer."""

    def view(self, state: Any) -> View:
        """What all actors see."""


class Predicted(NamedTuple):
    """An act, who ends by it, and what should be seen after it."""

    act: Act
    ends: list[int]
    seen: Seen


Draw = tuple[int, int, int]
"""An act before there is a state to read it in: verb, actor and argument by number."""
Hear = Callable[[], list[Seen]]


class Begin(Protocol):
    """Begins to carry out a program, as a crew does or another model; what was seen is heard later."""

    def __call__(self, program: Sequence[tuple[Act, Sequence[int]]], ends_within: float = ...) -> Hear:
        """With each act those who should end by it; so many seconds are waited for them."""


class Disagreement(NamedTuple):
    """A program up to the first act of which the kernel says something else than the model."""

    acts: list[Act]
    text: str
    """The program as a person could type it, and what kernel and model say."""


def predicted(model: Any, program: Sequence[Draw | Act], base: Mapping[str, Any]) -> Iterator[Predicted]:
    """What the model says of each act of a program, or that draws stand for, as long as somebody can act."""
    state = model.start(**base)
    for given in program:
        living, able = [*state.actors], able_to_act(state)
        if not able or (isinstance(given, Act) and given.actor not in able):
            return
        act = given if isinstance(given, Act) else read(model, state, able, given)
        try:
            state, answer = model.step(state, act)
        except KeyError:
            # A situation's act by or on somebody whom, the model says, there is not.
            return
        ends = [one for one in living if one not in state.actors]
        yield Predicted(act, ends, Seen("dead" if act.actor in ends else answer, model.view(state)))


def read(model: Any, state: Any, able: Sequence[int], draw: Draw) -> Act:
    """The act that a draw stands for; of a verb of which there is nothing to try, the next one."""
    verb, number, argument = draw
    actor = able[number % len(able)]
    verbs = [*model.VERBS[verb:], *model.VERBS[:verb]]
    choices = next(found for found in (model.choices(state, actor, verb) for verb in verbs) if found)
    act: Act = choices[argument % len(choices)]
    return act


def difference(
    model: Any, begin: Begin, program: Sequence[Draw | Act], base: Mapping[str, Any]
) -> Disagreement | None:
    """Where the kernel has a program otherwise than the model; none where they agree throughout.

    Raises:
        LabError: the crew broke; its programs tell nothing.
    """
    return begun(model, begin, program, base)()


def begun(
    model: Any, begin: Begin, program: Sequence[Draw | Act], base: Mapping[str, Any]
) -> Callable[[], Disagreement | None]:
    """The same, with the kernel at work until the answer is asked for, which is to be done once."""
    steps = [*predicted(model, program, base)]
    hear = begin([(step.act, step.ends) for step in steps])
    return lambda: _compared(model, steps, hear(), base)


def _compared(
    model: Any, steps: Sequence[Predicted], seen: Sequence[Seen], base: Mapping[str, Any]
) -> Disagreement | None:
    first = Seen(OK, model.view(model.start(**base)))
    said = [first, *(step.seen for step in steps)]
    # What kernel and model disagree on can keep the rest from being played: then less was seen.
    for number, (expected, found) in enumerate(zip(said, seen, strict=False)):
        differing = disagreements(expected, found)
        if differing:
            text = "\n".join([*told(model, steps[:number]), *differing])
            return Disagreement([step.act for step in steps[:number]], text)
    if len(seen) != len(said):
        raise LabError(f"the program was not played to its end: {told(model, steps)[len(seen) - 1]}")
    return None


def disagreements(expected: Seen, found: Seen) -> list[str]:
    """What the kernel said and showed, each beside what the model says."""
    lines = []
    if found.answer != expected.answer:
        lines.append(f"    # answer: kernel {found.answer}, model {expected.answer}")
    for key in {**expected.view, **found.view}:
        one, other = found.view.get(key, "nothing"), expected.view.get(key, "nothing")
        if one != other:
            lines.append(f"    # {key}: kernel {one!r}, model {other!r}")
    return lines


def told(model: Any, steps: Sequence[Predicted]) -> list[str]:
    """A program as a person could type it: one shell for each actor, `a` the first; answers as comments."""
    lines = []
    for act, _, seen in steps:
        answer = "" if seen.answer in (OK, "dead") else f"    # {seen.answer}"
        lines.append(f"{letter(act.actor)}# {acts.told(model.LINES, act)}{answer}")
    return lines


def as_kernel(model: Any, base: Mapping[str, Any]) -> Begin:
    """A model that plays the kernel: what another one is held against where no kernel is needed."""

    def begin(program: Sequence[tuple[Act, Sequence[int]]], ends_within: float = 0.0) -> Hear:
        state = model.start(**base)
        seen = [Seen(OK, model.view(state))]
        for act, _ in program:
            if act.actor not in able_to_act(state):
                break
            try:
                state, answer = model.step(state, act)
            except KeyError:
                break
            seen.append(Seen("dead" if act.actor not in state.actors else answer, model.view(state)))
        return lambda: seen

    return begin
