"""mount(2), umount2(2) and pivot_root(2) for root of a namespace, and how mountinfo shows the result."""

from __future__ import annotations

import os
from typing import Callable

from harness.probes.children import in_child, read
from harness.probes.credentials import drop_capabilities
from harness.probes.mounts import (
    BIND,
    DETACH,
    EXPIRE,
    PRIVATE,
    REC,
    REMOUNT,
    SHARED,
    SLAVE,
    UNBINDABLE,
    WORKSPACE,
    make,
    table,
    workspace,
)
from harness.probes.registry import fact, facts
from harness.probes.syscalls import call, mount, outcome, umount

REQUESTS = {
    "shared_and_private": ("", "m", "", SHARED | PRIVATE),
    "slave_and_unbindable": ("", "m", "", SLAVE | UNBINDABLE),
    "propagation_with_other_flag": ("", "m", "", SHARED | 2),
    "propagation_of_no_mount": ("", "m/folder", "", PRIVATE),
    "remount_of_no_mount": ("", "m/folder", "", REMOUNT | BIND),
    "unknown_type": ("none", "m", "nonesuch"),
    "unknown_option": ("none", "m", "tmpfs", 0, "nonesuch=1"),
    "missing_target": ("none", "missing", "tmpfs"),
    "missing_source": ("missing", "m", "", BIND),
    "directory_on_file": ("m", "m/file", "", BIND),
    "file_on_directory": ("m/file", "m", "", BIND),
    "bind_with_other_flag": ("m", "m/folder", "", BIND | 1),
    "bind_made_private": ("m", "m/folder", "", BIND | PRIVATE),
}


@facts("mount.request_{}", REQUESTS)
def request(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> str:
    """What mount(2) says to: {words}. Source: mount(2), ERRORS."""
    _prepare()
    return outcome(mount, source, target, kind, flags, data)


def _prepare() -> None:
    workspace()
    make("m", "private")
    os.mkdir("m/folder")
    os.close(os.open("m/file", os.O_CREAT))


UMOUNTS = {
    "no_mount": ("m/folder", 0),
    "busy": (".", 0),
    "busy_lazily": (".", DETACH),
    "expire_first": ("m", EXPIRE),
    "expire_with_detach": ("m", EXPIRE | DETACH),
    "unknown_flag": ("m", 0x100),
    "missing": ("missing", 0),
    "root": ("/", 0),
}


@facts("mount.umount_{}", UMOUNTS)
def umount_request(target: str, flags: int) -> str:
    """What umount2(2) says to: {words}. Source: umount(2), ERRORS."""
    _prepare()
    if target == ".":
        os.chdir("m")
    return outcome(umount, target, flags)


@fact("mount.umount_expire_twice")
def umount_expire_twice() -> str:
    """What umount2(2) says to the second MNT_EXPIRE of a mount that nobody used.

    Source: umount(2), MNT_EXPIRE.
    """
    _prepare()
    outcome(umount, "m", EXPIRE)
    return outcome(umount, "m", EXPIRE)


@facts("mount.{}_without_capabilities", {"mount": mount, "umount": umount})
def without_capabilities(function: Callable[..., None]) -> str:
    """What {}(2) says to a user without capabilities. Source: mount(2), ERRORS; umount(2), ERRORS."""
    _prepare()
    drop_capabilities()
    return outcome(function, *(("none", "m/folder", "tmpfs") if function is mount else ("m",)))


PIVOTS = {"new_root_no_mount": "m/folder", "new_root_shared": "shared", "ok": "m"}


@facts("mount.pivot_root_{}", PIVOTS)
def pivot(new_root: str) -> str:
    """What pivot_root(2) says to: {words}. Source: pivot_root(2), ERRORS."""
    _prepare()
    make("shared", "shared")
    os.makedirs("shared/old")
    os.makedirs("m/old")
    old = "{}/old".format(new_root.replace("/folder", ""))
    return outcome(call, "pivot_root", new_root.encode(), old.encode())


@fact("mount.mountinfo_order")
def mountinfo_order() -> list[str]:
    """The order in which mountinfo lists a, then b, then a/c, mounted in this order: as a tree or by age.

    Source: proc_pid_mountinfo(5), whose text promises none; fs/namespace.c, m_next().
    """
    workspace()
    for point in ("a", "b", "a/c"):
        make(point, "private")
    return [found.point[len(WORKSPACE) + 1 :] for found in table() if found.point.startswith(WORKSPACE + "/")]


@facts("mount.mountinfo_escapes_in_{}", {"mount_point": True, "source": False})
def mountinfo_escapes(in_point: bool) -> list[str]:
    """The characters of ASCII that mountinfo writes as octal numbers in the field: {words}.

    Source: proc_pid_mountinfo(5); fs/proc_namespace.c, mangle().
    """
    workspace()
    name = "".join(chr(code) for code in range(1, 128) if chr(code) != "/")
    point, source = (name, "none") if in_point else ("m", name)
    os.mkdir(point)
    mount(source, point, "tmpfs")
    line = read("/proc/self/mountinfo").split("\n")[-1]
    return [repr(chr(code)) for code in range(1, 128) if f"\\{code:03o}" in line]


@fact("mount.mountinfo_fields")
def mountinfo_fields() -> int:
    """How many fields mountinfo has of a mount without propagation. Source: proc_pid_mountinfo(5)."""
    workspace()
    return len(read("/proc/self/mountinfo").splitlines()[-1].split(" "))


@fact("mount.mountinfo_shows_unreachable")
def mountinfo_shows_unreachable() -> bool:
    """Whether mountinfo lists mounts outside of the root that chroot(2) set.

    Source: proc_pid_mountinfo(5).
    """
    workspace()
    make("m", "private")
    os.mkdir("m/proc")
    mount("/proc", "m/proc", "", BIND | REC)
    os.chroot("m")
    return any(
        found.point not in ("/", "/proc") and not found.point.startswith("/proc/") for found in table()
    )


@fact("mount.covered_by_own_bind")
def covered_by_own_bind() -> int:
    """How many mounts mountinfo lists at a folder that is bound to itself twice.

    Source: proc_pid_mountinfo(5).
    """
    workspace()
    make("m", "private")
    mount("m", "m", "", BIND)
    mount("m", "m", "", BIND)
    return sum(found.point == WORKSPACE + "/m" for found in table())


@fact("mount.seen_in_child_of_same_namespace")
def seen_in_child_of_same_namespace() -> bool:
    """Whether a child without a mount namespace of its own sees a later mount.

    Source: mount_namespaces(7).
    """
    workspace()
    in_child(make, "m", "private")
    return any(found.point == WORKSPACE + "/m" for found in table())
