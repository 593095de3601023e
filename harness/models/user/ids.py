"""Which ID a process may take or give to a file."""

from __future__ import annotations

from harness.models.acts import OK
from harness.models.idmaps import (
    to_first,
)
from harness.models.rules import rule
from harness.models.user.capabilities import over_files_of
from harness.models.user.state import Actor, State


@rule(OK, "EINVAL", "EPERM")
def may_become(state: State, me: Actor, number: int) -> str:
    """A process can take an ID that its namespace has; without capabilities only the one it has.

    Source: setuid(2), ERRORS; user_namespaces(7), User and group ID mappings.
    """
    target = to_first(state.spaces, me.user, number)
    if target is None:
        return "EINVAL"
    return OK if me.capabilities or target == me.uid else "EPERM"


@rule(True, False)
def keeps_capabilities(state: State, me: Actor, uid: int) -> bool:
    """Who is root in its namespace and becomes another loses its capabilities.

    Source: capabilities(7), Effect of user ID changes on capabilities.
    """
    root = to_first(state.spaces, me.user, 0)
    return me.capabilities and not (me.uid == root != uid)


@rule(OK, "EINVAL", "EPERM")
def may_give(state: State, me: Actor, owner: int, number: int) -> str:
    """A file can be given to an ID that the namespace has, by whom is capable over the file.

    Source: chown(2), ERRORS; user_namespaces(7), Operation of file-related capabilities.
    """
    target = to_first(state.spaces, me.user, number)
    if target is None:
        return "EINVAL"
    unchanged = me.uid == owner == target
    return OK if unchanged or over_files_of(state, me, owner) else "EPERM"
