"""What all models share: an act, its answer, and how actors and their shells are written."""

from __future__ import annotations

from collections.abc import Mapping
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


def letter(actor: int) -> str:
    """An actor's name as programs are printed."""
    return "abcdefgh"[actor]


def by_appearance(found: Mapping[str, object]) -> dict[str, int]:
    """Names for equal things, in the order in which they appear: raw numbers vary from run to run."""
    seen: dict[object, int] = {}
    return {key: seen.setdefault(value, len(seen)) for key, value in found.items()}
