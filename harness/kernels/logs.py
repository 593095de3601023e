"""What guests said on their consoles: the files, and the lines of them that an error shows."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

from harness.kernels import cache

_LINES = 12
"""How many of the console's last lines an error shows."""

_TELLING = re.compile(r"^nslab: |Kernel panic|BUG:|Out of memory|Unable to mount|Oops")
_KEPT_LOGS = 50
_numbers = itertools.count()


def new(name: str) -> Path:
    """Where a guest's console is to be written; old ones are removed."""
    folder = cache.folder("logs")
    _forget_old(folder)
    return folder / f"{name}-{os.getpid()}-{next(_numbers)}.log"


def last_lines(file: Path, limit: int | None = _LINES) -> list[str]:
    """The last lines that say anything; all of them without a limit."""
    try:
        text = file.read_bytes().decode("utf-8", "backslashreplace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()][-(limit or 0) :]


def telling_lines(file: Path) -> list[str]:
    """The last lines, and before them those that say what happened, which a trace may have pushed away."""
    lines = last_lines(file, limit=None)
    early = [line for line in lines[:-_LINES] if _TELLING.search(line)]
    return early[-_LINES:] + lines[-_LINES:]


def _forget_old(logs: Path) -> None:
    """Keep the newest logs only."""
    for old in sorted(logs.iterdir(), key=_age)[:-_KEPT_LOGS]:
        old.unlink(missing_ok=True)


def _age(log: Path) -> float:
    try:
        return log.stat().st_mtime
    except OSError:
        return 0.0
