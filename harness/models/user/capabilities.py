"""Over which user namespaces, processes and files somebody has capabilities."""

from __future__ import annotations

from harness.models.acts import OK
from harness.models.idmaps import (
    from_first,
)
from harness.models.rules import rule
from harness.models.user.state import Actor, State


@rule(True, False)
def made(state: State, me: Actor, space: int) -> bool:
    """Whose user made a child of the caller's namespace has all capabilities in it.

    Source: user_namespaces(7), Capabilities, the third rule.
    """
    return state.spaces[space].parent == me.user and state.spaces[space].owner == me.uid


@rule(True, False)
def capable(state: State, me: Actor, over: int) -> bool:
    """Capabilities reach down, to all descendants of one's namespace or of what one's user made; never up.

    Source: user_namespaces(7), Capabilities, the first two rules.
    """
    space: int | None = over
    while space is not None and space != me.user:
        if made(state, me, space):
            return True
        space = state.spaces[space].parent
    return space == me.user and me.capabilities


@rule(OK, "EACCES")
def may_open(state: State, me: Actor, other: Actor) -> str:
    """A process's files in /proc are its user's; others need capabilities in a namespace that has that user.

    Source: proc(5); capabilities(7), CAP_DAC_OVERRIDE; user_namespaces(7), Operation involving files.
    """
    return OK if me.uid == other.uid or over_files_of(state, me, other.uid) else "EACCES"


@rule(True, False)
def over_files_of(state: State, me: Actor, owner: int) -> bool:
    """Capabilities hold for files whose owner the caller's namespace has.

    Source: user_namespaces(7), Operation of file-related capabilities.
    """
    return me.capabilities and from_first(state.spaces, me.user, owner) is not None
