"""The system calls on mounts by descriptor: open_tree, move_mount, fsopen, fsmount, mount_setattr."""

from __future__ import annotations

import ctypes
import os
from typing import Any, Callable, Dict, List

from harness.probes.children import held_in_new, in_child, namespace, write
from harness.probes.credentials import become_ordinary
from harness.probes.mounts import PRIVATE, SHARED, WORKSPACE, at, bind, described, make, table, workspace
from harness.probes.registry import fact, facts
from harness.probes.syscalls import AT_FDCWD, call, mount, outcome, word

CLONE, NAMESPACE, RECURSIVE, EMPTY_PATH = 1, 2, 0x8000, 0x1000
F_EMPTY_PATH, T_EMPTY_PATH, SET_GROUP, BENEATH = 0x4, 0x40, 0x100, 0x200
SET_STRING, CREATE = 1, 6
RDONLY, NOSUID, IDMAP = 0x1, 0x2, 0x100000


def open_tree(path: str, flags: int) -> int:
    """A descriptor of a mount or of a detached copy: open_tree(2)."""
    return call("open_tree", AT_FDCWD, path.encode(), flags)


def move_mount(source: int, path: str, flags: int = 0) -> None:
    """Attach what a descriptor stands for: move_mount(2)."""
    call("move_mount", source, b"", AT_FDCWD, path.encode(), F_EMPTY_PATH | flags)


def setattr_of(path: str, given: int = 0, cleared: int = 0, propagation: int = 0, userns: int = 0, size: int = 32) -> None:
    """Change a mount's attributes: mount_setattr(2)."""
    request = (ctypes.c_uint64 * 8)(given, cleared, propagation, userns)
    call("mount_setattr", AT_FDCWD, path.encode(), 0, ctypes.byref(request), size)


def fsmount(kind: str, *options: "tuple[str, str]") -> int:
    """A new mount that is attached nowhere: fsopen(2), fsconfig(2), fsmount(2)."""
    context = call("fsopen", kind.encode(), 0)
    for name, value in options:
        call("fsconfig", context, SET_STRING, name.encode(), value.encode(), 0)
    call("fsconfig", context, CREATE, 0, 0, 0)
    return call("fsmount", context, 0, 0)


def _accepted(ask: Callable[[int], Any]) -> List[str]:
    """Each single bit of 32 to which a function's answer is not EINVAL, with the answer."""
    answers = [(1 << bit, outcome(in_child, ask, 1 << bit)) for bit in range(32)]
    return ["%#x %s" % answer for answer in answers if answer[1] != "EINVAL"]


@fact("mountapi.open_tree_flags")
def open_tree_flags() -> List[str]:
    """Each single flag that open_tree(2) does not call invalid. Source: open_tree(2), include/uapi/linux/mount.h."""
    workspace()
    return _accepted(lambda flag: open_tree(WORKSPACE, flag))


@fact("mountapi.move_mount_flags")
def move_mount_flags() -> List[str]:
    """Each single flag that move_mount(2) does not call invalid for a detached mount.

    Source: move_mount(2), include/uapi/linux/mount.h.
    """
    workspace()
    make("m", "private")
    return _accepted(lambda flag: move_mount(open_tree(WORKSPACE, CLONE), "m", flag))


@fact("mountapi.mount_setattr_attributes")
def mount_setattr_attributes() -> List[str]:
    """Each single attribute that mount_setattr(2) does not call invalid. Source: mount_setattr(2), attr_set."""
    workspace()
    return _accepted(lambda attribute: setattr_of(WORKSPACE, attribute))


@fact("mountapi.fsopen_flags")
def fsopen_flags() -> List[str]:
    """Each single flag that fsopen(2) does not call invalid. Source: fsopen(2), include/uapi/linux/mount.h."""
    return _accepted(lambda flag: call("fsopen", b"tmpfs", flag))


@fact("mountapi.fsmount_flags")
def fsmount_flags() -> List[str]:
    """Each single flag that fsmount(2) does not call invalid. Source: fsmount(2), include/uapi/linux/mount.h."""

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
def mount_setattr(request: Dict[str, int]) -> str:
    """What mount_setattr(2) says to: {}. Source: mount_setattr(2), ERRORS."""
    workspace()
    return outcome(setattr_of, WORKSPACE, **request)


@facts("mountapi.idmapped_{}", {"tmpfs_attached": False, "tmpfs_detached": True})
def idmapped(detached: bool) -> str:
    """What mount_setattr(2) says to an ID-mapped mount of a {} of this user namespace's.

    Source: mount_setattr(2), ID-mapped mounts.
    """
    workspace()
    make("m", "private")
    path = "/proc/self/fd/%d" % open_tree("m", CLONE) if detached else "m"
    with held_in_new("user") as pid:
        write("/proc/%d/uid_map" % pid, "0 0 1\n")
        with namespace("user", pid) as descriptor:
            return outcome(setattr_of, path, IDMAP, userns=descriptor)


