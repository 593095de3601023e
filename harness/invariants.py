"""Hold a model against a kernel: draw programs, play them, compare, and print where the two differ.

hypothesis draws and shrinks; a program's acts are drawn as plain numbers that are read in the model's state,
so that an act may be left out without the others losing their sense.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from hypothesis import find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from harness.crews import Seen
from harness.errors import LabError
from harness.models import acts
from harness.models.acts import OK, Act, View, letter

PROGRAMS = 5
"""Programs for each of hypothesis' examples: one costs far less than a command typed at a shell."""


LEGEND = (
    "# A shell for each letter, a the first; $b is the PID of b's. What is not ok is said behind the line."
)
"""How a program is to be read."""

LONGEST = 24
"""Acts of a program."""


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
Play = Callable[[Sequence[tuple[Act, Sequence[int]]]], list[Seen]]
"""Carries out a program: a crew's method, or another model's."""


def drawn(model: Any) -> st.SearchStrategy[list[Draw]]:
    """Acts before there is a state to read them in: verb, actor and argument by number."""
    act = st.tuples(st.integers(0, len(model.VERBS) - 1), st.integers(0, 5), st.integers(0, 60))
    # A list's average length is near its least one: long programs have to be asked for.
    least = st.sampled_from([1, LONGEST // 2, LONGEST * 2 // 3])
    return least.flatmap(lambda size: st.lists(act, min_size=size, max_size=LONGEST))


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


def able_to_act(state: Any) -> list[int]:
    """The living who are not stopped."""
    return [number for number, one in state.actors.items() if not getattr(one, "stopped", False)]


def read(model: Any, state: Any, able: Sequence[int], draw: Draw) -> Act:
    """The act that a draw stands for; of a verb of which there is nothing to try, the next one."""
    verb, number, argument = draw
    actor = able[number % len(able)]
    verbs = [*model.VERBS[verb:], *model.VERBS[:verb]]
    choices = next(found for found in (model.choices(state, actor, verb) for verb in verbs) if found)
    act: Act = choices[argument % len(choices)]
    return act


def difference(model: Any, play: Play, program: Sequence[Draw | Act], base: Mapping[str, Any]) -> str:
    """A program up to the first act of which the kernel says something else than the model; or nothing."""
    steps = [*predicted(model, program, base)]
    seen = play([(step.act, step.ends) for step in steps])
    first = Seen(OK, model.view(model.start(**base)))
    said = [first, *(step.seen for step in steps)]
    # What kernel and model disagree on can keep the rest from being played: then less was seen.
    for number, (expected, found) in enumerate(zip(said, seen, strict=False)):
        differing = disagreements(expected, found)
        if differing:
            return "\n".join([*told(model, steps[:number]), *differing])
    if len(seen) != len(said):
        raise LabError(f"the program was not played to its end: {told(model, steps)[len(seen) - 1]}")
    return ""


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


def as_kernel(model: Any, base: Mapping[str, Any]) -> Play:
    """A model that plays the kernel: what another one is held against where no kernel is needed."""

    def play(program: Sequence[tuple[Act, Sequence[int]]]) -> list[Seen]:
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
        return seen

    return play


def search(model: Any, play: Play, base: Mapping[str, Any], situations: Iterable[Sequence[Act]] = ()) -> str:
    """A program that tells kernel and model apart: one of the situations, or the shortest that was found.

    Raises:
        LabError: the crew broke; its programs tell nothing.
    """
    for situation in situations:
        text = difference(model, play, situation, base)
        if text:
            return text
    return found(model, play, base)


def found(model: Any, play: Play, base: Mapping[str, Any]) -> str:
    """The shortest program found that tells kernel and model apart, of so many as the settings say.

    Raises:
        LabError: the crew broke; its programs tell nothing.
    """
    broken: list[LabError] = []
    texts: dict[str, str] = {}

    def differs(draws: list[Draw]) -> bool:
        if broken:
            return False
        try:
            text = difference(model, play, draws, base)
        except LabError as error:
            # An error in a predicate would be shrunk, as if it were what is looked for.
            broken.append(error)
            return False
        if text:
            texts[str(draws)] = text
        return bool(text)

    try:
        shortest: list[Draw] = find(
            drawn(model), differs, settings=many(), database_key=model.__name__.encode()
        )
    except NoSuchExample:
        shortest = []
    if broken:
        raise broken[0]
    return texts[str(shortest)] if shortest else ""


def many() -> settings:
    """The settings of the profile, for programs."""
    assert settings.default is not None
    return settings(max_examples=settings.default.max_examples * PROGRAMS)
