"""Who may map groups, and deny that they are set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.models.acts import OK
from harness.models.groups.namespaces import capable
from harness.models.groups.state import Actor, State
from harness.models.idmaps import (
    Extent,
    from_there,
    has_outside,
    is_written,
    to_first,
)
from harness.models.rules import rule


@rule(True, False)
def own_group_alone(state: State, me: Actor, target: int, lines: Sequence[Extent]) -> bool:
    """Without capabilities in the parent one maps one's own group alone, and only after setgroups was denied.

    Source: user_namespaces(7), Defining user and group ID mappings: the last list of rules.
    """
    (_, outside, count), *more = lines
    space = state.spaces[target]
    own = not more and count == 1 and to_first(state.spaces, space.parent, outside) == me.gid
    return own and not space.allowed


def may_map(state: State, me: Actor, target: int, lines: Sequence[Extent]) -> str:
    """What the kernel says to a map."""
    space = state.spaces[target]
    if not from_there(state.spaces, me.user, target) or is_written(space) or not capable(state, me, target):
        return "EPERM"
    assert space.parent is not None
    if not (own_group_alone(state, me, target, lines) or capable(state, me, space.parent)):
        return "EPERM"
    return has_outside(state.spaces, target, lines)


@rule(OK, "EACCES", "EPERM")
def may_permit(state: State, me: Actor, target: int, word: str) -> str:
    """setgroups(2) can be denied until groups are mapped; what is denied is never allowed again.

    Source: user_namespaces(7), The /proc/pid/setgroups file.
    """
    space = state.spaces[target]
    if not capable(state, me, target):
        return "EACCES"
    return OK if (space.allowed if word == "allow" else not space.map) else "EPERM"


def write(state: State, verb: str, me: Actor, other: int, content: object) -> tuple[State, str]:
    """Write the map of another's namespace, or whether groups may be set there."""
    target = state.actors[other].user
    if isinstance(content, str):
        answer = may_permit(state, me, target, content)
        changed = replace(state.spaces[target], allowed=content == "allow")
    else:
        assert isinstance(content, tuple)
        answer = may_map(state, me, target, content)
        changed = replace(state.spaces[target], map=content)
    if answer != OK:
        return state, answer
    spaces = [*state.spaces]
    spaces[target] = changed
    return replace(state, spaces=tuple(spaces)), OK
