"""Which groups a process may take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.models.acts import OK, Act
from harness.models.groups.state import Actor, State, having
from harness.models.idmaps import (
    to_first,
)
from harness.models.rules import rule


@rule(OK, "EINVAL", "EPERM")
def may_set_groups(state: State, me: Actor, groups: Sequence[int]) -> str:
    """Groups are set with capabilities, once they are mapped and where that was not denied.

    Source: setgroups(2), ERRORS; user_namespaces(7), The /proc/pid/setgroups file.
    """
    space = state.spaces[me.user]
    if not (me.capabilities and space.map and space.allowed):
        return "EPERM"
    return "EINVAL" if None in [to_first(state.spaces, me.user, number) for number in groups] else OK


@rule(OK, "EINVAL", "EPERM")
def may_become(state: State, me: Actor, number: int) -> str:
    """A process can take a group that its namespace has; without capabilities only the one it has.

    Source: setgid(2), ERRORS; user_namespaces(7), User and group ID mappings.
    """
    target = to_first(state.spaces, me.user, number)
    if target is None:
        return "EINVAL"
    return OK if me.capabilities or target == me.gid else "EPERM"


def change(state: State, act: Act, me: Actor) -> tuple[State, str]:
    """Take another group, or other further ones."""
    wanted = act.argument if act.verb == "setgroups" else (act.argument,)
    check = may_set_groups(state, me, wanted) if act.verb == "setgroups" else may_become(state, me, *wanted)
    if check != OK:
        return state, check
    found = [to_first(state.spaces, me.user, number) for number in wanted]
    groups = tuple(number for number in found if number is not None)
    assert len(groups) == len(wanted)
    if act.verb == "setgroups":
        return having(state, act.actor, replace(me, groups=groups)), OK
    return having(state, act.actor, replace(me, gid=groups[0])), OK
