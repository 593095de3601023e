"""The Go isolator: ``go/isolate.go``, which starts a command as the document's four programs do."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from harness.isolators import build, toolchain
from harness.isolators.base import PROGRAM_NAMES, Progress, program_command, silent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.namespaces import Kind


class Golang:
    """The Go program, built on first use."""

    name = "go"

    def __init__(self) -> None:
        """Know of no toolchain yet."""
        self._version = ""
        self._binary = b""

    def prepare(self, progress: Progress = silent) -> None:
        """Build the program with the first fitting toolchain, or take it from the cache.

        Raises:
            UnmetNeedError: no toolchain, or a cache directory that others can write.
            LabError: the build failed; the message ends with what the compiler said last.
        """
        if self._binary:
            return
        found = toolchain.find()
        source = resources.files("harness.isolators").joinpath("go/isolate.go").read_bytes()
        self._binary = build.built(source, found, progress)
        self._version = found.version

    def version(self) -> str:
        """The toolchain's version, such as ``go1.27.3``."""
        return self._version

    def programs(self, python: str) -> dict[str, bytes]:
        """The static binary under each name."""
        self.prepare()
        return dict.fromkeys(PROGRAM_NAMES, self._binary)

    def command(self, directory: str, namespaces: Iterable[Kind], argv: Sequence[str] = ()) -> list[str]:
        """``DIRECTORY/uts`` and the like, or ``DIRECTORY/isolate`` with options."""
        return program_command(directory, namespaces, argv)
