"""POSIX message queues of this process's IPC namespace, also where no mqueue file system is mounted."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterable, Iterator

from harness.mountinfo import Mount

# Calls without a wrapper in older C libraries; they have these numbers on every architecture (fsopen(2)).
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
_CLOEXEC = 1
_CMD_CREATE = 6

_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def folder(mounts: Iterable[Mount]) -> Iterator[int | None]:
    """A descriptor of the folder that shows the queues (mq_overview(7)).

    It is mounted nowhere, and so changes nothing, where this process may make such a mount (Linux 5.2, and
    CAP_SYS_ADMIN over the namespace). Elsewhere it is the first that is mounted; None where there is none.
    """
    descriptor = _detached()
    for point in (mount.point for mount in mounts if mount.type == "mqueue"):
        if descriptor is not None:
            break
        with contextlib.suppress(OSError):
            descriptor = os.open(point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _detached() -> int | None:
    context = _libc.syscall(_FSOPEN, b"mqueue", _CLOEXEC)
    if context < 0:
        return None
    try:
        if _libc.syscall(_FSCONFIG, context, _CMD_CREATE, None, None, 0) != 0:
            return None
        mount = _libc.syscall(_FSMOUNT, context, _CLOEXEC, 0)
    finally:
        os.close(context)
    if mount < 0:
        return None
    try:
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=mount)
    except OSError:
        return None
    finally:
        os.close(mount)


def names(mounts: Iterable[Mount]) -> list[str]:
    """The names of the queues, as mq_open(3) takes them."""
    with folder(mounts) as descriptor:
        return [] if descriptor is None else [f"/{name}" for name in os.listdir(descriptor)]  # noqa: PTH208 - by descriptor


def remove(queues: Iterable[str], mounts: Iterable[Mount]) -> None:
    """Remove queues, as far as the system lets."""
    with folder(mounts) as descriptor:
        for queue in queues if descriptor is not None else ():
            with contextlib.suppress(OSError):
                os.unlink(queue[1:], dir_fd=descriptor)
