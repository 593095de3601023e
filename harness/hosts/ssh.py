"""Where a session gets the hosts of a machine over ssh from."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import msgspec

from harness.describe import describe
from harness.errors import HostLostError, LabError
from harness.evidence import HostDescription
from harness.hosts.base import LabHost
from harness.hosts.remote import Link
from harness.hosts.ssh_host import SshHost
from harness.hosts.ssh_stage import SshStage
from harness.notebook import Notebook
from harness.ssh.targets import Target


class SshPlace:
    """Where a session gets the hosts of one machine from; a process is connected to those in use alone."""

    _connected: ClassVar[set[SshPlace]] = set()

    def __init__(
        self, target: Target, folder: Path, number: int, wait: float, make: type[SshHost] = SshStage
    ) -> None:
        """Know of a machine; ``folder`` is the session's, and each machine has a number there.

        ``make`` makes a host there: a stage, or the machine itself.
        """
        self.name, self.kind, self._make = target.name, make.kind, make
        self.notice = f"{target.name}: {make.notice}" if make.notice else ""
        self._target, self._wait = target, wait
        self._sockets = folder / f"{number}.{os.getpid()}"
        self._note = folder / f"{number}.lost"
        """Tells every process of the session that the machine can't be reached: they need not try."""
        self._link: Link | None = None
        self._host: LabHost | None = None
        self._described = folder / f"{number}.json"
        """What the machine is, for every process of the session."""

    def prepare(self, progress: Callable[[str], None]) -> None:
        """Connect, make a host and describe it.

        Raises:
            HostLostError: the machine can't be reached, lacks what the lab needs there, or forbids it.
        """
        link = self._connect()
        try:
            with self._make(link, Notebook(), self._wait) as host:
                self._described.write_bytes(msgspec.json.encode(describe(host)))
        except HostLostError:
            raise
        except LabError as error:
            self._note.write_text(str(error), "utf-8")
            raise HostLostError(str(error)) from error
        finally:
            self.close()

    def describe(self) -> HostDescription:
        """The machine, as it was when it was prepared."""
        if self._described.exists():
            return msgspec.json.decode(self._described.read_bytes(), type=HostDescription)
        empty = dict.fromkeys(("kernel", "distribution", "architecture", "user"), "")
        return HostDescription(name=self.name, kind=self.kind, tools={}, **empty)

    def open(self, notebook: Notebook, wait: float) -> LabHost:
        """A host.

        Raises:
            HostLostError: the machine is gone.
        """
        for other in SshPlace._connected - {self}:
            if other._host is None or other._host.closed:
                other.close()
        link = self._connect()
        SshPlace._connected.add(self)
        self._host = self._make(link, notebook, wait)
        return self._host

    def _connect(self) -> Link:
        """The link; a lost one is made once more, and a machine that then can't be reached stays lost."""
        if self._note.exists():
            raise HostLostError(self._note.read_text("utf-8"))
        if self._link and self._link.spoilt:
            raise HostLostError(f"no more experiments there: {self._link.spoilt}")
        if self._link and self._link.connection.lost:
            self.close()
        if self._link is None:
            self._sockets.mkdir(mode=0o700, exist_ok=True)
            try:
                self._link = Link(self._target, self._sockets, self._wait)
            except HostLostError as error:
                self._note.write_text(str(error), "utf-8")
                raise
        return self._link

    def close(self) -> None:
        """Remove everything there and end the connection."""
        SshPlace._connected.discard(self)
        if self._link:
            self._link.close()
            self._link = None
