"""Attaching a tree of mounts: mount, bind, rbind, move.

Rule: sharedsubtree.rst, 5b to 5e ("Bind semantics", "Rbind semantics", "Move semantics", "Mount semantics"),
with their tables; attach_recursive_mnt() in fs/namespace.c and propagate_mnt() in fs/pnode.c.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count

from harness.propagation.state import (
    FREES_COVER,
    LOST_COVER,
    TWO_COVERS,
    Mount,
    Place,
    Refused,
    State,
    within,
)

Tree = list[Mount]
"""A mount and what is below it, parents first."""


def mount(state: State, namespace: int, path: str, source: str) -> State:
    """A new file system: a private mount, and what its place makes of it ("5e": as bind of a private one)."""
    onto = destination(state, namespace, path)
    number = state.made + 1
    new = Mount(number, namespace, 0, "/", source, "/")
    return attach(replace(state, made=number), [new], onto)


def bind(state: State, namespace: int, path: str, source: str, *, recursive: bool) -> State:
    """A copy of the mount at ``source`` that shows just that directory; ``recursive``: and what is on it.

    An unbindable mount can't be copied ("5b"); a mount alone can't be where a locked mount hides what is
    below it (mount_namespaces(7), "Restrictions").
    """
    state.find(namespace, path)
    place = state.find(namespace, source)
    onto = destination(state, namespace, path)
    if place.mount.unbindable:
        raise Refused("EINVAL")
    if not recursive and hides(state, place):
        raise Refused("EINVAL")
    copied = bindable(state, place) if recursive else [place.mount]
    numbers = count(state.made + 1)
    tree = renumber(copied, namespace, numbers)
    state = replace(state, made=next(numbers))
    return attach(state, [tree[0]._replace(root=place.directory, locked=False), *tree[1:]], onto)


def hides(state: State, place: Place) -> bool:
    """Whether a locked mount lies on the mount, at the directory or below (has_locked_children())."""
    return any(
        child.locked and within(child.point, place.directory)
        for child in state.children.get(place.mount.id, ())
    )


def bindable(state: State, place: Place) -> Tree:
    """What rbind takes: what is mounted below the directory, without unbindable mounts and what is on them.

    Rule: "5c". One that is locked too must not be left out: EPERM (copy_tree()).
    """
    taken = [place.mount]
    for child in state.children.get(place.mount.id, ()):
        if within(child.point, place.directory):
            taken += _prune(state, child)
    return taken


def _prune(state: State, mount: Mount) -> Iterator[Mount]:
    if mount.unbindable and mount.locked:
        raise Refused("EPERM")
    if not mount.unbindable:
        yield mount
        for child in state.children.get(mount.id, ()):
            yield from _prune(state, child)


def move(state: State, namespace: int, path: str, source: str) -> State:
    """The tree at ``source`` to another place ("5d"; do_move_mount())."""
    state.find(namespace, path)
    place = state.find(namespace, source)
    if not place.is_root:
        raise Refused("EINVAL")
    onto = destination(state, namespace, path)
    moved = place.mount
    # What a namespace's first mount lies on, which no process of it sees, is in no peer group.
    if moved.locked or (moved.parent and state.mounts[moved.parent].group):
        raise Refused("EINVAL")
    tree = [*state.subtree(moved)]
    if onto.mount.group and any(mount.unbindable for mount in tree):
        raise Refused("EINVAL")
    if any(mount.id == onto.mount.id for mount in tree):
        raise Refused("ELOOP")
    return attach(state, tree, onto)


def destination(state: State, namespace: int, path: str) -> Place:
    """Where something is mounted that is mounted at a path: over all that is there (do_lock_mount())."""
    place = state.find(namespace, path)
    if not place.is_root:
        return place
    top = state.top(place.mount)
    return Place(top, top.root)


def attach(state: State, tree: Tree, onto: Place) -> State:
    """Mount a tree at a place, and where that is shared, copies of it on all mounts that receive from it.

    Rule: the details of "5b" and "5d" ("mounted at the dentry 'b' on all mounts where 'B' propagates to");
    "8) Implementation", C; attach_recursive_mnt(). That copies in another owner's namespace are locked is in
    mount_namespaces(7), "Restrictions".
    """
    tree = [tree[0]._replace(parent=onto.mount.id, point=onto.directory), *tree[1:]]
    if not onto.mount.group:
        return state.having(tree)
    numbers = count(state.made + 1)
    tree = share(tree, numbers)
    received = [*secondaries(state, tree, onto, numbers)]
    after = state.having(tree)
    owner = state.namespaces[onto.mount.namespace].owner
    for receiver, copied in received:
        copied = renumber(copied, receiver.namespace, numbers)
        if state.namespaces[receiver.namespace].owner != owner:
            copied = locked(copied)
        root = copied[0]._replace(parent=receiver.id, point=onto.directory, locked=False)
        copied = beneath(after, [root, *copied[1:]])
        # What was there is attached anew, and so after the copies: of two covers the later one is seen.
        after = after.lacking(after.mounts.keys() & {copied[-1].id}).having(copied)
    return replace(after, made=next(numbers))


def share(tree: Tree, numbers: Iterator[int]) -> Tree:
    """On a shared mount, everything becomes shared, and stays the slave that it was ("5b", "5c", "5d")."""
    return [mount if mount.group else mount._replace(group=next(numbers), unbindable=False) for mount in tree]


def secondaries(
    state: State, tree: Tree, onto: Place, numbers: Iterator[int]
) -> Iterator[tuple[Mount, Tree]]:
    """For each mount that receives from the place's mount, and has the directory, what appears there.

    In the place's own group, copies are peers of what is mounted ("5b", "a new propagation tree … identical
    to the propagation tree of 'B'"). What this very operation makes receives nothing, and a mount of another
    directory has no such place: need_secondary() in fs/pnode.c.
    """
    for peer in state.group(onto.mount.group):
        if peer.id != onto.mount.id and peer.contains(onto.directory):
            yield peer, tree
    yield from _below(state, tree, onto, numbers)


def _below(state: State, tree: Tree, onto: Place, numbers: Iterator[int]) -> Iterator[tuple[Mount, Tree]]:
    """The same for the slaves, which have copies that are slaves.

    In a group of slaves, copies are peers of each other and slaves of the copies in the nearest group above
    that has any (find_master() in fs/pnode.c); on a slave in no group they are slaves only.
    """
    waiting = [(onto.mount.group, tree)]
    while waiting:
        master, above = waiting.pop()
        for slaves in groups(state.slaves(master)):
            group, copied = slaves[0].group, above
            receiving = [slave for slave in slaves if slave.contains(onto.directory)]
            if receiving:
                copied = [enslaved(mount, next(numbers) if group else 0) for mount in above]
            for slave in receiving:
                yield slave, copied
            if group:
                waiting.append((group, copied))


def enslaved(mount: Mount, group: int) -> Mount:
    """A copy that is a slave of a shared mount, and in a group of its own where one is given."""
    return mount._replace(group=group, master=mount.group)


def groups(mounts: Iterable[Mount]) -> list[Tree]:
    """Mounts by their peer groups; each that is in none by itself."""
    found: dict[int, Tree] = {}
    for mount in mounts:
        found.setdefault(mount.group or -mount.id, []).append(mount)
    return [*found.values()]


def beneath(state: State, tree: Tree) -> Tree:
    """A copy goes beneath what is there already, which is then on top of it.

    Rule: attach_recursive_mnt(); no page says it. A locked mount hides what is below it: the copy is locked
    in its turn.
    """
    root = tree[0]
    there = state.covering.get((root.parent, root.point))
    if there is None:
        return tree
    if there.locked and LOST_COVER not in state.known:
        tree = [root._replace(locked=True), *tree[1:]]
    if FREES_COVER in state.known:
        there = there._replace(locked=False)
    uppermost = tree[0]
    if TWO_COVERS in state.known:
        return [*tree, there._replace(parent=uppermost.id, point=uppermost.root)]
    while above := next((m for m in tree if (m.parent, m.point) == (uppermost.id, uppermost.root)), None):
        uppermost = above
    return [*tree, there._replace(parent=uppermost.id, point=uppermost.root)]


def locked(tree: Tree) -> Tree:
    """A tree that comes from another owner's namespace comes as one: what is below its root is locked.

    Rule: mount_namespaces(7), "Restrictions"; lock_mnt_tree() in fs/namespace.c.
    """
    return [tree[0], *(mount._replace(locked=True) for mount in tree[1:])]


def renumber(tree: Tree, namespace: int, numbers: Iterator[int]) -> Tree:
    """Copies of mounts in a namespace: peers of the shared, slaves of the same master, or private."""
    new = {mount.id: next(numbers) for mount in tree}
    return [
        mount._replace(id=new[mount.id], parent=new.get(mount.parent, 0), namespace=namespace)
        for mount in tree
    ]
