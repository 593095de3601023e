"""Which flags and attributes the mount calls by descriptor know: mount_setattr(2) and its kin."""

from __future__ import annotations

import ctypes
from typing import Any, Callable

from harness.probes.children import held, namespace, write
from harness.probes.mountcalls import (
    CLONE,
    CREATE,
    IDMAP,
    RDONLY,
    move_mount,
    open_tree,
    setattr_of,
)
from harness.probes.mounts import PRIVATE, SHARED, WORKSPACE, make, workspace
from harness.probes.registry import fact, facts
from harness.probes.syscalls import AT_FDCWD, NEWUSER, call, outcome


def _accepted(ask: Callable[[int], Any]) -> list[str]:
    """Each single bit of 32 to which a function's answer is not EINVAL, with the answer."""
    if outcome(ask, 0) == "ENOSYS":
        return ["ENOSYS"]
    answers = [(1 << bit, outcome(ask, 1 << bit)) for bit in range(32)]
    return ["{:#x} {}".format(*answer) for answer in answers if answer[1] != "EINVAL"]


@fact("mountapi.open_tree_flags")
def open_tree_flags() -> list[str]:
    """Each single flag that open_tree(2) does not call invalid.

    Source: open_tree(2), include/uapi/linux/mount.h.
    """
    workspace()
    return _accepted(lambda flag: open_tree(WORKSPACE, flag))


@fact("mountapi.move_mount_flags")
def move_mount_flags() -> list[str]:
    """Each single flag that move_mount(2) does not call invalid for a detached mount.

    Source: move_mount(2), include/uapi/linux/mount.h.
    """
    workspace()
    make("m", "private")
    return _accepted(lambda flag: move_mount(open_tree(WORKSPACE, CLONE), "m", flag))


@fact("mountapi.mount_setattr_attributes")
def mount_setattr_attributes() -> list[str]:
    """Each single attribute that mount_setattr(2) does not call invalid.

    Source: mount_setattr(2), attr_set.
    """
    workspace()
    return _accepted(lambda attribute: setattr_of(WORKSPACE, attribute))


@fact("mountapi.fsopen_flags")
def fsopen_flags() -> list[str]:
    """Each single flag that fsopen(2) does not call invalid.

    Source: fsopen(2), include/uapi/linux/mount.h.
    """
    return _accepted(lambda flag: call("fsopen", b"tmpfs", flag))


@fact("mountapi.fsmount_flags")
def fsmount_flags() -> list[str]:
    """Each single flag that fsmount(2) does not call invalid.

    Source: fsmount(2), include/uapi/linux/mount.h.
    """

    def ask(flag: int) -> None:
        context = call("fsopen", b"tmpfs", 0)
        call("fsconfig", context, CREATE, 0, 0, 0)
        call("fsmount", context, flag, 0)

    return _accepted(ask)


SETATTR = {
    "read_only": {"given": RDONLY},
    "set_and_cleared": {"given": RDONLY, "cleared": RDONLY},
    "private": {"propagation": PRIVATE},
    "two_propagations": {"propagation": PRIVATE | SHARED},
    "unknown_propagation": {"propagation": 1},
    "size_0": {"size": 0},
    "unknown_tail_zero": {"size": 40},
    "idmap_without_namespace": {"given": IDMAP, "userns": 1000},
    "idmap_cleared": {"cleared": IDMAP},
}


@facts("mountapi.mount_setattr_{}", SETATTR)
def setattr_request(request: dict[str, int]) -> str:
    """What mount_setattr(2) says to: {words}. Source: mount_setattr(2), ERRORS."""
    workspace()
    return outcome(setattr_of, WORKSPACE, **request)


@facts("mountapi.idmapped_{}", {"tmpfs_attached": False, "tmpfs_detached": True})
def idmapped(detached: bool) -> str:
    """What mount_setattr(2) says to an ID-mapped mount of a {words} of this user namespace's.

    Source: mount_setattr(2), ID-mapped mounts.
    """
    workspace()
    make("m", "private")
    path = f"/proc/self/fd/{open_tree('m', CLONE)}" if detached else "m"
    with held(NEWUSER) as pid:
        for name in ("uid_map", "gid_map"):
            write(f"/proc/{pid}/{name}", "0 0 1\n")
        with namespace("user", pid) as descriptor:
            return outcome(setattr_of, path, IDMAP, userns=descriptor)


@fact("mountapi.open_tree_attr")
def copy_with_attributes() -> str:
    """What open_tree_attr(2) says to a read-only copy. Source: open_tree_attr(2)."""
    workspace()
    request = (ctypes.c_uint64 * 4)(RDONLY)
    return outcome(call, "open_tree_attr", AT_FDCWD, WORKSPACE.encode(), CLONE, ctypes.byref(request), 32)
