"""What programs on a host are started with: nothing that a person's own settings could change."""

from __future__ import annotations

import os
import secrets

TAG = "NSLAB_SESSION"
"""The environment variable by which a process that this session started is known."""

SESSION = f"{os.getpid()}-{secrets.token_hex(4)}"
"""The value of :data:`TAG` in everything that this process starts."""

DYING_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
"""The command-line prefix of what the kernel kills when this process ends, in whatever way (prctl(2))."""

_SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def environment(**more: str) -> dict[str, str]:
    """The whole environment for a program on a host of this machine.

    The messages of tools are in English (``LC_ALL=C``), the terminal is one that nobody decorates, and the
    directories of system tools are searched for ordinary users too.
    """
    return {"PATH": search_path(), "HOME": "/", "LC_ALL": "C", "TERM": "dumb", TAG: SESSION, **more}


def search_path() -> str:
    """Where programs are looked for: as a person said, but nowhere that depends on where they stand."""
    path = absolute("PATH")
    return os.pathsep.join([*path, *(directory for directory in _SYSTEM_PATH if directory not in path)])


def absolute(variable: str) -> list[str]:
    """The directories of a variable such as ``PATH``, without those that depend on where a person stands."""
    return [path for path in os.environ.get(variable, "").split(os.pathsep) if path.startswith("/")]
