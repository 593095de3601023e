"""POSIX message queues and their names."""

from __future__ import annotations

from harness.models.acts import OK
from harness.models.ipc.state import Space
from harness.models.rules import rule


@rule("made", "found", "ENOENT", "EEXIST")
def may_open(space: Space, name: str, how: str) -> str:
    """A POSIX queue's name leads to the namespace's queue of that name, or to a new one if asked for.

    Source: ipc_namespaces(7); mq_open(3).
    """
    if name in space.names:
        return "EEXIST" if how == "exclusive" else "found"
    return "made" if how else "ENOENT"


@rule(OK, "ENOENT")
def may_unlink(space: Space, name: str) -> str:
    """Only a queue of the caller's namespace can be unlinked. Source: ipc_namespaces(7); mq_unlink(3)."""
    return OK if name in space.names else "ENOENT"
