"""The system calls on mounts by descriptor, as functions."""

from __future__ import annotations

import ctypes

from harness.probes.syscalls import AT_FDCWD, call

CLONE, NAMESPACE, RECURSIVE, EMPTY_PATH = 1, 2, 0x8000, 0x1000
F_EMPTY_PATH, T_EMPTY_PATH, SET_GROUP, BENEATH = 0x4, 0x40, 0x100, 0x200
SET_STRING, CREATE = 1, 6
RDONLY, NOSUID, IDMAP = 0x1, 0x2, 0x100000


def open_tree(path: str, flags: int) -> int:
    """A descriptor of a mount or of a detached copy."""
    return call("open_tree", AT_FDCWD, path.encode(), flags)


def move_mount(source: int, path: str, flags: int = 0) -> None:
    """Attach what a descriptor stands for."""
    call("move_mount", source, b"", AT_FDCWD, path.encode(), F_EMPTY_PATH | flags)


def setattr_of(
    path: str, given: int = 0, cleared: int = 0, propagation: int = 0, userns: int = 0, size: int = 32
) -> None:
    """Change a mount's attributes."""
    request = (ctypes.c_uint64 * 8)(given, cleared, propagation, userns)
    call("mount_setattr", AT_FDCWD, path.encode(), 0, ctypes.byref(request), size)


def fsmount(kind: str, *options: tuple[str, str]) -> int:
    """A new mount that is attached nowhere."""
    context = call("fsopen", kind.encode(), 0)
    for name, value in options:
        call("fsconfig", context, SET_STRING, name.encode(), value.encode(), 0)
    call("fsconfig", context, CREATE, 0, 0, 0)
    return call("fsmount", context, 0, 0)
