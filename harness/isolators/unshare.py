"""util-linux's unshare(1), with the options that make it do what Go's ``Cloneflags`` do."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from harness.errors import UnmetNeedError
from harness.isolators.base import MACHINE, Progress, options, silent
from harness.namespaces import Kind
from harness.programs import ask

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_REMEDY = "install util-linux, or choose --isolator=go,python"


class Unshare:
    """unshare(1) of the host.

    It differs from the other two: its own process enters the new namespaces too (except a PID namespace,
    which only its child enters), it repeats its child's death by a signal on itself, and it reports a
    command that it cannot run with exit status 126 or 127.
    """

    name = "unshare"
    needs_python = False
    clones = False
    takes_descriptions = False

    def __init__(self) -> None:
        """Know nothing yet of the machine's unshare."""
        self._version = ""

    def prepare(self, progress: Progress = silent) -> None:
        """Ask the controller's unshare for its version; a remote host's may differ."""
        self._version = self._version or _installed_version()

    def version(self) -> str:
        """The controller's version, such as ``util-linux 2.38.1``."""
        return self._version

    def programs(self, python: str, architecture: str = MACHINE) -> dict[str, bytes]:
        """Nothing: every host has its own."""
        return {}

    def command(self, directory: str, namespaces: Iterable[Kind], argv: Sequence[str] = ()) -> list[str]:
        """An unshare(1) command line."""
        wanted = frozenset(namespaces)
        command = ["unshare", "--fork", *options(wanted)]
        if Kind.MOUNT in wanted:
            # unshare(1) makes every mount private unless told otherwise; clone(2) leaves them as they are.
            command += ["--propagation", "unchanged"]
        # --fork: as with Go, a parent stays outside and waits. sh: unshare(1) itself would run $SHELL.
        return [*command, "--", *(argv or ("sh",))]


def _installed_version() -> str:
    program = shutil.which("unshare")
    if program is None:
        raise UnmetNeedError(f"unshare isolator: no unshare in $PATH; {_REMEDY}")
    found = re.search(r"util-linux \S+", ask([program, "--version"]).stdout.decode(errors="replace"))
    if found is None:
        raise UnmetNeedError(f"unshare isolator: {program} is not util-linux's; {_REMEDY}")
    return found[0]
