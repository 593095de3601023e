"""Who may make or join a user namespace, and what of groups it finds there."""

from __future__ import annotations

from dataclasses import replace

from harness.models.acts import OK, Act
from harness.models.groups.state import Actor, Space, State, having
from harness.models.idmaps import (
    from_first,
)
from harness.models.rules import rule


@rule(True, False)
def capable(state: State, me: Actor, over: int) -> bool:
    """Who owns all namespaces is capable in all below its own, and in its own if it has capabilities.

    Source: user_namespaces(7), Capabilities.
    """
    space: int | None = over
    while space is not None and space != me.user:
        if state.spaces[space].parent == me.user:
            return True
        space = state.spaces[space].parent
    return space == me.user and me.capabilities


@rule(OK, "EPERM")
def may_make(state: State, me: Actor) -> str:
    """Who has no user or no group in its own namespace may not make another one. Source: clone(2), ERRORS."""
    has_both = state.spaces[me.user].has_user and from_first(state.spaces, me.user, me.gid) is not None
    return OK if has_both else "EPERM"


@rule(True, False)
def allowed_in_new(parent: Space) -> bool:
    """What is denied in a namespace is denied in all that are made in it.

    Source: user_namespaces(7), The /proc/pid/setgroups file.
    """
    return parent.allowed


@rule(OK, "EINVAL", "EPERM")
def may_join(state: State, me: Actor, target: int) -> str:
    """Joining takes capabilities in the target; one's own namespace cannot be joined again.

    Source: setns(2), Details for specific namespace types, and ERRORS.
    """
    if target == me.user:
        return "EINVAL"
    return OK if capable(state, me, target) else "EPERM"


@rule()
def after_entry(me: Actor, space: int) -> Actor:
    """Who makes or enters a namespace has all capabilities there, and keeps its groups.

    Source: user_namespaces(7), Capabilities.
    """
    return replace(me, user=space, capabilities=True)


@rule()
def forked(parent: Actor) -> Actor:
    """A child has its parent's namespace, groups and capabilities. Source: fork(2); user_namespaces(7)."""
    return parent


def bear(state: State, act: Act, me: Actor) -> tuple[State, str]:
    """A child, or a new namespace for oneself or for a child."""
    if act.verb == "fork":
        return replace(having(state, act.argument, forked(me)), born=state.born + 1), OK
    answer = may_make(state, me)
    if answer != OK:
        return state, answer
    allowed = allowed_in_new(state.spaces[me.user])
    new = after_entry(me, len(state.spaces))
    state = replace(state, spaces=(*state.spaces, Space(me.user, (), allowed, has_user=me.capabilities)))
    if act.verb == "unshare":
        return having(state, act.actor, new), OK
    return replace(having(state, act.argument[0], new), born=state.born + 1), OK
