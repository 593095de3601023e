"""Changing propagation types: ``mount --make-*``.

Rule: sharedsubtree.rst, "3) Setting mount states" and the state diagram in "5a) Mount states";
change_mnt_propagation() in fs/pnode.c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from harness.propagation.state import Mount, Refused, State


def make(state: State, namespace: int, path: str, kind: str, *, recursive: bool) -> State:
    """Give a mount, or with ``recursive`` each one of the tree below it, another type (mount(2), MS_REC)."""
    place = state.find(namespace, path)
    if not place.is_root:
        raise Refused("EINVAL")
    for mount in [*state.subtree(place.mount)] if recursive else [place.mount]:
        state = CHANGES[kind](state, state.mounts[mount.id])
    return state


def shared(state: State, mount: Mount) -> State:
    """It begins a group of its own unless it is in one; it stays the slave that it was ("5a", (3))."""
    if mount.group:
        return state
    group = state.made + 1
    return state.having([mount._replace(group=group, unbindable=False)], group)


def slave(state: State, mount: Mount) -> State:
    """It leaves its group and has it for a master; an empty group's own master, if there is one.

    Rule: sharedsubtree.rst, "5a", the notes to the state diagram: the only one in its group turns private,
    what is not shared stays as it is. That the only one keeps its master is in change_mnt_propagation().
    """
    if not mount.group:
        return state
    peers = len(state.group(mount.group)) > 1
    master = mount.group if peers else mount.master
    return left(state.having([mount._replace(group=0, master=master)]), [mount])


def private(state: State, mount: Mount) -> State:
    """It leaves its group and its master."""
    return left(state.having([mount._replace(group=0, master=0, unbindable=False)]), [mount])


def unbindable(state: State, mount: Mount) -> State:
    """It becomes private and can't be bound ("5a", (5))."""
    return left(state.having([mount._replace(group=0, master=0, unbindable=True)]), [mount])


CHANGES: Mapping[str, Callable[[State, Mount], State]] = {
    "shared": shared,
    "slave": slave,
    "private": private,
    "unbindable": unbindable,
}


def left(state: State, leaving: Iterable[Mount]) -> State:
    """Members left their groups: the slaves of an empty one go to the group's own master, or to none.

    Rule: transfer_propagation() in fs/pnode.c, once part of do_make_slave() there; no page says it.
    """
    masters = {mount.group: mount.master for mount in leaving if mount.group}
    for mount in state.mounts.values():
        masters.pop(mount.group, None)
    if not masters:
        return state
    return state.having(
        mount._replace(master=heir(mount.master, masters))
        for mount in state.mounts.values()
        if mount.master in masters
    )


def heir(master: int, empty: Mapping[int, int]) -> int:
    """The nearest master above that is not an empty group; 0 where there is none."""
    while master in empty:
        master = empty[master]
    return master
