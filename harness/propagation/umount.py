"""Taking mounts away: umount, with MNT_DETACH, and the end of a namespace.

Rule: sharedsubtree.rst, "f) Unmount semantics"; propagate_umount.txt, whose words for sets of mounts are used
here; propagate_umount() in fs/pnode.c.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import replace

from harness.propagation.state import KEEPS_COVER, SHIFTS_COVER, TWO_COVERS, Mount, Refused, State
from harness.propagation.types import left

Numbers = Set[int]
"""Mounts, by their numbers."""


def umount(state: State, namespace: int, path: str, *, detach: bool) -> State:
    """Take the uppermost mount at a path away, with ``detach`` the tree below it; the same on all receivers.

    A locked mount stays (mount_namespaces(7), "Restrictions"); one that has others on it is busy (umount(2)).

    Raises:
        NotImplementedError: it is the first mount of its namespace. Of a process's own root directory the
            kernel makes the file system read-only instead, which is no matter of propagation.
    """
    place = state.find(namespace, path)
    if not place.is_root or place.mount.locked:
        raise Refused("EINVAL")
    if not place.mount.parent:
        raise NotImplementedError("umount of a namespace's first mount")
    if not detach and state.children.get(place.mount.id):
        raise Refused("EBUSY")
    state = unlock(state, place.mount)
    original = {mount.id for mount in state.subtree(place.mount)}
    also = candidates(state, original)
    also = non_revealing(state, original, non_shifting(state, original, also))
    return without(slide(state, also, original), original | also)


def receivers(state: State, mount: Mount) -> Iterator[Mount]:
    """The other mounts that what happens on this one reaches: its peers, and slaves on every level."""
    waiting = [mount.group]
    yield from (peer for peer in state.group(mount.group) if peer.id != mount.id)
    while waiting:
        for slave in state.slaves(waiting.pop()):
            yield slave
            if slave.group and slave.group not in waiting:
                waiting.append(slave.group)


def counterparts(state: State, mount: Mount) -> Iterator[Mount]:
    """What is mounted at the same place of each receiver of the mount's parent."""
    for receiver in receivers(state, state.mounts[mount.parent]):
        there = state.covering.get((receiver.id, mount.point))
        if there:
            yield there


def unlock(state: State, mount: Mount) -> State:
    """The counterparts of what may be taken away hide nothing any more (propagate_mount_unlock())."""
    return state.having([there._replace(locked=False) for there in counterparts(state, mount)])


def candidates(state: State, original: Numbers) -> Numbers:
    """Every counterpart of a mount that goes ("Finding candidates")."""
    return {there.id for number in original for there in counterparts(state, state.mounts[number])} - original


def non_shifting(state: State, original: Numbers, also: Numbers) -> Numbers:
    """The largest part in which nothing that stays lies on a mount that goes ("Maximal non-shifting …").

    What covers a mount's root whole does not count: it can slide down.
    """
    while True:
        kept = {number for number in also if not _forbidden(state, state.mounts[number], original | also)}
        if kept == also:
            return kept
        also = kept


def _forbidden(state: State, mount: Mount, going: Numbers) -> bool:
    return any(
        below.id not in going
        for child in state.children.get(mount.id, ())
        if child.point != mount.root
        for below in ([child] if SHIFTS_COVER in state.known else state.subtree(child))
    )


def non_revealing(state: State, original: Numbers, also: Numbers) -> Numbers:
    """The largest part in which a locked mount goes with its parent ("Maximal non-revealing subsets")."""
    while True:
        kept = {number for number in also if not _reveals(state, state.mounts[number], original | also)}
        if kept == also:
            return kept
        also = kept


def _reveals(state: State, mount: Mount, going: Numbers) -> bool:
    if not mount.locked:
        return False
    covers = mount.point == state.mounts[mount.parent].root
    return mount.parent not in going or (covers and KEEPS_COVER in state.known)


def slide(state: State, also: Numbers, original: Numbers) -> State:
    """What covers the top of a stack that goes slides down to where the stack stood (reparent())."""
    going, slid = original | also, []
    for number in also:
        mount = state.mounts[number]
        above = [child for child in state.children.get(mount.id, ()) if child.point == mount.root]
        while mount.parent in going:
            mount = state.mounts[mount.parent]
        stays = (over for over in above if over.id not in going)
        slid += [over._replace(parent=mount.parent, point=mount.point) for over in stays]
    # It is attached anew, and so after what lies there already: of two covers the later one is seen.
    return state.lacking({over.id for over in slid}).having(slid)


def untold(before: State, after: State) -> bool:
    """Whether one umount had several mounts slide to one place, so that the model can't tell which is seen.

    It is the one that was put back last, in the order of the kernel's lists of peers and slaves, which no
    page promises (restore_mounts() in fs/pnode.c, before 6.17). Only known differences bring it about.
    """
    if after is before or after.known.isdisjoint({SHIFTS_COVER, TWO_COVERS}):
        return False
    places = [
        (mount.parent, mount.point)
        for mount in after.mounts.values()
        if mount.id in before.mounts and mount.parent != before.mounts[mount.id].parent
    ]
    return len({*places}) < len(places)


def without(state: State, going: Numbers) -> State:
    """The state without mounts, which leave their groups."""
    return left(state.lacking(going), [state.mounts[number] for number in going])


def end(state: State, namespace: int) -> State:
    """A namespace dies, with every mount in it; nothing travels (put_mnt_ns())."""
    gone = {mount.id for mount in state.mounts.values() if mount.namespace == namespace}
    left_over = {number: kept for number, kept in state.namespaces.items() if number != namespace}
    state = without(state, gone)
    return replace(state, namespaces=left_over)