@fact("mountapi.open_tree_attr")
def open_tree_attr() -> str:
    """What open_tree_attr(2) says to a read-only copy. Source: open_tree_attr(2)."""
    workspace()
    request = (ctypes.c_uint64 * 4)(RDONLY)
    return outcome(
        call, "open_tree_attr", AT_FDCWD, WORKSPACE.encode(), CLONE, ctypes.byref(request), 32
    )


@fact("mountapi.open_tree_by_ordinary_user")
def open_tree_by_ordinary_user() -> List[str]:
    """What open_tree(2) says to a user without capabilities: as it is, and with OPEN_TREE_CLONE. Source: open_tree(2)."""
    workspace()
    become_ordinary()
    return [outcome(open_tree, WORKSPACE, flags) for flags in (0, CLONE)]


@fact("mountapi.open_tree_unbindable")
def open_tree_unbindable() -> str:
    """What open_tree(2) says to a copy of an unbindable mount. Source: open_tree(2); sharedsubtree.rst."""
    workspace()
    make("m", "unbindable")
    return outcome(open_tree, "m", CLONE)


@fact("mountapi.open_tree_namespace")
def open_tree_namespace() -> str:
    """What OPEN_TREE_NAMESPACE gives: a descriptor of another mount namespace is `new`. Source: open_tree(2)."""
    workspace()
    return word(
        lambda: "new"
        if os.readlink("/proc/self/fd/%d" % open_tree(WORKSPACE, NAMESPACE)) != os.readlink("/proc/self/ns/mnt")
        else "same"
    )


@fact("mountapi.detached_copy_propagation")
def detached_copy_propagation() -> str:
    """The propagation type of a detached copy of a shared mount, once attached. Source: open_tree(2)."""
    workspace()
    make("m", "shared")
    os.mkdir("point")
    move_mount(open_tree("m", CLONE), "point")
    return described("point", at("m"))


@facts("mountapi.move_beneath_{}", {"mount": "m", "no_mount": "m/folder", "root": "/"})
def move_beneath(target: str) -> str:
    """What MOVE_MOUNT_BENEATH puts beneath a {}: `beneath` as it should, `on`, or the errno. Source: move_mount(2)."""
    workspace()
    make("m", "private")
    os.mkdir("m/folder")
    top = at("m").id

    def move() -> str:
        move_mount(fsmount("tmpfs"), target, BENEATH)
        return "beneath" if at("m").id == top else "on"

    return word(move)


@facts("mountapi.set_group_{}", {"of_private": [PRIVATE], "of_shared": [PRIVATE, SHARED]})
def set_group(steps: List[int]) -> str:
    """What a bind mount is when MOVE_MOUNT_SET_GROUP has given the group of its source: {}. Source: move_mount(2)."""
    workspace()
    make("source", "shared")
    bind("source", "m")
    for step in steps:
        mount("", "m", "", step)

    def give() -> str:
        call("move_mount", open_tree("source", 0), b"", AT_FDCWD, b"m", SET_GROUP | F_EMPTY_PATH)
        return described("m", at("source"))

    return word(give)


@fact("mountapi.fsopen_by_ordinary_user")
def fsopen_by_ordinary_user() -> str:
    """What fsopen(2) says to a user without capabilities. Source: fsopen(2)."""
    become_ordinary()
    return outcome(call, "fsopen", b"tmpfs", 0)


@fact("mountapi.fsmount_is_detached")
def fsmount_is_detached() -> bool:
    """Whether a mount that fsmount(2) made is in no list until it is attached. Source: fsmount(2)."""
    before = len(table())
    fsmount("tmpfs")
    return len(table()) == before


@fact("mountapi.fsconfig_messages")
def fsconfig_messages() -> str:
    """What the descriptor of fsopen(2) says after an unknown option. Source: fsopen(2), message log."""
    context = call("fsopen", b"tmpfs", 0)
    outcome(call, "fsconfig", context, SET_STRING, b"nonesuch", b"1", 0)
    return os.read(context, 200).decode().strip()


PROC = {"hidepid_invisible": ("hidepid", "invisible"), "subset_pid": ("subset", "pid"), "unknown": ("x", "y")}


@facts("mountapi.proc_{}", {name: (option,) for name, option in PROC.items()})
def proc_option(option: "tuple[str, str]") -> str:
    """What fsconfig(2) says to a new proc file system with the option {}. Source: proc(5), Mount options."""
    return outcome(fsmount, "proc", option)


@fact("mountapi.proc_pidns")
def proc_pidns() -> str:
    """What fsconfig(2) says to a new proc file system with pidns= of a child's. Source: proc.rst, Mount options."""
    with held_in_new("pid") as pid:
        return outcome(fsmount, "proc", ("pidns", "/proc/%d/ns/pid" % pid))
