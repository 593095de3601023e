"""IPC namespaces, what is in them, and the processes, as they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

SORTS = ("segment", "queue", "semaphore")


@dataclass(frozen=True)
class Object:
    """A System V object: what it is, its key (0: none, or no more) and its number."""

    sort: str
    key: int
    id: int


@dataclass(frozen=True)
class Space:
    """An IPC namespace: its objects, how many of each sort it ever had, the names of its POSIX queues."""

    objects: tuple[Object, ...] = ()
    made: Mapping[str, int] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    def by_id(self, sort: str, number: int) -> Object | None:
        """The object of this number."""
        return next((one for one in self.objects if (one.sort, one.id) == (sort, number)), None)

    def by_key(self, sort: str, key: int) -> Object | None:
        """The object to which a key leads."""
        return next((one for one in self.objects if key and (one.sort, one.key) == (sort, key)), None)


Segment = tuple[int, int]
"""A memory segment for good: the namespace in which it was made, and its number there."""


@dataclass(frozen=True)
class Actor:
    """A living process: its namespace, the segments attached to it, the namespace that it keeps open."""

    ipc: int
    attached: tuple[Segment, ...] = ()
    kept: int | None = None


@dataclass(frozen=True)
class State:
    """The living actors, all namespaces there ever were, what is in attached memory, who is born next."""

    actors: Mapping[int, Actor]
    spaces: tuple[Space, ...]
    memory: Mapping[Segment, int] = field(default_factory=dict)
    doomed: frozenset[Segment] = frozenset()
    born: int = 1


def without(space: Space, sort: str, number: int) -> Space:
    """A namespace without one of its objects."""
    return replace(space, objects=tuple(one for one in space.objects if (one.sort, one.id) != (sort, number)))


def in_space(state: State, number: int, space: Space) -> State:
    """The state with a namespace as it is now."""
    spaces = [*state.spaces]
    spaces[number] = space
    return replace(state, spaces=tuple(spaces))


def having(state: State, number: int, actor: Actor) -> State:
    """The state with an actor as it is now."""
    return replace(state, actors={**state.actors, number: actor})
