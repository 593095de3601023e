"""Private folders for sockets and what else lives as long as this process; what others left is removed.

A folder is locked while its process lives, however it ends: a PID would not tell whether it does, for the
temporary directory may be shared with another PID namespace.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

_LONGEST = 60
"""Characters: ssh adds a name of its own to that of a socket, whose path has at most 107 (unix(7))."""

_held: dict[Path, int] = {}


def make_folder(purpose: str) -> Path:
    """A new folder in the temporary directory; those of ended processes for that purpose are removed."""
    parent = tempfile.gettempdir()
    if len(parent) > _LONGEST:
        parent = "/tmp"  # noqa: S108 - mkdtemp makes it ours alone
    prefix = f"nslab-{purpose}-"
    for left in set(Path(parent).glob(f"{prefix}*")) - _held.keys():
        remove_folder(left)
    while True:
        made = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        # Until it is locked, another session may take it for one that was left.
        if _lock(made):
            return made


def remove_folder(folder: Path) -> None:
    """Remove a folder of this process, or one whose process has ended."""
    if folder in _held or _lock(folder):
        shutil.rmtree(folder, ignore_errors=True)
        os.close(_held.pop(folder))


def _lock(folder: Path) -> bool:
    """Hold a folder of this user that nobody else holds."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_uid == os.geteuid() and folder.exists():
                _held[folder] = descriptor
                return True
        except BlockingIOError:
            pass
        os.close(descriptor)
    return False
