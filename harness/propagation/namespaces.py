"""A new mount namespace, a copy of another one.

Rule: sharedsubtree.rst, "5g) Clone Namespace"; mount_namespaces(7), "Restrictions on mount namespaces";
copy_mnt_ns() in fs/namespace.c.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from harness.propagation.attach import renumber
from harness.propagation.state import LOST_UNBINDABLE, Mount, Namespace, Refused, State


def clone(state: State, source: int, owner: int) -> State:
    """A copy of a namespace that the user namespace ``owner`` owns; it gets the lowest number that is free.

    Every mount is copied, unbindable ones too, which stay so ("5g"). For another owner each is locked, the
    first one too, for it hides what it lies on.
    """
    numbers = count(state.made + 1)
    number = next(free for free in count() if free not in state.namespaces)
    tree = renumber([*state.subtree(state.mounts[state.namespaces[source].root])], number, numbers)
    if owner != state.namespaces[source].owner:
        tree = [less_privileged(mount)._replace(locked=True) for mount in tree]
    if LOST_UNBINDABLE in state.known:
        tree = [mount._replace(unbindable=False) for mount in tree]
    namespaces = {**state.namespaces, number: Namespace(tree[0].id, owner)}
    return replace(state.having(tree), namespaces=namespaces, made=next(numbers))


def less_privileged(mount: Mount) -> Mount:
    """Another owner's copy of a shared mount is a slave, and only that, so that nothing travels back."""
    return mount._replace(group=0, master=mount.group) if mount.group else mount


def own(state: State, source: int) -> tuple[State, int]:
    """A new user namespace made by a process in a mount namespace.

    A process whose root directory is not the root of its mount namespace may not make one: EPERM
    (user_namespaces(7); current_chrooted()).
    """
    root = state.mounts[state.namespaces[source].root]
    if state.top(root) != root:
        raise Refused("EPERM")
    return replace(state, made=state.made + 1), state.made + 1
