"""Detached mounts: copies by open_tree(2), new ones by fsmount(2), and where move_mount(2) puts them."""

from __future__ import annotations

import os

from harness.probes.children import held
from harness.probes.credentials import drop_capabilities
from harness.probes.mountcalls import (
    BENEATH,
    CLONE,
    F_EMPTY_PATH,
    NAMESPACE,
    SET_GROUP,
    SET_STRING,
    fsmount,
    move_mount,
    open_tree,
)
from harness.probes.mounts import PRIVATE, SHARED, WORKSPACE, at, bind, described, make, table, workspace
from harness.probes.registry import fact, facts
from harness.probes.syscalls import AT_FDCWD, NEWPID, call, mount, outcome, word


@fact("mountapi.open_tree_without_capabilities")
def open_tree_without_capabilities() -> list[str]:
    """What open_tree(2) says to a user without capabilities: as it is, and with OPEN_TREE_CLONE.

    Source: open_tree(2).
    """
    workspace()
    drop_capabilities()
    return [outcome(open_tree, WORKSPACE, flags) for flags in (0, CLONE)]


@fact("mountapi.open_tree_unbindable")
def open_tree_unbindable() -> str:
    """What open_tree(2) says to a copy of an unbindable mount. Source: open_tree(2); sharedsubtree.rst."""
    workspace()
    make("m", "unbindable")
    return outcome(open_tree, "m", CLONE)


@fact("mountapi.open_tree_namespace")
def open_tree_namespace() -> str:
    """What OPEN_TREE_NAMESPACE gives: a descriptor of another mount namespace is `new`.

    Source: open_tree(2).
    """
    workspace()
    return word(
        lambda: (
            "new"
            if os.readlink(f"/proc/self/fd/{open_tree(WORKSPACE, NAMESPACE)}")
            != os.readlink("/proc/self/ns/mnt")
            else "same"
        )
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
    """What MOVE_MOUNT_BENEATH puts beneath a {words}: `beneath` as it should, `on`, or the errno.

    Source: move_mount(2).
    """
    workspace()
    make("m", "private")
    os.mkdir("m/folder")
    top = at("m").id

    def move() -> str:
        move_mount(fsmount("tmpfs"), target, BENEATH)
        return "beneath" if at("m").id == top else "on"

    return word(move)


@facts("mountapi.set_group_{}", {"of_private": [PRIVATE], "of_shared": [PRIVATE, SHARED]})
def set_group(steps: list[int]) -> str:
    """What a bind mount is when MOVE_MOUNT_SET_GROUP has given the group of its source: {words}.

    Source: move_mount(2).
    """
    workspace()
    make("source", "shared")
    bind("source", "m")
    for step in steps:
        mount("", "m", "", step)

    def give() -> str:
        call("move_mount", open_tree("source", 0), b"", AT_FDCWD, b"m", SET_GROUP | F_EMPTY_PATH)
        return described("m", at("source"))

    return word(give)


@fact("mountapi.fsopen_without_capabilities")
def fsopen_without_capabilities() -> str:
    """What fsopen(2) says to a user without capabilities. Source: fsopen(2)."""
    drop_capabilities()
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
def proc_option(option: tuple[str, str]) -> str:
    """What fsconfig(2) says to a new proc file system with the option {}. Source: proc(5), Mount options."""
    return outcome(fsmount, "proc", option)


@fact("mountapi.proc_pidns")
def proc_pidns() -> str:
    """What fsconfig(2) says to a new proc file system with pidns= of a child's.

    Source: proc.rst, Mount options.
    """
    with held(NEWPID) as pid:
        return outcome(fsmount, "proc", ("pidns", f"/proc/{pid}/ns/pid"))
