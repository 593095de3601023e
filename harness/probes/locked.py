"""What a less privileged mount namespace may not do to the mounts that it was given."""

from __future__ import annotations

import os
from typing import Any

from harness.probes.children import in_new_user_namespace
from harness.probes.mounts import (
    BIND,
    DETACH,
    MOVE,
    NOATIME,
    NODEV,
    NOEXEC,
    NOSUID,
    PRIVATE,
    RDONLY,
    REC,
    REMOUNT,
    SHARED,
    STRICTATIME,
    UNBINDABLE,
    make,
    workspace,
)
from harness.probes.registry import fact, facts
from harness.probes.syscalls import NEWNS, call, mount, outcome, umount

ACTS = {
    "umount": (umount, "m/locked"),
    "umount_lazily": (umount, "m/locked", DETACH),
    "umount_parent_lazily": (umount, "m", DETACH),
    "move": (mount, "m/locked", "target", "", MOVE),
    "bind_itself": (mount, "m/locked", "target", "", BIND),
    "bind_parent": (mount, "m", "target", "", BIND),
    "rbind_parent": (mount, "m", "target", "", BIND | REC),
    "make_private": (mount, "", "m/locked", "", PRIVATE),
    "make_shared": (mount, "", "m/locked", "", SHARED),
    "make_unbindable": (mount, "", "m/locked", "", UNBINDABLE),
    "mount_on": (mount, "none", "m/locked", "tmpfs"),
    "remount_read_only": (mount, "", "m/locked", "", REMOUNT | BIND | RDONLY),
    "open_tree_clone_parent": (call, "open_tree", -100, b"m", 1),
    "open_tree_clone_parent_recursively": (call, "open_tree", -100, b"m", 0x8001),
}


@facts("mount.locked_{}", {name: (act,) for name, act in ACTS.items()})
def locked(act: tuple[Any, ...]) -> str:
    """What the kernel says to this on a mount that came from a more privileged namespace: {words}.

    Source: mount_namespaces(7), Restrictions on mount namespaces.
    """
    workspace()
    make("m", "private")
    make("m/locked", "private")
    os.mkdir("target")
    return str(in_new_user_namespace(outcome, *act, flags=NEWNS))


RESTRICTIONS = {
    "read_only": RDONLY,
    "nosuid": NOSUID,
    "nodev": NODEV,
    "noexec": NOEXEC,
    "noatime": NOATIME,
}
"""A remount that says nothing of access times keeps them: this one asks for all of them."""


@facts("mount.locked_flag_{}", RESTRICTIONS)
def locked_flag(flag: int) -> str:
    """What mount(2) says to a less privileged remount that takes away the restriction {}.

    Source: mount_namespaces(7), Restrictions on mount namespaces.
    """
    workspace()
    make("m", "private")
    mount("", "m", "", REMOUNT | BIND | flag)
    return str(in_new_user_namespace(outcome, mount, "", "m", "", REMOUNT | BIND | STRICTATIME, flags=NEWNS))


@fact("mount.locked_root_umount")
def locked_root_umount() -> str:
    """What umount2(2) says to a lazy unmount of the root of a less privileged namespace.

    Source: umount(2), ERRORS.
    """
    return str(in_new_user_namespace(outcome, umount, "/", DETACH, flags=NEWNS))


@fact("mount.locked_copy_umount")
def locked_copy_umount() -> str:
    """What umount2(2) says to a mount that came along in a recursive bind of locked ones.

    Source: mount_namespaces(7), Restrictions on mount namespaces.
    """

    def copy_and_umount() -> None:
        mount("m", "target", "", BIND | REC)
        umount("target/locked")

    workspace()
    make("m", "private")
    make("m/locked", "private")
    os.mkdir("target")
    return outcome(in_new_user_namespace, copy_and_umount, flags=NEWNS)


@fact("mount.locked_copies_umount_as_one")
def locked_copies_umount_as_one() -> str:
    """What umount2(2) says to the whole of such a recursive bind.

    Source: mount_namespaces(7), Restrictions.
    """

    def copy_and_umount() -> None:
        mount("m", "target", "", BIND | REC)
        umount("target", DETACH)

    workspace()
    make("m", "private")
    make("m/locked", "private")
    os.mkdir("target")
    return outcome(in_new_user_namespace, copy_and_umount, flags=NEWNS)
