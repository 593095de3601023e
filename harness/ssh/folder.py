"""A private folder of this process for the sockets of its connections."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "nslab-ssh-"

_LONGEST = 60
"""Characters: ssh adds a name of its own to that of a socket, whose path has at most 107 (unix(7))."""


def private_folder() -> Path:
    """Make one; those of processes that were killed are removed."""
    parent = tempfile.gettempdir()
    if len(parent) > _LONGEST:
        parent = "/tmp"  # noqa: S108 - mkdtemp makes it ours alone
    for left in Path(parent).glob(f"{_PREFIX}*-*"):
        with contextlib.suppress(OSError):
            pid = left.name.removeprefix(_PREFIX).partition("-")[0]
            if not Path(f"/proc/{pid}").exists() and left.lstat().st_uid == os.geteuid():
                shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))
