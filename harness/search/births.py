"""Carried to a host beside on_host.py: processes born in copies of a mount namespace, which end at once.

Python 3.8 and its standard library suffice.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import signal
from collections.abc import Iterator
from typing import Any

from harness.search.calls import LIBC, check

NEWNS, NEWUSER, VM = 0x00020000, 0x10000000, 0x00000100
GET_PARENT = 0xB702
"""``NS_GET_PARENT`` (ioctl_nsfs(2))."""

MAPS = (("setgroups", b"deny"), ("gid_map", b"0 0 1"), ("uid_map", b"0 0 1"))
"""What makes a process root of its user namespace as who it was: files below /proc/PID, in the order in which
the kernel takes them (user_namespaces(7))."""

PROC = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
"""The host's /proc, which no namespace of a program shows."""

_STACK = ctypes.create_string_buffer(64 << 10)
_TOP = (ctypes.addressof(_STACK) + len(_STACK)) & ~15
"""Of the process that shares this one's memory: there is one at a time."""

_CONTEXT, _ROOM = 8 << 10, 16 << 10
"""Bytes: more than any architecture's ``ucontext_t``, and the stack of a call."""
_MOST = 14
"""Calls of the longest chain."""
_CALLS = ctypes.create_string_buffer(_MOST * (_CONTEXT + _ROOM) + 16)
_CHAIN = (ctypes.addressof(_CALLS) + 15) & ~15

_SECONDS = 60
"""It sleeps until it is ended, and at most so long, for it might be left alone."""

_IN_MEMORY = [
    (ctypes.create_string_buffer(b"self/" + name.encode()), ctypes.create_string_buffer(text), len(text))
    for name, text in MAPS
]
"""The same for calls in a chain: path, content and its length."""

LIBC.clone.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


def born(owner: int | None, new: bool) -> contextlib.AbstractContextManager[str]:
    """A process in a copy of this one's mount namespace, as a path below /proc.

    It is in a given user namespace, or else this one's, or in a new one below that. Where it can, it shares
    this one's memory and runs no Python, but functions of the C library on a stack of its own: where a kernel
    is emulated, to copy an interpreter costs more than the rest of a program.
    """
    if owner is None:
        return _below()
    return _inside(owner, new) if hasattr(LIBC, "makecontext") else _forked(owner, new)


@contextlib.contextmanager
def _below() -> Iterator[str]:
    """One in a new user namespace below this one's."""
    with _sharing(NEWNS | NEWUSER, LIBC.sleep, _SECONDS) as child:
        be_root(child)
        yield child


@contextlib.contextmanager
def _inside(owner: int, new: bool) -> Iterator[str]:
    """One in a given user namespace, or in a new one below that."""
    heard, say = os.pipe()
    there = [(LIBC.setns, owner, NEWUSER), (LIBC.unshare, NEWNS | (NEWUSER if new else 0))]
    told = [(LIBC.write, say, _CHAIN, 1), (LIBC.sleep, _SECONDS), (LIBC._exit, 0)]
    arrived = _is_root_below if new else _is_in
    try:
        with _sharing(0, LIBC.setcontext, _chain(*there, *(_mapping() if new else ()), *told)) as child:
            os.close(say)
            if os.read(heard, 1) and _is_apart(child) and arrived(child, owner):
                yield child
                return
    finally:
        os.close(heard)
    # What failed is not told by that way.
    with _forked(owner, new) as child:
        yield child


def _mapping() -> Iterator[tuple[Any, ...]]:
    """Calls by which a process that shares this one's memory, but no descriptors, maps itself to root."""
    # It will be given the same: the lowest number that is free.
    file = os.dup(PROC)
    os.close(file)
    for path, text, length in _IN_MEMORY:
        yield LIBC.openat, PROC, ctypes.addressof(path), os.O_WRONLY
        yield LIBC.write, file, ctypes.addressof(text), length
        yield LIBC.close, file


