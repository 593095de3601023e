"""Who may make or join a user namespace, and what it is there."""

from __future__ import annotations

from dataclasses import replace

from harness.models.acts import OK, Act
from harness.models.idmaps import (
    from_first,
)
from harness.models.rules import rule
from harness.models.user.capabilities import capable
from harness.models.user.state import Actor, Space, State, deepest, having


@rule(OK, "EPERM", "ENOSPC")
def may_make(state: State, me: Actor) -> str:
    """Who has no ID in its own namespace may not make another one, and so many levels are nested at most.

    Source: user_namespaces(7), Nested namespaces; clone(2), ERRORS; kernel/user_namespace.c, create_user_ns.
    """
    if state.spaces[me.user].level >= deepest(state.known):
        return "ENOSPC"
    return OK if from_first(state.spaces, me.user, me.uid) is not None else "EPERM"


@rule()
def after_make(me: Actor, new: int) -> Actor:
    """Who makes or enters a user namespace has all capabilities there, and keeps its ID.

    Source: user_namespaces(7), Capabilities.
    """
    return replace(me, user=new, capabilities=True)


@rule(OK, "EINVAL", "EPERM")
def may_join(state: State, me: Actor, target: int) -> str:
    """Joining takes capabilities in the target; one's own namespace cannot be joined again.

    Source: setns(2), Details for specific namespace types, and ERRORS.
    """
    if target == me.user:
        return "EINVAL"
    return OK if capable(state, me, target) else "EPERM"


@rule()
def forked(parent: Actor) -> Actor:
    """A child has its parent's namespace, ID and capabilities. Source: fork(2); user_namespaces(7)."""
    return parent


def bear(state: State, act: Act, me: Actor) -> tuple[State, str]:
    """A child, or a new namespace for oneself or for a child."""
    if act.verb == "fork":
        return replace(having(state, act.argument, forked(me)), born=state.born + 1), OK
    answer = may_make(state, me)
    if answer != OK:
        return state, answer
    new = after_make(me, len(state.spaces))
    level = state.spaces[me.user].level + 1
    space = Space(me.user, me.uid, made_by_capable=me.capabilities, level=level)
    state = replace(state, spaces=(*state.spaces, space))
    if act.verb == "unshare":
        return having(state, act.actor, new), OK
    return replace(having(state, act.argument[0], new), born=state.born + 1), OK
