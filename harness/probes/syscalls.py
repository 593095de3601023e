"""System calls by number, their flags, and their answers as words.

From 424 on, a call has the same number on every architecture; the older ones used here are in a table, for a
C library knows only the calls of its own time.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Any, Callable

# Not CDLL: a raw clone(2) must not happen while the interpreter's lock is given away.
libc = ctypes.PyDLL(None, use_errno=True)

_X86_64 = {"clone": 56, "pivot_root": 155, "mq_open": 240, "mq_unlink": 241, "keyctl": 250, "getcpu": 309}
_GENERIC = {"clone": 220, "pivot_root": 41, "mq_open": 180, "mq_unlink": 181, "keyctl": 219, "getcpu": 168}
_OLD: dict[str, dict[str, int]] = {
    "x86_64": _X86_64,
    **dict.fromkeys(("aarch64", "riscv64", "loongarch64"), _GENERIC),
}
_NEW = {
    "pidfd_send_signal": 424,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "pidfd_open": 434,
    "clone3": 435,
    "mount_setattr": 442,
    "statmount": 457,
    "listmount": 458,
    "open_tree_attr": 467,
    "listns": 470,
}

NEWTIME, NEWNS, NEWCGROUP, NEWUTS = 0x80, 0x20000, 0x2000000, 0x4000000
NEWIPC, NEWUSER, NEWPID, NEWNET = 0x8000000, 0x10000000, 0x20000000, 0x40000000
VM, FS, SIGHAND, PIDFD, PARENT = 0x100, 0x200, 0x800, 0x1000, 0x8000
THREAD, SYSVSEM, DETACHED = 0x10000, 0x40000, 0x400000

KINDS = {
    "uts": NEWUTS,
    "ipc": NEWIPC,
    "pid": NEWPID,
    "mnt": NEWNS,
    "net": NEWNET,
    "user": NEWUSER,
    "cgroup": NEWCGROUP,
    "time": NEWTIME,
}
"""Kind of namespace, as its file under /proc/PID/ns is named, to its flag (namespaces(7))."""

AT_FDCWD = -100


def call(name: str, *arguments: Any) -> int:
    """Make a system call that the C library need not know.

    Raises:
        OSError: the kernel's answer.
        LookupError: this architecture's number of the call is in no table here.
    """
    number = _NEW.get(name) or _OLD[os.uname().machine][name]
    return checked(libc.syscall(*map(_as_long, (number, *arguments))))


def checked(answer: int) -> int:
    """What a C library function returned.

    Raises:
        OSError: it failed.
    """
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer


def _as_long(argument: Any) -> Any:
    return ctypes.c_long(argument) if isinstance(argument, int) else argument


def outcome(function: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """``ok``, or the name of the error number with which a call failed."""
    try:
        function(*arguments, **options)
    except OSError as error:
        return error_name(error.errno) if error.errno else str(error)
    return "ok"


def error_name(number: int) -> str:
    """The name of an error number; of two for one number, that in the kernel's own header."""
    name = errno.errorcode.get(number, str(number))
    return {"ENOTSUP": "EOPNOTSUPP", "EWOULDBLOCK": "EAGAIN", "EDEADLOCK": "EDEADLK"}.get(name, name)


def word(function: Callable[..., Any], *arguments: Any) -> str:
    """The word that a function returns, or the name of the error number with which it failed."""
    said = []
    failure = outcome(lambda: said.append(function(*arguments)))
    return str(said[0]) if said else failure


def unshare(flags: int) -> None:
    """Leave the namespaces of these flags for new ones."""
    checked(libc.unshare(ctypes.c_int(flags)))


def setns(descriptor: int, flags: int = 0) -> None:
    """Enter the namespaces that a descriptor stands for."""
    checked(libc.setns(descriptor, flags))


def sethostname(name: bytes) -> None:
    """Set the hostname."""
    checked(libc.sethostname(name, len(name)))


def setdomainname(name: bytes) -> None:
    """Set the NIS domain name."""
    checked(libc.setdomainname(name, len(name)))


def prctl(option: int, *arguments: int) -> int:
    """Change or read an attribute of this process."""
    padded = [*arguments, 0, 0, 0, 0][:4]
    return checked(libc.prctl(option, *map(ctypes.c_ulong, padded)))


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount, bind, move, or change a mount."""
    texts = [text.encode() or None for text in (source, target, kind, data)]
    checked(libc.mount(*texts[:3], ctypes.c_ulong(flags), texts[3]))


def umount(target: str, flags: int = 0) -> None:
    """Unmount what is on top at a path."""
    checked(libc.umount2(target.encode(), flags))
