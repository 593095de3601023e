"""User namespaces and the processes in them, as far as groups are the question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.models.idmaps import Extent


@dataclass(frozen=True)
class Space:
    """A user namespace: its parent, its map of groups, whether they may be set, whether it has the user."""

    parent: int | None
    map: tuple[Extent, ...] = ()
    allowed: bool = True
    has_user: bool = True


@dataclass(frozen=True)
class Actor:
    """A living process: its namespace, its group, its further groups, and whether it has capabilities."""

    user: int
    gid: int = 0
    groups: tuple[int, ...] = ()
    capabilities: bool = True


@dataclass(frozen=True)
class State:
    """The living actors, all namespaces there ever were, and who is born next."""

    actors: Mapping[int, Actor]
    spaces: tuple[Space, ...]
    born: int = 1


def having(state: State, number: int, actor: Actor) -> State:
    """The state with an actor as it is now."""
    return replace(state, actors={**state.actors, number: actor})
