"""What ioctl(2) tells of a namespace's file descriptor."""

from __future__ import annotations

import ctypes
import fcntl
import os

from harness.probes.children import held, identity, namespace
from harness.probes.registry import facts
from harness.probes.syscalls import (
    KINDS,
    NEWPID,
    call,
    checked,
    libc,
    outcome,
    word,
)

GET_USERNS, GET_PARENT, GET_NSTYPE, GET_OWNER_UID = 0xB701, 0xB702, 0xB703, 0xB704
GET_MNTNS_ID, GET_ID, MNT_GET_INFO = 0x8008B705, 0x8008B70D, 0x8010B70A
TRANSLATIONS = {
    "pid_from_pidns": 0x8004B706,
    "tgid_from_pidns": 0x8004B707,
    "pid_in_pidns": 0x8004B708,
    "tgid_in_pidns": 0x8004B709,
}
_PIDFD_KINDS = {
    "cgroup": 1,
    "ipc": 2,
    "mnt": 3,
    "net": 4,
    "pid": 5,
    "pid_for_children": 6,
    "time": 7,
    "time_for_children": 8,
    "user": 9,
    "uts": 10,
}
KIND = {kind: kind for kind in KINDS}


def _ask(kind: str, question: int) -> bytes:
    """The buffer that an ioctl on a child's new namespace of the kind fills."""
    answer = bytearray(64)
    with held(KINDS[kind]) as pid, namespace(kind, pid) as descriptor:
        fcntl.ioctl(descriptor, question, answer)
    return bytes(answer)


def _related(kind: str, question: int) -> str:
    """The namespace whose descriptor an ioctl on a child's new namespace returns, as ``own`` or ``other``."""
    with held(KINDS[kind]) as pid, namespace(kind, pid) as descriptor:
        answer = checked(libc.ioctl(descriptor, ctypes.c_ulong(question)))
        found = os.readlink(f"/proc/self/fd/{answer}")
        return "own" if found in (identity("user"), identity(kind)) else "other"


@facts("{}.nsfs_userns", KIND, alone=False)
def nsfs_userns(kind: str) -> str:
    """Whether NS_GET_USERNS of a child's new {} namespace gives the maker's `own` user namespace.

    Source: ioctl_nsfs(2), Discovering namespace relationships.
    """
    return word(_related, kind, GET_USERNS)


@facts("{}.nsfs_parent", KIND, alone=False)
def nsfs_parent(kind: str) -> str:
    """Whether NS_GET_PARENT of a child's new {} namespace gives the maker's `own` one.

    Source: ioctl_nsfs(2), Discovering namespace relationships.
    """
    return word(_related, kind, GET_PARENT)


@facts("{}.nsfs_parent_unseen", KIND, alone=False)
def nsfs_parent_unseen(kind: str) -> str:
    """What NS_GET_PARENT says where the parent of the {} namespace is out of the caller's scope.

    Source: ioctl_nsfs(2), ERRORS.
    """
    with namespace(kind) as descriptor:
        return outcome(lambda: checked(libc.ioctl(descriptor, ctypes.c_ulong(GET_PARENT))))


@facts("{}.nsfs_type", KIND, alone=False)
def nsfs_type(kind: str) -> str:
    """The CLONE_NEW* flag that NS_GET_NSTYPE gives of a namespace of the kind {}.

    Source: ioctl_nsfs(2), Discovering the namespace type.
    """
    with namespace(kind) as descriptor:
        return word(lambda: f"{checked(libc.ioctl(descriptor, ctypes.c_ulong(GET_NSTYPE))):#x}")


@facts("{}.nsfs_owner_uid", KIND, alone=False)
def nsfs_owner_uid(kind: str) -> str:
    """The user ID that NS_GET_OWNER_UID gives of a namespace that root made, of the kind {}.

    Source: ioctl_nsfs(2), Discovering the owner of a user namespace.
    """
    return word(lambda: int.from_bytes(_ask(kind, GET_OWNER_UID)[:4], "little"))


@facts("{}.nsfs_id", KIND, alone=False)
def nsfs_id(kind: str) -> str:
    """What NS_GET_ID says of a namespace of the kind {}. Source: include/uapi/linux/nsfs.h, NS_GET_ID."""
    return outcome(_ask, kind, GET_ID)


@facts("{}.nsfs_mount_namespace_id", KIND, alone=False)
def nsfs_mount_namespace_id(kind: str) -> str:
    """What NS_GET_MNTNS_ID says of a namespace of the kind {}.

    Source: include/uapi/linux/nsfs.h, NS_GET_MNTNS_ID.
    """
    return outcome(_ask, kind, GET_MNTNS_ID)


@facts("{}.nsfs_mount_info", KIND, alone=False)
def nsfs_mount_info(kind: str) -> str:
    """What NS_MNT_GET_INFO says of a namespace of the kind {}.

    Source: include/uapi/linux/nsfs.h, struct mnt_ns_info.
    """
    return outcome(_ask, kind, MNT_GET_INFO)


@facts("pid.nsfs_{}", TRANSLATIONS)
def nsfs_translation(question: int) -> str:
    """PID 1 of a child namespace, translated by {}; or PID 2 here, which is 1 there.

    Source: include/uapi/linux/nsfs.h, NS_GET_PID_FROM_PIDNS.
    """
    with held(NEWPID) as pid, namespace("pid", pid) as descriptor:
        known = 1 if question in (TRANSLATIONS["pid_from_pidns"], TRANSLATIONS["tgid_from_pidns"]) else pid
        return word(lambda: str(checked(libc.ioctl(descriptor, ctypes.c_ulong(question), known))))


@facts("{}.pidfd_get_namespace", _PIDFD_KINDS, alone=False)
def pidfd_get_namespace(number: int) -> str:
    """What PIDFD_GET_*_NAMESPACE for {} says to the PID file descriptor of a child.

    Source: include/uapi/linux/pidfd.h, PIDFD_GET_CGROUP_NAMESPACE.
    """
    with held() as pid:
        descriptor = call("pidfd_open", pid, 0)
        return outcome(lambda: checked(libc.ioctl(descriptor, ctypes.c_ulong(0xFF00 | number), 0)))


@facts("{}.nsfs_handle", KIND, alone=False)
def nsfs_handle(kind: str) -> str:
    """What name_to_handle_at(2) says of the file of a namespace of the kind {}.

    Source: name_to_handle_at(2), ERRORS; include/uapi/linux/nsfs.h, struct nsfs_file_handle.
    """
    handle = (ctypes.c_uint32 * 34)(128)
    mount_id = ctypes.c_int()
    with namespace(kind) as descriptor:
        return outcome(
            lambda: checked(
                libc.name_to_handle_at(descriptor, b"", ctypes.byref(handle), ctypes.byref(mount_id), 0x1000)
            )
        )