def _is_apart(process: str) -> bool:
    """Whether a process is in another mount namespace than this one."""
    there, here = (os.stat(f"{each}/ns/mnt", dir_fd=PROC) for each in (process, "self"))
    return not os.path.samestat(there, here)


def _is_in(process: str, owner: int) -> bool:
    """Whether a process is in a user namespace."""
    return os.path.samestat(os.stat(process + "/ns/user", dir_fd=PROC), os.fstat(owner))


def _is_root_below(process: str, owner: int) -> bool:
    """Whether a process is in a user namespace made in the given one, and root there."""
    with contextlib.suppress(OSError), opened(process + "/ns/user") as user:
        above = fcntl.ioctl(user, GET_PARENT)
        try:
            below = os.path.samestat(os.fstat(above), os.fstat(owner))
        finally:
            os.close(above)
        return below and all(_text(f"{process}/{name}").split() == text.split() for name, text in MAPS)
    return False


@contextlib.contextmanager
def _sharing(flags: int, function: Any, argument: int) -> Iterator[str]:
    """One that shares this one's memory and calls a function of the C library; it is ended afterwards."""
    child = LIBC.clone(function, _TOP, flags | VM | signal.SIGCHLD, argument)
    check(child)
    try:
        yield str(child)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


class _Context(ctypes.Structure):
    """What a ``ucontext_t`` begins with on every architecture (``<sys/ucontext.h>``)."""

    _fields_ = (
        ("flags", ctypes.c_ulong),
        ("next", ctypes.c_void_p),
        ("stack", ctypes.c_void_p),
        ("stack_flags", ctypes.c_int),
        ("stack_size", ctypes.c_size_t),
    )


def _chain(*calls: tuple[Any, ...]) -> int:
    """The address of a context for setcontext(3), by which functions are called one after the other.

    Each call is a function and its arguments, which are integers; the last one must not return. There is one
    chain at a time.
    """
    following = None
    for number, (function, *arguments) in reversed([*enumerate(calls)]):
        address = _CHAIN + number * (_CONTEXT + _ROOM)
        LIBC.getcontext(ctypes.c_void_p(address))
        context = _Context.from_address(address)
        context.next, context.stack, context.stack_size = following, address + _CONTEXT, _ROOM
        words = [ctypes.c_long(argument) for argument in arguments]
        LIBC.makecontext(ctypes.c_void_p(address), function, len(words), *words)
        following = address
    return _CHAIN


@contextlib.contextmanager
def _forked(owner: int | None, new: bool) -> Iterator[str]:
    """One that goes into the user namespace by itself: only from there a further one can be made."""
    heard, say = os.pipe()
    wait, release = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(release)
        try:
            if owner is not None:
                check(LIBC.setns(owner, NEWUSER))
            check(LIBC.unshare(NEWNS | (NEWUSER if new else 0)))
            if new:
                be_root("self")
            os.write(say, b"0")
            os.read(wait, 1)
        except OSError as error:
            os.write(say, str(error.errno).encode())
        finally:
            os._exit(0)
    os.close(say)
    os.close(wait)
    try:
        number = int(os.read(heard, 16) or errno.ECHILD)
        if number:
            raise OSError(number, os.strerror(number))
        yield str(child)
    finally:
        os.close(release)
        os.close(heard)
        os.waitpid(child, 0)


def be_root(process: str) -> None:
    """Make a process root of its new user namespace, as who it was: else nobody could make one below it."""
    for name, text in MAPS:
        with opened(f"{process}/{name}", os.O_WRONLY) as file:
            os.write(file, text)


def _text(path: str) -> bytes:
    """A short file of /proc."""
    with opened(path) as file:
        return os.read(file, 4096)


@contextlib.contextmanager
def opened(path: str, mode: int = os.O_RDONLY) -> Iterator[int]:
    """A descriptor of a file below /proc."""
    file = os.open(path, mode, dir_fd=PROC)
    try:
        yield file
    finally:
        os.close(file)
