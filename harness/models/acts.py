"""What all models share: an act, its answer, and how actors and their shells are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

MOST = 5
"""How many actors a program has at most, the dead among them."""

OK = "ok"

View = Mapping[str, Any]
"""What the actors see: a sentence's beginning (``a: hostname``) to a plain value."""


class Act(NamedTuple):
    """One step of a program: who does what."""

    verb: str
    actor: int
    argument: Any = None


_ALONE = ("fork", "setns", "keep")
_AMONG_OTHERS = ("clone", "nest", "kill", "signal", "map", "permit")
BIRTHS = ("fork", "clone", "nest")


def whom(act: Act) -> int | None:
    """The actor whom an act makes or is about, where that is told beside who does it."""
    if act.verb in _AMONG_OTHERS:
        return int(act.argument[0])
    return act.argument if act.verb in _ALONE else None


def renamed(act: Act, names: Mapping[int, int]) -> Act:
    """The act with other numbers for actors."""
    actor, other = names.get(act.actor, act.actor), whom(act)
    if other is None:
        return act._replace(actor=actor)
    new = names.get(other, other)
    return Act(act.verb, actor, new if act.verb in _ALONE else (new, *act.argument[1:]))


def letter(actor: int) -> str:
    """An actor's name as programs are printed."""
    return "abcdefgh"[actor]


def by_appearance(found: Mapping[str, object]) -> dict[str, int]:
    """Names for equal things, in the order in which they appear: raw numbers vary from run to run."""
    seen: dict[object, int] = {}
    return {key: seen.setdefault(value, len(seen)) for key, value in found.items()}


def by_each(actors: Iterable[int], look: Callable[[int], View]) -> dict[str, Any]:
    """What each actor sees, under its letter."""
    return {f"{letter(actor)}: {name}": value for actor in actors for name, value in look(actor).items()}


def links(kinds: Mapping[str, Mapping[int, object]]) -> dict[str, int]:
    """Which actors' namespaces are one and the same, by links, of which any two may be equal."""
    return by_appearance(
        {
            f"{letter(actor)}: {kind} namespace": space
            for kind, spaces in kinds.items()
            for actor, space in spaces.items()
        }
    )


Lines = Mapping[str, "str | Callable[[Any], str]"]
"""Each verb's line, as a person could type it; or what makes it of an act's argument."""

SHELLS: Lines = {"fork": lambda child: f"sh    # its shell is {letter(child)}", "exit": "exit"}
"""What is typed in the same way whatever the kind of namespace."""


def told(lines: Lines, act: Act) -> str:
    """The act as a line of its actor's shell."""
    line = lines[act.verb]
    return line if isinstance(line, str) else line(act.argument)
