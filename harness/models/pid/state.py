"""PID namespaces and the processes in them, as they stand."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace

OUTSIDE = -1
"""The parent of the first actor and the init of its namespace."""
HIDDEN = 100
"""From here on, numbers are those of processes that are no actors: inits between nested namespaces."""
DEEPEST = 32
"""Namespaces below the initial one: ``MAX_PID_NS_LEVEL``."""


@dataclass(frozen=True)
class Space:
    """A PID namespace: that in which it is, how deep it is, and its init, which is None before its birth."""

    parent: int | None
    level: int
    init: int | None = None
    dead: bool = False


@dataclass(frozen=True)
class Process:
    """A living process."""

    space: int
    children_space: int
    """Where its children will be: ``/proc/PID/ns/pid_for_children``."""
    parent: int
    subreaper: bool = False
    signals: int = 0
    """How often its handler of SIGUSR1 has run, its ancestors' before the fork included."""
    kept: int | None = None
    stopped: bool = False
    waiting: tuple[str, ...] = ()
    """What will be done to it when it is continued."""


@dataclass(frozen=True)
class State:
    """The living processes, all namespaces there ever were, and who is born next."""

    processes: Mapping[int, Process]
    spaces: tuple[Space, ...]
    known: Set[str] = frozenset()
    """Which known differences from the pages the kernel has (:mod:`harness.models.deviations`)."""
    born: int = 1
    hidden: int = HIDDEN

    @property
    def actors(self) -> Mapping[int, Process]:
        """Those who act."""
        return {number: one for number, one in self.processes.items() if number < HIDDEN}

    def having(self, number: int, process: Process) -> State:
        """With a process as it is now."""
        return replace(self, processes={**self.processes, number: process})

    def within(self, space: int, outer: int) -> bool:
        """Whether a namespace is another one or a descendant of it."""
        return outer in self.layers(space)

    def layers(self, space: int) -> list[int]:
        """The namespaces in which a process of one has a number, the first actor's first."""
        layers: list[int] = []
        here: int | None = space
        while here is not None:
            layers.insert(0, here)
            here = self.spaces[here].parent
        return layers
