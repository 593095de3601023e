"""Maps of IDs in user namespaces, of users or of groups: what an ID is elsewhere, and who may write a map.

IDs are counted as the first actor's namespace has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from harness.models.acts import OK
from harness.models.rules import rule

OVERFLOW = 65534
"""What is shown for an ID that has none in the viewer's namespace: ``/proc/sys/kernel/overflowuid``."""

Extent = tuple[int, int, int]
"""A line of a map: the first ID inside, the first outside, and how many."""


class Mapped(Protocol):
    """A user namespace, as far as its map is the question."""

    @property
    def parent(self) -> int | None:
        """The number of its parent; none for the first."""

    @property
    def map(self) -> tuple[Extent, ...]:
        """Its map, empty until it is written."""


Spaces = Sequence[Mapped]
"""All user namespaces by number."""


def written(extents: Sequence[Extent]) -> str:
    """A map as printf(1) takes it, to be written into a file of /proc."""
    return "".join("{} {} {}\\n".format(*extent) for extent in extents)


def outward(extents: Sequence[Extent], number: int, count: int = 1) -> int | None:
    """Where a map leads from inside, for a whole range that one of its lines must hold."""
    for inside, outside, length in extents:
        if inside <= number and number + count <= inside + length:
            return number - inside + outside
    return None


def inward(extents: Sequence[Extent], number: int) -> int | None:
    """Where a map leads from outside."""
    return outward([(outside, inside, length) for inside, outside, length in extents], number)


def to_first(spaces: Spaces, space: int | None, number: int | None) -> int | None:
    """What an ID of a namespace is in the first one, if it is mapped all the way."""
    while space is not None and number is not None:
        number = outward(spaces[space].map, number)
        space = spaces[space].parent
    return number


@rule()
def from_first(spaces: Spaces, space: int, number: int) -> int | None:
    """An ID is in a namespace what its map and those of its ancestors make of it, one after the other.

    Source: user_namespaces(7), User and group ID mappings: uid_map and gid_map.
    """
    parent = spaces[space].parent
    outside = number if parent is None else from_first(spaces, parent, number)
    return None if outside is None else inward(spaces[space].map, outside)


@rule("mapped", "unmapped")
def is_mapped(spaces: Spaces, space: int, number: int) -> str:
    """An ID that a namespace does not map is shown there as the overflow ID.

    Source: user_namespaces(7), Unmapped user and group IDs.
    """
    return "unmapped" if from_first(spaces, space, number) is None else "mapped"


def shown(spaces: Spaces, space: int, number: int) -> int | None:
    """What is seen of an ID in a namespace."""
    mapped = is_mapped(spaces, space, number) == "mapped"
    return from_first(spaces, space, number) if mapped else OVERFLOW


@rule(True, False)
def from_there(spaces: Spaces, member: int, target: int) -> bool:
    """A map is written from the namespace itself or from its parent, and never that of the first.

    Source: user_namespaces(7), Defining user and group ID mappings: writing to uid_map and gid_map.
    """
    return target != 0 and member in (target, spaces[target].parent)


@rule(True, False)
def is_written(space: Mapped) -> bool:
    """A map is written once. Source: user_namespaces(7), Defining user and group ID mappings."""
    return bool(space.map)


@rule(OK, "EPERM")
def has_outside(spaces: Spaces, target: int, lines: Sequence[Extent]) -> str:
    """Each range outside must be mapped in the parent, by one line of its map.

    Source: user_namespaces(7), Defining user and group ID mappings; kernel/user_namespace.c, map_write.
    """
    parent = spaces[target].parent
    assert parent is not None
    ranges = [outward(spaces[parent].map, outside, count) for _, outside, count in lines]
    return "EPERM" if None in ranges else OK
