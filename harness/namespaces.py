"""The kinds of namespace, their clone flags and how the kernel names them. Source: namespaces(7)."""

from __future__ import annotations

import enum
import re
from typing import NamedTuple


class Kind(enum.Enum):
    """One kind of namespace; the value is its file name under ``/proc/PID/ns``."""

    UTS = "uts"
    IPC = "ipc"
    PID = "pid"
    MOUNT = "mnt"

    @property
    def flag(self) -> int:
        """The ``CLONE_NEW*`` bit of ``<linux/sched.h>``."""
        return _FLAGS[self]

    @property
    def option(self) -> str:
        """The long option of unshare(1) and of the lab's isolators that makes one."""
        return f"--{self.name.lower()}"


_FLAGS = {
    Kind.UTS: 0x04000000,
    Kind.IPC: 0x08000000,
    Kind.PID: 0x20000000,
    Kind.MOUNT: 0x00020000,
}

PROGRAMS = {
    "uts": frozenset({Kind.UTS}),
    "ipc": frozenset({Kind.UTS, Kind.IPC}),
    "pid": frozenset({Kind.UTS, Kind.IPC, Kind.PID}),
    "mount": frozenset({Kind.UTS, Kind.IPC, Kind.PID, Kind.MOUNT}),
}
"""The document's four programs: each makes one more kind of namespace than the one before."""

INITIAL_UTS_INODE = 0xEFFFFFFE
"""The initial UTS namespace's number (4026531838), ``PROC_UTS_INIT_INO`` of the kernel's ``proc_ns.h``."""


class Identity(NamedTuple):
    """What ``readlink /proc/PID/ns/KIND`` tells: two processes share a namespace if these are equal."""

    kind: str
    inode: int

    @classmethod
    def parse(cls, link: str) -> Identity:
        """Read a link's target such as ``uts:[4026531838]``.

        Raises:
            ValueError: the text is no namespace link.
        """
        match = re.fullmatch(r"(\w+):\[(\d+)\]", link.strip())
        if match is None:
            raise ValueError(f"not a namespace link: {link!r} (expected e.g. 'uts:[4026531838]')")
        return cls(match[1], int(match[2]))
