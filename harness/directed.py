"""A program on a host that answers each line with a line, and the worker through which it is reached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.crew import relay
from harness.hosts.base import LabHost
from harness.worker import Worker


class Directed(Worker):
    """The program behind a worker; what is asked, and what it answers, are its lines."""

    def __init__(
        self, host: LabHost, name: str, program: bytes, *, behind: Sequence[str], arguments: Sequence[str]
    ) -> None:
        """Carry the program there, an archive that Python runs, and start it behind another command.

        Raises:
            LabError: its worker does not start.
        """
        path = f"{host.carry(name, {f'{name}.pyz': program})}/{name}.pyz"
        super().__init__(host, relay)
        self.first: Any = self.ask([*behind, host.python, "-IS", path, *arguments])
        """The line with which it says that it is there; empty where it has ended."""
