"""Carried to a host beside on_host.py: copies of a mount namespace that belong to other user namespaces.

Only a process in such a user namespace can make one, and none comes back from there: it is a child, which has
ended when the copy is held. Python 3.8 and its standard library suffice.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
from collections.abc import Iterator, Sequence
from typing import Any

from harness.search.calls import LIBC, check
from harness.search.chain import POSSIBLE, chained

NEWNS, NEWUSER = 0x00020000, 0x10000000
GET_USERNS, GET_PARENT = 0xB701, 0xB702
"""``NS_GET_USERNS`` and ``NS_GET_PARENT`` (ioctl_nsfs(2))."""

PROC = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
"""The host's /proc, which no namespace of a program shows."""

HELD = ("ns/mnt", "root", "mountinfo", "ns/user")
"""What is held of a process, as files below /proc/PID: the last one where its user namespace is new."""

MAPS = (("setgroups", b"deny"), ("gid_map", b"0 0 1"), ("uid_map", b"0 0 1"))
"""What makes a process root of its user namespace as who it was: files below /proc/PID, in the order in which
the kernel takes them (user_namespaces(7))."""


def copied(inside: int, owner: int | None, new: bool) -> list[int]:
    """Copy this process's mount namespace for another user namespace; descriptors of what is :data:`HELD`.

    Args:
        inside: a descriptor of this process's mount namespace.
        owner: one of a user namespace below this process's; without, this process's own, and ``new`` is set.
        new: whether the copy is for a new one below that.

    Raises:
        OSError: the kernel refuses it.
    """
    assert new or owner is not None
    return (_chained if POSSIBLE else _forked)(inside, owner, new)


_PATHS = {name: ctypes.create_string_buffer(b"self/" + name.encode()) for name in (*HELD, *dict(MAPS))}
_TEXTS = {name: ctypes.create_string_buffer(text) for name, text in MAPS}
"""What calls in a chain are given: it is to stay where it is."""

_OPEN = [(LIBC.openat, PROC, ctypes.addressof(_PATHS[name]), os.O_RDONLY | os.O_CLOEXEC) for name in HELD]


def _chained(inside: int, owner: int | None, new: bool) -> list[int]:
    """Have a copy made by a chain of calls."""
    # A process that shares the descriptors is given the lowest numbers that are free: these.
    made = [os.dup(PROC) for _ in HELD[: 3 + new]]
    _close(made)
    calls: list[tuple[Any, ...]] = []
    if owner is not None:
        calls.append((LIBC.setns, owner, NEWUSER))
        if new:
            # Who is nobody in a user namespace may not make another one; who is somebody remains so.
            calls += _mapping(made[0])
    error = chained([*calls, (LIBC.unshare, NEWNS | (NEWUSER if new else 0)), *_OPEN[: 3 + new]])
    if _is_copy(made, inside, owner):
        return made
    _close(made)
    if not error:
        raise RuntimeError("all calls went well, but what was made is no copy")
    raise OSError(error, os.strerror(error))


def _close(files: Sequence[int]) -> None:
    for file in files:
        with contextlib.suppress(OSError):
            os.close(file)


def _mapping(file: int) -> list[tuple[Any, ...]]:
    """The calls by which a process makes itself root, given the lowest descriptor that is free."""
    return [
        call
        for name, text in MAPS
        for call in (
            (LIBC.openat, PROC, ctypes.addressof(_PATHS[name]), os.O_WRONLY),
            (LIBC.write, file, ctypes.addressof(_TEXTS[name]), len(text)),
            (LIBC.close, file),
        )
    ]


def _is_copy(made: Sequence[int], inside: int, owner: int | None) -> bool:
    """Whether descriptors are those of another mount namespace that belongs where it should."""
    try:
        mount, *_ = status = [os.fstat(file) for file in made]
        if os.path.samestat(mount, os.fstat(inside)):
            return False
        belongs = _named(made[0], GET_USERNS)
        if len(made) == len(HELD):
            return os.path.samestat(belongs, status[-1]) and (
                owner is None or os.path.samestat(_named(made[-1], GET_PARENT), os.fstat(owner))
            )
        return owner is not None and os.path.samestat(belongs, os.fstat(owner))
    except OSError:
        return False


def _named(namespace: int, question: int) -> os.stat_result:
    """The status of the namespace that another one names when asked."""
    named = fcntl.ioctl(namespace, question)
    try:
        return os.fstat(named)
    finally:
        os.close(named)


def _forked(_: int, owner: int | None, new: bool) -> list[int]:
    """Have a copy made by a copy of the interpreter."""
    heard, say = os.pipe()
    wait, release = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(release)
        try:
            _go(owner, new)
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
        with _opened(str(child)) as process:
            return held(process, new=new)
    finally:
        os.close(release)
        os.close(heard)
        os.waitpid(child, 0)


def _go(owner: int | None, new: bool) -> None:
    """Become a process in a copy of its mount namespace, for the user namespace or a new one below it."""
    if owner is not None:
        check(LIBC.setns(owner, NEWUSER))
        if new:
            _be_root()
    check(LIBC.unshare(NEWNS | (NEWUSER if new else 0)))


def _be_root() -> None:
    """Be root in the user namespace as who this process was; who is that already remains so."""
    for name, text in MAPS:
        with _opened("self/" + name, os.O_WRONLY) as file, contextlib.suppress(PermissionError):
            os.write(file, text)


@contextlib.contextmanager
def _opened(path: str, mode: int = os.O_RDONLY) -> Iterator[int]:
    """A descriptor of something below /proc."""
    file = os.open(path, mode, dir_fd=PROC)
    try:
        yield file
    finally:
        os.close(file)


def held(process: int, *, new: bool = False) -> list[int]:
    """Descriptors of what is :data:`HELD` of a process, given as one of its directory below /proc."""
    return [os.open(name, os.O_RDONLY, dir_fd=process) for name in HELD[: 3 + new]]
