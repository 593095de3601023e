"""The cells of the rules' tables: which of them a step has reached, told from what was there around it.

A cell is named by its rule and what distinguishes it, such as ``bind shared+slave onto shared``.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.propagation import umount
from harness.propagation.attach import destination, groups
from harness.propagation.operations import KINDS, Operation
from harness.propagation.state import Mount, Place, State

TYPES = ("private", "shared", "slave", "shared+slave", "unbindable")
GROUPED = ("shared, alone", "shared, with peers", "shared+slave, alone", "shared+slave, with peers")
ONTO = ("shared", "other")
ERRORS = {
    "mount": ("ENOENT",),
    "bind": ("ENOENT", "EINVAL"),
    "rbind": ("ENOENT", "EINVAL", "EPERM"),
    "move": ("ENOENT", "EINVAL", "ELOOP"),
    "umount": ("ENOENT", "EINVAL", "EBUSY"),
    "umount-l": ("ENOENT", "EINVAL"),
    "unshare-user": ("EPERM",),
    **{f"make-{kind}": ("ENOENT", "EINVAL") for kind in KINDS},
    **{f"make-r{kind}": ("ENOENT", "EINVAL") for kind in KINDS},
}
RECEIVED = (
    "by a peer",
    "by a slave",
    "by a group of slaves",
    "by a slave of slaves",
    "not by one whose root lacks the directory",
    "beneath what is there",
    "beneath a locked mount",
    "across owners",
    "across owners as a tree",
    "by another namespace",
)
TAKEN = (
    "a counterpart goes",
    "a counterpart stays for what is on it",
    "a counterpart stays as it is locked",
    "what covers a counterpart slides down",
    "a locked counterpart of a detached tree goes",
)
CLONED = tuple(f"{kind} mount, {owner} owner" for kind in TYPES for owner in ("same", "another"))
ENDED = ("members of a group remain", "the group's slaves get its master", "the group's slaves turn private")

ALL: tuple[str, ...] = (
    *(f"make-{kind}: {type_}" for kind in KINDS for type_ in ("private", "slave", "unbindable", *GROUPED)),
    *(f"make-r{kind}: a tree" for kind in KINDS),
    *(f"{kind}: {type_} onto {onto}" for kind in ("bind", "rbind") for type_ in TYPES[:-1] for onto in ONTO),
    *(
        f"move: {type_} onto {onto}"
        for type_ in TYPES
        for onto in ONTO
        if (type_, onto) != ("unbindable", "shared")
    ),
    *(f"mount: onto {onto}" for onto in ONTO),
    "bind: a directory",
    "rbind: an unbindable mount is left out",
    *(f"received {how}" for how in RECEIVED),
    *(f"umount: {how}" for how in TAKEN),
    *(f"unshare: {how}" for how in CLONED),
    *(f"exit: {how}" for how in ENDED),
    *(f"{kind}: {errno}" for kind, errnos in ERRORS.items() for errno in errnos),
)
"""Every cell."""


def reached(before: State, operation: Operation, errno: str, after: State) -> Iterator[str]:
    """The cells that a step reached."""
    kind = operation.kind
    if errno:
        yield f"{kind}: {errno}"
    elif kind.startswith("make-"):
        yield from _made(before, operation)
    elif kind in ("mount", "bind", "rbind", "move"):
        yield from _attached(before, operation, after)
    elif kind.startswith("umount"):
        yield from _taken(before, operation, after)
    elif kind == "exit":
        yield from _ended(before, operation, after)
    else:
        yield from _cloned(before, operation, after)


def type_of(mount: Mount) -> str:
    """A mount's propagation type, in the words of mount_namespaces(7)."""
    if mount.unbindable:
        return "unbindable"
    return {(0, 0): "private", (1, 0): "shared", (0, 1): "slave", (1, 1): "shared+slave"}[
        bool(mount.group), bool(mount.master)
    ]


def _made(before: State, operation: Operation) -> Iterator[str]:
    mount = before.find(operation.actor, operation.target).mount
    if operation.kind.startswith("make-r"):
        if len([*before.subtree(mount)]) > 1:
            yield f"{operation.kind}: a tree"
        return
    type_ = type_of(mount)
    if mount.group:
        type_ += ", with peers" if len(before.group(mount.group)) > 1 else ", alone"
    yield f"{operation.kind}: {type_}"


def _attached(before: State, operation: Operation, after: State) -> Iterator[str]:
    kind = operation.kind
    onto = destination(before, operation.actor, operation.target)
    where = "shared" if onto.mount.group else "other"
    if kind == "mount":
        yield f"mount: onto {where}"
    else:
        place = before.find(operation.actor, operation.source)
        yield f"{kind}: {type_of(place.mount)} onto {where}"
        if kind == "bind" and not place.is_root:
            yield "bind: a directory"
        if kind == "rbind" and any(mount.unbindable for mount in before.subtree(place.mount)):
            yield "rbind: an unbindable mount is left out"
    yield from (f"received {how}" for how in _received(before, after, onto))


def _received(before: State, after: State, onto: Place) -> Iterator[str]:
    owner = before.namespaces[onto.mount.namespace].owner
    for receiver in umount.receivers(before, onto.mount):
        if not receiver.contains(onto.directory):
            yield "not by one whose root lacks the directory"
            continue
        if receiver.group == onto.mount.group:
            yield "by a peer"
        elif receiver.master != onto.mount.group:
            yield "by a slave of slaves"
        else:
            yield "by a group of slaves" if receiver.group else "by a slave"
        if receiver.namespace != onto.mount.namespace:
            yield "by another namespace"
        if before.namespaces[receiver.namespace].owner != owner:
            yield "across owners"
            new = after.covering.get((receiver.id, onto.directory))
            if new and len([*after.subtree(new)]) > 1:
                yield "across owners as a tree"
        there = before.covering.get((receiver.id, onto.directory))
        if there and there.id in after.mounts and after.mounts[there.id].parent != there.parent:
            yield "beneath a locked mount" if there.locked else "beneath what is there"


def _taken(before: State, operation: Operation, after: State) -> Iterator[str]:
    target = before.find(operation.actor, operation.target).mount
    if any(before.mounts[number].parent != mount.parent for number, mount in after.mounts.items()):
        yield "umount: what covers a counterpart slides down"
    for mount in before.subtree(target):
        for there in umount.counterparts(before, mount):
            if there.id not in after.mounts:
                yield "umount: a counterpart goes"
                if there.locked and mount != target:
                    yield "umount: a locked counterpart of a detached tree goes"
            elif before.children.get(there.id):
                yield "umount: a counterpart stays for what is on it"
            elif there.locked:
                yield "umount: a counterpart stays as it is locked"


def _cloned(before: State, operation: Operation, after: State) -> Iterator[str]:
    number = next(number for number in after.namespaces if number not in before.namespaces)
    same = after.namespaces[number].owner == before.namespaces[operation.actor].owner
    for mount in before.subtree(before.mounts[before.namespaces[operation.actor].root]):
        yield f"unshare: {type_of(mount)} mount, {'same' if same else 'another'} owner"


def _ended(before: State, operation: Operation, after: State) -> Iterator[str]:
    gone = [mount for mount in before.mounts.values() if mount.namespace == operation.actor and mount.group]
    for members in groups(gone):
        if after.group(members[0].group):
            yield "exit: members of a group remain"
        elif any(slave.id in after.mounts for slave in before.slaves(members[0].group)):
            yield f"exit: the group's slaves {'get its master' if members[0].master else 'turn private'}"
