"""What the search of a model found, kept to be tried first the next time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from hypothesis.database import ExampleDatabase

from harness.invariants import predicted
from harness.models.acts import Act
from harness.search.memory import Kept


class Acts(Kept[Act]):
    """Programs that a kernel and the model had otherwise."""

    def __init__(self, database: ExampleDatabase, whose: str, model: Any, base: Mapping[str, Any]) -> None:
        """The host has this base."""
        super().__init__(database, whose)
        self._model, self._base = model, base

    def program(self, kept: bytes) -> list[Act] | None:
        """The program that was kept; none where the model can't tell what would become of it."""
        try:
            program = [
                it._replace(argument=_tuples(it.argument)) for it in msgspec.json.decode(kept, type=list[Act])
            ]
            told = [*predicted(self._model, program, self._base)]
        except (msgspec.MsgspecError, AttributeError, LookupError, TypeError, ValueError):
            # What is no program can be anything to a model.
            return None
        known = all(it.verb in self._model.VERBS for it in program)
        return program if program and known and len(told) == len(program) else None


def _tuples(value: Any) -> Any:
    """As it was before it was JSON, which has lists alone.

    Raises:
        TypeError: no act has that.
    """
    if isinstance(value, dict):
        raise TypeError(value)
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
