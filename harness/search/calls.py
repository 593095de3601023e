"""Carried to a host: the system calls of mounts, by number where a C library may lack them.

What fails raises OSError. Python 3.8 and its standard library suffice.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
LIBC.syscall.restype = ctypes.c_long
LIBC.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)

OPEN_TREE, MOVE_MOUNT, FSOPEN, FSCONFIG, FSMOUNT, MOUNT_SETATTR = 428, 429, 430, 431, 432, 442
AT_FDCWD, AT_EMPTY_PATH, AT_RECURSIVE = -100, 0x1000, 0x8000
TREE_CLONE, TREE_CLOEXEC = 1, 0o2000000
FROM_DESCRIPTOR, SET_GROUP, BENEATH = 0x4, 0x100, 0x200
"""Flags of move_mount(2)."""
SET_STRING, CREATE = 1, 6
REMOUNT, BIND = 32, 4096

PROPAGATION = {"unbindable": 1 << 17, "private": 1 << 18, "slave": 1 << 19, "shared": 1 << 20}
SET = {"ro": 1, "nosuid": 2, "nodev": 4, "noexec": 8, "noatime": 0x10}
"""Attributes of mount_setattr(2); of those of mount(2) only the last has another number."""
CLEARED = {"rw": 1, "suid": 2, "dev": 4, "exec": 8, "relatime": 0x70, "noatime": 0x70}
"""What the words clear: how access times are kept is one field, cleared before it is set."""
FLAGS = dict(SET, noatime=1024)


def check(result: int) -> None:
    """Raise OSError where a C function failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def call(number: int, *arguments: Any) -> int:
    """A system call by its number, which is the same on all architectures for those used so."""
    result = int(LIBC.syscall(number, *arguments))
    check(result)
    return result


def mount(source: str, path: str, directories: list[str], flags: int = 0) -> None:
    """Put a new file system there that has its directories already, by the calls that fresh tools use.

    Afterwards a path may lead to another copy of it, where it is mounted over a root of many places at once.
    """
    context = call(FSOPEN, b"tmpfs", 0)
    try:
        call(FSCONFIG, context, SET_STRING, b"source", source.encode(), 0)
        call(FSCONFIG, context, CREATE, None, None, 0)
        made = call(FSMOUNT, context, 0, 0)
    finally:
        os.close(context)
    try:
        furnish(made, directories)
        move_mount(made, path, flags)
    finally:
        os.close(made)


def furnish(root: int, directories: list[str]) -> None:
    """Make the directories that every file system of the model has, below an open directory."""
    for directory in directories:
        os.mkdir(directory[1:], 0o755, dir_fd=root)


def open_tree(path: str, flags: int) -> int:
    """A copy of what is at a path, in no namespace."""
    return call(OPEN_TREE, AT_FDCWD, path.encode(), TREE_CLONE | TREE_CLOEXEC | flags)


def move_mount(source: str | int, path: str, flags: int) -> None:
    """Mount at a path what is at another one, or what a descriptor holds."""
    if isinstance(source, str):
        call(MOVE_MOUNT, AT_FDCWD, source.encode(), AT_FDCWD, path.encode(), flags)
    else:
        call(MOVE_MOUNT, source, b"", AT_FDCWD, path.encode(), flags | FROM_DESCRIPTOR)


def set_attributes(where: str | int, words: str, flags: int) -> None:
    """Change attributes and propagation of what is at a path, or of what a descriptor holds."""
    on, off, propagation = (total(words, known) for known in (SET, CLEARED, PROPAGATION))
    wanted = struct.pack("=QQQQ", on, off, propagation, 0)
    if isinstance(where, str):
        call(MOUNT_SETATTR, AT_FDCWD, where.encode(), flags, wanted, len(wanted))
    else:
        call(MOUNT_SETATTR, where, b"", flags | AT_EMPTY_PATH, wanted, len(wanted))


def remount(path: str, words: str) -> None:
    """Give a mount just these attributes."""
    check(LIBC.mount(None, path.encode(), None, REMOUNT | BIND | total(words, FLAGS), None))


def total(words: str, known: dict[str, int]) -> int:
    """What words stand for, together; those that are not known are nothing."""
    result = 0
    for word in words.split(","):
        result |= known.get(word, 0)
    return result
