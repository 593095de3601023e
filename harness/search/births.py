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

from harness.search.calls import LIBC, check

NEWNS, NEWUSER, VM = 0x00020000, 0x10000000, 0x00000100

PROC = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
"""The host's /proc, which no namespace of a program shows."""

_STACK = ctypes.create_string_buffer(64 << 10)
_TOP = (ctypes.addressof(_STACK) + len(_STACK)) & ~15
"""Of the process that sleeps: there is one at a time."""

_SLEEP = ctypes.cast(LIBC.sleep, ctypes.c_void_p)
_SECONDS = 60
"""It sleeps until it is ended, and at most so long, for it might be left alone."""

LIBC.clone.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


def born(owner: int | None, new: bool) -> contextlib.AbstractContextManager[str]:
    """A process in a copy of this one's mount namespace, as a path below /proc.

    It is in a given user namespace, or else this one's, or in a new one below that.
    """
    return _sleeping() if owner is None and new else _forked(owner, new)


@contextlib.contextmanager
def _sleeping() -> Iterator[str]:
    """One in a new user namespace below this one's.

    It shares this one's memory and runs no Python, but sleep(3) on a stack of its own: where a kernel is
    emulated, to copy an interpreter costs more than the rest of a program.
    """
    child = LIBC.clone(_SLEEP, _TOP, NEWNS | NEWUSER | VM | signal.SIGCHLD, _SECONDS)
    check(child)
    try:
        be_root(str(child))
        yield str(child)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


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
