"""Prefixes of command lines that arrange odd surroundings."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

PRIVATE = ["unshare", "--mount", "--propagation", "private", "sh", "-ec"]
"""Runs a script that may mount: nothing of it reaches the machine."""


def arranged(script: str, *, new: Sequence[str] = ()) -> list[str]:
    """The prefix that arranges something by a script, in namespaces of its own, and then runs a command."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return [*PRIVATE[:1], *user, *new, *PRIVATE[1:], script + '\nexec "$@"', "sh"]


def by_python(code: str) -> list[str]:
    """The prefix that arranges something in Python and then becomes a command."""
    return [sys.executable, "-c", f"import os, sys, signal\n{code}\nos.execvp(sys.argv[1], sys.argv[1:])"]
