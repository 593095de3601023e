"""Who may write which map of IDs, and how it is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from harness.models.acts import OK
from harness.models.idmaps import (
    Extent,
    from_first,
    from_there,
    has_outside,
    inward,
    is_written,
    to_first,
)
from harness.models.rules import rule
from harness.models.user.capabilities import capable, may_open
from harness.models.user.state import Actor, State

NONE = 4294967295
"""What a map shows for an ID outside that the reader's namespace does not have: -1 in 32 bits."""


@rule(True, False)
def well_formed(lines: Sequence[Extent]) -> bool:
    """Lines of a map do not overlap, and none is empty.

    Source: user_namespaces(7), Defining user and group ID mappings.
    """
    firsts = sorted((inside, length) for inside, _, length in lines)
    apart = all(one + length <= other for (one, length), (other, _) in pairwise(firsts))
    return apart and all(length for *_, length in lines)


@rule(True, False)
def own_id_alone(state: State, me: Actor, target: int, lines: Sequence[Extent]) -> bool:
    """Who made a namespace may map its own ID there and no other, without any capability in the parent.

    Source: user_namespaces(7), Defining user and group ID mappings: the last list of rules.
    """
    space = state.spaces[target]
    (_, outside, count), *more = lines
    return not more and count == 1 and me.uid == space.owner == to_first(state.spaces, space.parent, outside)


@rule(OK, "EPERM")
def may_map_root(state: State, me: Actor, target: int, lines: Sequence[Extent]) -> str:
    """Mapping the parent's root takes CAP_SETFCAP: of the writer in the parent, or of who made the namespace.

    Source: user_namespaces(7), Defining user and group ID mappings (since Linux 5.12).
    """
    space = state.spaces[target]
    if inward(lines, 0) is None:
        return OK
    return OK if (space.made_by_capable if me.user == target else me.capabilities) else "EPERM"


def may_map(state: State, me: Actor, other: Actor, lines: Sequence[Extent]) -> str:
    """What the kernel says to a map, in the order in which it asks."""
    target, space = other.user, state.spaces[other.user]
    if may_open(state, me, other) != OK:
        return "EACCES"
    if not from_there(state.spaces, me.user, target) or is_written(space) or not capable(state, me, target):
        return "EPERM"
    if not well_formed(lines):
        return "EINVAL"
    if may_map_root(state, me, target, lines) != OK:
        return "EPERM"
    assert space.parent is not None
    if not (own_id_alone(state, me, target, lines) or capable(state, me, space.parent)):
        return "EPERM"
    return has_outside(state.spaces, target, lines)


def write_map(state: State, me: Actor, other: int, lines: Sequence[Extent]) -> tuple[State, str]:
    """Write the map of another's namespace."""
    target = state.actors[other].user
    answer = may_map(state, me, state.actors[other], lines)
    if answer != OK:
        return state, answer
    spaces = [*state.spaces]
    spaces[target] = replace(spaces[target], map=tuple(lines))
    return replace(state, spaces=tuple(spaces)), OK


@rule("parent", "reader")
def outside_of(reader: int, target: int) -> str:
    """Read from the namespace itself, a map tells IDs of its parent; read from another, IDs of the reader's.

    Source: user_namespaces(7), User and group ID mappings: uid_map and gid_map, the second field.
    """
    return "parent" if reader == target else "reader"


def map_read(state: State, reader: int, target: int) -> list[list[int]]:
    """A namespace's map as it is read in a namespace."""
    space = state.spaces[target]
    assert space.parent is not None
    outside = space.parent if outside_of(reader, target) == "parent" else reader
    lines = []
    for inside, first, count in space.map:
        number = to_first(state.spaces, space.parent, first)
        known = None if number is None else from_first(state.spaces, outside, number)
        lines.append([inside, NONE if known is None else known, count])
    return lines
