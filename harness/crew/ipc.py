"""What actors do and see where IPC namespaces are the question."""

from __future__ import annotations

import ctypes
import os
from typing import Any

from harness.crew.actor import Actor, Verb, fresh, in_words, settle
from harness.probes.syscalls import KINDS, call, checked, libc

NEW, NAMESPACES = "ipc", (("ipc",),)
__all__ = ["fresh", "in_words", "settle"]
FIRST = KINDS["ipc"]

_CREAT, _EXCL, _RMID = 0o1000, 0o2000, 0
_HOW = {"create": _CREAT, "exclusive": _CREAT | _EXCL, "": 0}
_TABLES = {"queue": "msg", "segment": "shm", "semaphore": "sem"}
_NAMES = ("one", "two")
# struct mq_attr: at most one message, of one byte. What a user's queues hold is limited (RLIMIT_MSGQUEUE),
# and the kernel gives it back only some time after a namespace's end.
_SMALLEST = (ctypes.c_long * 8)(0, 1, 1)

libc.shmat.restype = ctypes.c_void_p
libc.shmdt.argtypes = [ctypes.c_void_p]


def prepare() -> None:
    """Nothing has to be as the model has it."""


def _get(actor: Actor, argument: Any, file: int | None) -> int:
    sort, key, how = argument
    flags = _HOW[how] | 0o600
    if sort == "queue":
        return checked(libc.msgget(key, flags))
    if sort == "segment":
        return checked(libc.shmget(key, ctypes.c_size_t(4096), flags))
    return checked(libc.semget(key, 1, flags))


def _remove(actor: Actor, argument: Any, file: int | None) -> None:
    sort, number = argument
    if sort == "semaphore":
        checked(libc.semctl(number, 0, _RMID))
    else:
        checked({"queue": libc.msgctl, "segment": libc.shmctl}[sort](number, _RMID, None))


def _attached(actor: Actor) -> list[int]:
    """The addresses of what is attached, the last one last; copied to children with all memory."""
    return actor.memory


def _attach(actor: Actor, number: Any, file: int | None) -> None:
    address = libc.shmat(number, None, 0)
    if address == ctypes.c_void_p(-1).value:
        checked(-1)
    _attached(actor).append(address)


def _detach(actor: Actor, argument: Any, file: int | None) -> None:
    checked(libc.shmdt(_attached(actor)[-1] if _attached(actor) else None))
    _attached(actor).pop()


def _write(actor: Actor, value: Any, file: int | None) -> str | None:
    if not _attached(actor):
        return "EINVAL"
    ctypes.memset(_attached(actor)[-1], value, 1)
    return None


def _open(actor: Actor, argument: Any, file: int | None) -> None:
    name, how = argument
    flags = {"create": os.O_CREAT, "exclusive": os.O_CREAT | os.O_EXCL, "": 0}[how]
    os.close(call("mq_open", name.encode(), flags | os.O_RDONLY, 0o600, ctypes.byref(_SMALLEST)))


def _unlink(actor: Actor, name: Any, file: int | None) -> None:
    call("mq_unlink", name.encode())


VERBS: dict[str, Verb] = {
    "get": _get,
    "remove": _remove,
    "attach": _attach,
    "detach": _detach,
    "write": _write,
    "open": _open,
    "unlink": _unlink,
}


def look(actor: Actor, living: Any) -> dict[str, Any]:
    """The objects of each sort, and the first byte of what was attached last."""
    seen: dict[str, Any] = {sort + "s": _listed(sort) for sort in _TABLES}
    seen["POSIX queues"] = [name for name in _NAMES if _exists(name)]
    attached = _attached(actor)
    seen["memory"] = ctypes.string_at(attached[-1], 1)[0] if attached else None
    return seen


def _listed(sort: str) -> list[str]:
    with open("/proc/sysvipc/" + _TABLES[sort]) as table:
        columns, *rows = [line.split() for line in table]
    found = []
    for row in rows:
        values = dict(zip(columns, row))
        text = "key {} id {}".format(values["key"], row[1])
        found.append(text + (" attached " + values["nattch"] if sort == "segment" else ""))
    return found


def _exists(name: str) -> bool:
    try:
        os.close(call("mq_open", name.encode(), os.O_RDONLY, 0, None))
    except FileNotFoundError:
        return False
    return True
