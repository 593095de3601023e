"""IPC namespaces: System V objects, POSIX message queues and their limits."""

from __future__ import annotations

import ctypes
import os
from typing import Callable

from harness.probes.children import in_child, read, write
from harness.probes.credentials import drop_capabilities
from harness.probes.registry import Unmeasured, fact, facts
from harness.probes.syscalls import NEWIPC, call, checked, libc, outcome, unshare

SYSCTLS = {
    **{
        name: f"/proc/sys/kernel/{name}"
        for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmmax", "shmall", "shmmni", "shm_rmid_forced")
    },
    **{
        f"mqueue_{name}": f"/proc/sys/fs/mqueue/{name}"
        for name in ("queues_max", "msg_max", "msgsize_max", "msg_default", "msgsize_default")
    },
}
_OTHER = {"sem": "100 3200 100 50", "shm_rmid_forced": "1", "mqueue_msg_default": "9"}
"""What can be written where it is not the number that every other limit accepts."""

CREATE, KEY = 0o1600, 7


def msgget(key: int = KEY, flags: int = CREATE) -> int:
    """The ID of a message queue."""
    return checked(libc.msgget(key, flags))


def semget(key: int = KEY, flags: int = CREATE) -> int:
    """The ID of a set of one semaphore."""
    return checked(libc.semget(key, 1, flags))


def shmget(key: int = KEY, flags: int = CREATE) -> int:
    """The ID of a shared memory segment of one page."""
    return checked(libc.shmget(key, ctypes.c_size_t(4096), flags))


OBJECTS = {"queue": msgget, "semaphore": semget, "segment": shmget}


@facts("ipc.{}_default", SYSCTLS)
def default(path: str) -> str:
    """What {} is in a new IPC namespace. Source: sysvipc(7); mq_overview(7), /proc interfaces."""
    unshare(NEWIPC)
    return " ".join(read(path).split())


def _change(name: str, value: str = "") -> None:
    """Write another value, if any will do, to a limit of this IPC namespace.

    Raises:
        Unmeasured: the host's user may not write it on this kernel.
    """
    path = SYSCTLS[name]
    try:
        write(path, value or _OTHER.get(name, "255"))
    except PermissionError:
        raise Unmeasured(f"only the machine's root may write {path} on this kernel") from None


@facts("ipc.{}_in_new_namespace", {name: name for name in SYSCTLS}, place="root")
def in_new_namespace(name: str) -> str:
    """Whether {}, once changed, is `inherited` by a new IPC namespace or `reset` there.

    Source: ipc_namespaces(7); sysvipc(7); mq_overview(7).
    """
    before = read(SYSCTLS[name])
    _change(name)
    changed = read(SYSCTLS[name])
    if changed == before:
        raise RuntimeError(f"{name} did not change")
    unshare(NEWIPC)
    return {before: "reset", changed: "inherited"}.get(read(SYSCTLS[name]), "other")


@facts("ipc.{}_crosses", {name: name for name in SYSCTLS}, place="root")
def crosses(name: str) -> bool:
    """Whether {}, changed in a child's new IPC namespace, is changed here too. Source: ipc_namespaces(7)."""
    before = read(SYSCTLS[name])
    in_child(_change, name, flags=NEWIPC)
    return read(SYSCTLS[name]) != before


@facts("ipc.{}_crosses", OBJECTS)
def object_crosses(get: Callable[..., int]) -> list[str]:
    """What a child says to the key of a {} made here: without and with an IPC namespace of its own.

    Source: ipc_namespaces(7).
    """
    get()
    return [outcome(in_child, get, KEY, 0, flags=flags) for flags in (0, NEWIPC)]


@facts("ipc.{}_first_id", OBJECTS)
def first_id(get: Callable[..., int]) -> int:
    """The identifier of the first {} in a new IPC namespace. Source: ipc_namespaces(7); sysvipc(7)."""
    get()
    unshare(NEWIPC)
    return get()


@facts("ipc.{}_beyond_limit", {"queue": ("msgmni", msgget), "segment": ("shmmni", shmget)}, place="root")
def beyond_limit(limit: str, get: Callable[..., int]) -> str:
    """What the kernel says to one more {} than the namespace's limit allows. Source: msgget(2); shmget(2)."""
    _change(limit, "0")
    return outcome(get)


@fact("ipc.segment_stays_attached")
def segment_stays_attached() -> bool:
    """Whether attached memory is still there after a move to a new IPC namespace. Source: shmat(2)."""
    libc.shmat.restype = ctypes.c_void_p
    address = libc.shmat(shmget(), None, 0)
    ctypes.memset(address, 7, 1)
    unshare(NEWIPC)
    return ctypes.string_at(address, 1) == b"\7"


def _mq_open(name: bytes) -> int:
    # The system call, unlike the library's function, takes the name without its first slash.
    return call("mq_open", name, os.O_CREAT | os.O_RDWR, 0o600, None)


QUEUE_NAMES = {"empty": b"", "plain": b"q", "slash": b"a/b", "longest": b"q" * 255, "too_long": b"q" * 256}


@facts("ipc.posix_queue_name_{}", QUEUE_NAMES)
def posix_queue_name(name: bytes) -> str:
    """What mq_open(2) says to a queue's name that is {words}.

    Source: mq_overview(7), Queue names; mq_open(3).
    """
    return outcome(_mq_open, name)


@fact("ipc.posix_queue_crosses")
def posix_queue_crosses() -> list[str]:
    """What a child says to removing a queue made here: with and without an IPC namespace of its own.

    Source: ipc_namespaces(7).
    """
    _mq_open(b"q")
    return [outcome(in_child, lambda: call("mq_unlink", b"q"), flags=flags) for flags in (NEWIPC, 0)]


@fact("ipc.posix_queue_beyond_limit", place="root")
def posix_queue_beyond_limit() -> str:
    """What mq_open(2) says where fs.mqueue.queues_max is 0 and the caller has no capabilities.

    Source: mq_overview(7), /proc interfaces; mq_open(3), ERRORS.
    """
    _change("mqueue_queues_max", "0")
    drop_capabilities()
    return outcome(_mq_open, b"q")
