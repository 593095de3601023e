"""User namespaces, the processes in them and the files of these, as they stand."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace

from harness.models.deviations import LEVEL_33
from harness.models.idmaps import Extent

DEEPEST = 32
"""Namespaces below the initial one, each in the one before (user_namespaces(7), Nested namespaces)."""


@dataclass(frozen=True)
class Space:
    """A user namespace: its parent, the ID that made it, its map, how deep it is."""

    parent: int | None
    owner: int
    map: tuple[Extent, ...] = ()
    made_by_capable: bool = True
    level: int = 0


@dataclass(frozen=True)
class Actor:
    """A living process: its namespace, its user ID, and whether it has capabilities."""

    user: int
    uid: int = 0
    capabilities: bool = True


@dataclass(frozen=True)
class State:
    """The living actors, all namespaces there ever were, the files' owners, and who is born next."""

    actors: Mapping[int, Actor]
    spaces: tuple[Space, ...]
    files: Mapping[str, int] = field(default_factory=dict)
    born: int = 1
    known: Set[str] = frozenset()
    """Which known differences from the pages the kernel has (:mod:`harness.models.deviations`)."""


def deepest(known: Set[str]) -> int:
    """How many namespaces there can be below the initial one, on a kernel with these known differences."""
    return DEEPEST + (LEVEL_33 in known)


def having(state: State, number: int, actor: Actor) -> State:
    """The state with an actor as it is now."""
    return replace(state, actors={**state.actors, number: actor})
