"""What the lab asks of an isolator: a program that puts another in new namespaces."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Protocol

from harness.namespaces import PROGRAMS, Kind
from harness.private import Progress as Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MACHINE = platform.machine()
"""This machine's architecture."""

PROGRAM_NAMES = (*PROGRAMS, "isolate")
"""The names under which the Go program and the port are installed."""


def silent(_message: str) -> None:
    """Report progress to nobody."""


class Isolator(Protocol):
    """One isolator. The controller prepares it; its programs and its command lines run on hosts."""

    name: str
    """The name that ``--isolator`` and the test ids know."""

    def prepare(self, progress: Progress = silent) -> None:
        """Build or find what is needed on the controller; a second call costs nothing.

        Raises:
            harness.errors.UnmetNeedError: something is missing; one line names it and the remedy.
        """

    def version(self) -> str:
        """What the run's record says of it, such as ``go1.27.3``; known once it is prepared."""

    needs_python: bool
    """Whether its programs are run by the host's Python."""

    clones: bool
    """Whether its programs make namespaces by clone(2), which may be forbidden where unshare(2) is not."""

    takes_descriptions: bool
    """Whether its program ``isolate`` takes ``--description`` (docs/go.md)."""

    def programs(self, python: str, architecture: str = MACHINE) -> dict[str, bytes]:
        """File name → content of what a host must have, executable and in one directory.

        ``python`` is the absolute path of the interpreter on that host; empty where it has none, and only
        for an isolator that needs none. ``architecture`` is the host's, as ``uname -m`` tells it.

        Raises:
            harness.errors.HostLacksError: there are no programs for such a host.
        """

    def command(self, directory: str, namespaces: Iterable[Kind], argv: Sequence[str] = ()) -> list[str]:
        """The command line on a host where ``directory`` holds ``programs()``; ``sh`` without ``argv``."""


def options(namespaces: Iterable[Kind]) -> list[str]:
    """The namespaces' long options, in the order in which the document introduces them."""
    wanted = frozenset(namespaces)
    return [kind.option for kind in Kind if kind in wanted]


def program_command(directory: str, namespaces: Iterable[Kind], argv: Sequence[str]) -> list[str]:
    """The command line of the Go program or the port.

    Where the namespaces are those of a program of the document, it runs under that program's name, so that
    the process tree shows what the document's does.
    """
    wanted = frozenset(namespaces)
    for name, made in PROGRAMS.items():
        if made == wanted:
            return [f"{directory}/{name}", *_separated(argv)]
    return [f"{directory}/isolate", *options(wanted), *_separated(argv)]


def _separated(argv: Sequence[str]) -> list[str]:
    return ["--", *argv] if argv and argv[0].startswith("-") else list(argv)
