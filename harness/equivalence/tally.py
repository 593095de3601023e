"""Counts what came of trials, by the fields that they speak of and by the kind of world they lead to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from harness.equivalence import incomparable
from harness.equivalence.strategies import FIELDS
from harness.probes.syscalls import KINDS, NEWUSER

Trial = Mapping[str, Any]


def _flags(trial: Trial) -> int:
    """The kinds of namespace that a trial asks for, by either way."""
    attributes = trial["description"].get("SysProcAttr", {})
    asked: int = attributes.get("Cloneflags", 0) | attributes.get("Unshareflags", 0)
    return asked & sum(KINDS.values())


def _maps(trial: Trial) -> bool:
    attributes = trial["description"].get("SysProcAttr", {})
    return any(attributes.get(name) is not None for name in ("UidMappings", "GidMappings"))


WORLDS: Mapping[str, Callable[[Trial], bool]] = {
    "same namespaces": lambda trial: not _flags(trial),
    "new ones, same user": lambda trial: bool(_flags(trial)) and not _flags(trial) & NEWUSER,
    "new user, no maps": lambda trial: bool(_flags(trial) & NEWUSER) and not _maps(trial),
    "new user, maps": lambda trial: bool(_flags(trial) & NEWUSER) and _maps(trial),
    "on a terminal": lambda trial: bool(trial["terminal"]),
    "fewer capabilities": lambda trial: bool(trial["without"]),
}
"""The kinds of world: the namespaces, of which a trial has one kind, and what the isolator itself is in."""

_COUNTS = ("tried", "started", "refused", *WORLDS, "Go and the port")
COLUMNS = ("started by", "field", *_COUNTS)
TOTAL = ("Go", "started by", *_COUNTS)


class Tally:
    """How many trials there were, and how many of them were started, refused or different."""

    def __init__(self) -> None:
        """Count from nothing."""
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def count(self, trial: Trial, *, started: bool, different: bool) -> None:
        """One trial more."""
        worlds = ["", *(name for name, holds in WORLDS.items() if holds(trial))]
        seen = ["tried", *["started"] * started, *["different"] * different]
        self._counts.update(
            (field, world, word)
            for field in (incomparable.ANY, *trial["fields"])
            for world in worlds
            for word in seen
        )

    def total(self, user: str, version: str) -> list[str | int]:
        """What came of all trials, started by a user, by Go of a version and the port."""
        return [version, user, *self._cells(incomparable.ANY, version)]

    def rows(self, user: str, version: str) -> Iterator[list[str | int]]:
        """The same of the trials with each field."""
        for field in FIELDS:
            yield [user, field, *self._cells(field, version)]

    def _cells(self, field: str, version: str) -> list[str | int]:
        """Three numbers; of each kind of world how many were started, of how many; and the verdict."""
        reasons = incomparable.concerning(field, version)
        lacking = next((it for it in reasons if it.whole), None)
        if lacking:
            return [0, 0, 0, *["0/0"] * len(WORLDS), f"not compared: {lacking.go}"]
        tried, started = self._of(field, "", "tried"), self._of(field, "", "started")
        worlds = [f"{self._of(field, it, 'started')}/{self._of(field, it, 'tried')}" for it in WORLDS]
        verdict = self._verdict(field, [it.values for it in reasons])
        return [tried, started, tried - started, *worlds, verdict]

    def _of(self, field: str, world: str, word: str) -> int:
        return self._counts[field, world, word]

    def _verdict(self, field: str, left_out: list[str]) -> str:
        """Whether all were equal; and what was left out of them, for it differs or tells nothing."""
        tried, started, different = (self._of(field, "", word) for word in ("tried", "started", "different"))
        same = "equal" if started else "equal, but none was started"
        said = (f"{different} different" if different else same) if tried else "not tried"
        return "; not compared: ".join([said, *["; ".join(left_out)] * bool(left_out)])
