"""Programs of mount operations, and what the model says of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from harness.propagation import attach, namespaces, types, umount
from harness.propagation.state import FIRST, Refused, State


class Operation(NamedTuple):
    """What a process in a namespace does."""

    kind: str
    actor: int
    """The number of the mount namespace in which it is done."""
    target: str = ""
    source: str = ""
    """Another path, or the name of a new file system."""

    def __str__(self) -> str:
        """As one would say it."""
        words = " ".join(filter(None, (self.kind, self.source, self.target)))
        return f"ns{self.actor}: {words}"


KINDS = ("shared", "slave", "private", "unbindable")


def outcome(state: State, operation: Operation) -> tuple[State, str]:
    """The state after an operation, and the error's name, empty where there is none."""
    try:
        return apply(state, operation), ""
    except Refused as refused:
        return state, refused.errno


def apply(state: State, operation: Operation) -> State:
    """The state after an operation.

    Raises:
        Refused: the kernel refuses it.
    """
    kind = operation.kind
    if operation.actor not in state.namespaces:
        raise Refused("ESRCH")
    if kind in ("unshare", "unshare-user", "unshare-first"):
        return _unshare(state, operation)
    return OPERATIONS[kind](state, operation)


def _unshare(state: State, operation: Operation) -> State:
    owner = state.namespaces[operation.actor].owner
    if operation.kind == "unshare-user":
        state, owner = namespaces.own(state, operation.actor)
    elif operation.kind == "unshare-first":
        owner = FIRST
    return namespaces.clone(state, operation.actor, owner)


def _make(kind: str, *, recursive: bool) -> Callable[[State, Operation], State]:
    return lambda state, it: types.make(state, it.actor, it.target, kind, recursive=recursive)


OPERATIONS: Mapping[str, Callable[[State, Operation], State]] = {
    "mount": lambda state, it: attach.mount(state, it.actor, it.target, it.source),
    "bind": lambda state, it: attach.bind(state, it.actor, it.target, it.source, recursive=False),
    "rbind": lambda state, it: attach.bind(state, it.actor, it.target, it.source, recursive=True),
    "move": lambda state, it: attach.move(state, it.actor, it.target, it.source),
    **{f"make-{kind}": _make(kind, recursive=False) for kind in KINDS},
    **{f"make-r{kind}": _make(kind, recursive=True) for kind in KINDS},
    "umount": lambda state, it: umount.umount(state, it.actor, it.target, detach=False),
    "umount-l": lambda state, it: umount.umount(state, it.actor, it.target, detach=True),
    "exit": lambda state, it: umount.end(state, it.actor),
}
