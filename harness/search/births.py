"""Carried to a host beside on_host.py: processes born in copies of a mount namespace, which end at once.

Python 3.8 and its standard library suffice.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
from collections.abc import Iterator
from typing import Any

from harness.search.calls import LIBC, check

NEWNS, NEWUSER, VM = 0x00020000, 0x10000000, 0x00000100

PROC = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
"""The host's /proc, which no namespace of a program shows."""

_STACK = ctypes.create_string_buffer(64 << 10)
_TOP = (ctypes.addressof(_STACK) + len(_STACK)) & ~15
"""Of the process that shares this one's memory: there is one at a time."""

_CONTEXT, _ROOM = 8 << 10, 16 << 10
"""Bytes: more than any architecture's ``ucontext_t``, and the stack of a call."""
_CALLS = ctypes.create_string_buffer(5 * (_CONTEXT + _ROOM) + 16)
_CHAIN = (ctypes.addressof(_CALLS) + 15) & ~15

_SECONDS = 60
"""It sleeps until it is ended, and at most so long, for it might be left alone."""

LIBC.clone.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


def born(owner: int | None, new: bool) -> contextlib.AbstractContextManager[str]:
    """A process in a copy of this one's mount namespace, as a path below /proc.

    It is in a given user namespace, or else this one's, or in a new one below that. Where it can, it shares
    this one's memory and runs no Python, but functions of the C library on a stack of its own: where a kernel
    is emulated, to copy an interpreter costs more than the rest of a program.
    """
    if owner is None:
        return _below()
    return _inside(owner) if not new and hasattr(LIBC, "makecontext") else _forked(owner, new)


@contextlib.contextmanager
def _below() -> Iterator[str]:
    """One in a new user namespace below this one's."""
    with _sharing(NEWNS | NEWUSER, LIBC.sleep, _SECONDS) as child:
        be_root(child)
        yield child


@contextlib.contextmanager
def _inside(owner: int) -> Iterator[str]:
    """One in a given user namespace."""
    heard, say = os.pipe()
    sleep = (LIBC.sleep, _SECONDS), (LIBC._exit, 0)
    there = (LIBC.setns, owner, NEWUSER), (LIBC.unshare, NEWNS), (LIBC.write, say, _CHAIN, 1)
    try:
        with _sharing(0, LIBC.setcontext, _chain(*there, *sleep)) as child:
            os.close(say)
            if os.read(heard, 1) and _is_in(child, owner):
                yield child
                return
    finally:
        os.close(heard)
    # What failed is not told by that way.
    with _forked(owner, new=False) as child:
        yield child


def _is_in(process: str, owner: int) -> bool:
    """Whether a process is in a user namespace, and in another mount namespace than this one."""
    user, mount = (os.stat(f"{process}/ns/{kind}", dir_fd=PROC) for kind in ("user", "mnt"))
    return os.path.samestat(user, os.fstat(owner)) and not os.path.samestat(
        mount, os.stat("self/ns/mnt", dir_fd=PROC)
    )


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
    for name, content in (("setgroups", b"deny"), ("gid_map", b"0 0 1"), ("uid_map", b"0 0 1")):
        file = os.open(f"{process}/{name}", os.O_WRONLY, dir_fd=PROC)
        try:
            os.write(file, content)
        finally:
            os.close(file)
