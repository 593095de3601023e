"""statmount(2), listmount(2) and listns(2): mounts and namespaces by number."""

from __future__ import annotations

import ctypes
import os

from harness.probes.children import in_new_user_namespace
from harness.probes.credentials import drop_capabilities
from harness.probes.mounts import make, table, workspace
from harness.probes.registry import fact, facts
from harness.probes.syscalls import KINDS, NEWNS, call, outcome, word

ROOT = 2**64 - 1
BITS = 64


def listmount(of: int = ROOT, room: int = 1000, size: int = 24, flags: int = 0) -> list[int]:
    """The IDs of the mounts below one."""
    request, ids = _request(size, of), (ctypes.c_uint64 * 1000)()
    return list(ids[: call("listmount", ctypes.byref(request), ctypes.byref(ids), room, flags)])


def statmount(mount_id: int, mask: int, size: int = 24, room: int = 65536, flags: int = 0) -> list[int]:
    """The first words of the answer about a mount, beginning with size and mask."""
    request, answer = _request(size, mount_id, mask), (ctypes.c_uint64 * 8192)()
    call("statmount", ctypes.byref(request), ctypes.byref(answer), room, flags)
    return list(answer[:8])


def _request(size: int, mount_id: int, parameter: int = 0) -> ctypes.Array[ctypes.c_uint64]:
    return (ctypes.c_uint64 * 5)(size, mount_id, parameter)


@fact("statmount.parts")
def parts() -> list[str]:
    """The bits of the mask that statmount(2) answers for the root mount, or the errno.

    Source: statmount(2).
    """
    failure = outcome(listmount)
    if failure != "ok":
        return [failure]
    mask = statmount(listmount()[0], 2**63 - 1)[1]
    return ["%#x" % (1 << bit) for bit in range(BITS) if mask >> bit & 1]


@fact("statmount.listed_are_mountinfos")
def listed_are_mountinfos() -> str:
    """Whether listmount(2) lists as many mounts as mountinfo: `same` or `other`. Source: listmount(2)."""
    return word(lambda: "same" if len(listmount()) == len(table()) else "other")


LISTINGS = {"short_room": (ROOT, 1), "size_0": (ROOT, 9, 0), "no_mount": (2**62, 9), "flag": (ROOT, 9, 24, 2)}


@facts("statmount.listmount_{}", LISTINGS)
def listmount_request(*arguments: int) -> str:
    """What listmount(2) says to: {words}. Source: listmount(2), ERRORS."""
    return outcome(listmount, *arguments)


@facts("statmount.statmount_{}", {"short_room": (1, 8), "unknown_mask": (1 << 62, 65536)})
def statmount_request(mask: int, room: int) -> str:
    """What statmount(2) says of the root mount to: {words}. Source: statmount(2), ERRORS."""
    return outcome(lambda: statmount(listmount()[0], mask, room=room))


@fact("statmount.statmount_no_mount")
def statmount_no_mount() -> str:
    """What statmount(2) says to a number that no mount has. Source: statmount(2), ERRORS."""
    return outcome(statmount, 2**62, 1)


@fact("statmount.listmount_in_less_privileged")
def listmount_in_less_privileged() -> str:
    """Whether listmount(2) lists all mounts in a new mount namespace of a user namespace below.

    Source: listmount(2).
    """
    return str(in_new_user_namespace(listed_are_mountinfos, flags=NEWNS))


@fact("statmount.listmount_without_capabilities")
def listmount_without_capabilities() -> str:
    """What listmount(2) says of the root to a user without capabilities. Source: listmount(2), ERRORS."""
    drop_capabilities()
    return outcome(listmount)


@fact("statmount.in_chroot")
def in_chroot() -> int:
    """How many mounts listmount(2) lists in a mount that chroot(2) made the root; -1: no such call.

    Source: listmount(2); statmount(2).
    """
    workspace()
    make("m", "private")
    make("n", "private")
    os.chroot("m")
    return len(listmount()) if outcome(listmount) == "ok" else -1


def listns(kind: int = 0, owner: int = 0, size: int = 32, flags: int = 0) -> int:
    """How many namespaces of a kind there are, that the caller may see."""
    request = (ctypes.c_uint64 * 4)(size, 0, kind, owner)
    ids = (ctypes.c_uint64 * 1000)()
    return call("listns", ctypes.byref(request), ctypes.byref(ids), 1000, flags)


@facts("listns.{}", KINDS)
def listns_kind(flag: int) -> str:
    """What listns(2) says to the kind {}. Source: listns(2); include/uapi/linux/nsfs.h, struct ns_id_req."""
    return outcome(listns, flag)


REQUESTS = {
    "size_0": {"size": 0},
    "unknown_kind": {"kind": 1},
    "flag": {"flags": 1},
    "own_user_namespace": {"owner": ROOT},
}


@facts("listns.request_{}", REQUESTS)
def listns_request(request: dict[str, int]) -> str:
    """What listns(2) says to: {words}. Source: listns(2)."""
    return outcome(listns, **request)
