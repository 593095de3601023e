"""Where a session gets its hosts from: for each experiment one, all of them alike."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Protocol

from harness.describe import describe
from harness.errors import LabError
from harness.evidence import HostDescription
from harness.hosts.base import LabHost
from harness.notebook import Notebook
from harness.watch import Watch


class Place(Protocol):
    """A source of hosts."""

    name: str
    """As test ids and records show it."""
    kind: str
    notice: str
    """What a person is told, in one line, before anything runs there."""

    def prepare(self, progress: Callable[[str], None]) -> None:
        """Do all that can be done before the first experiment, telling what is waited for.

        Raises:
            harness.errors.UnmetNeedError: something is missing; one line names it and the remedy.
            harness.errors.LabError: this place has no hosts; other places' results stand.
        """

    def describe(self) -> HostDescription:
        """What the hosts are."""

    def open(self, notebook: Notebook, wait: float) -> LabHost:
        """A host for one experiment."""

    def close(self) -> None:
        """End what is left."""


class HerePlace:
    """Hosts on this machine: made for each experiment, and gone with it."""

    def __init__(self, kinds: Mapping[str, type[LabHost]], stage: str, wait: float) -> None:
        """Make hosts of the kind that ``kinds`` has, when they are made, under the name of ``stage``."""
        self._kinds, self._stage, self._wait = kinds, stage, wait
        self.name = self.kind = kinds[stage].kind
        self.notice = kinds[stage].notice

    def prepare(self, progress: Callable[[str], None]) -> None:
        """Nothing has to be done."""

    def describe(self) -> HostDescription:
        """Ask a host that is made for this.

        Raises:
            LabError: this machine is not as before; names what changed.
        """
        with contextlib.closing(Watch()) as watch:
            with self.open(Notebook(), self._wait) as host:
                description = describe(host)
                reached = watch.reached(host.peer_groups())
            if changes := watch.changes(reached):
                raise LabError(f"asking the {self.name} left this machine changed: {'; '.join(changes)}")
        return description

    def open(self, notebook: Notebook, wait: float) -> LabHost:
        """A new host."""
        return self._kinds[self._stage](notebook, wait)

    def close(self) -> None:
        """Nothing is left."""
