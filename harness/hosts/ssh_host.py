"""What all hosts on a machine over ssh have in common."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from harness.errors import HostLacksError, LabError
from harness.hosts.base import DEFAULT_WAIT, EnteringBackend, LabHost
from harness.hosts.remote import Link
from harness.notebook import Notebook
from harness.ssh.channel import Channel, ConnectionLostError

GRACE = 5.0
"""Seconds for what is held by its input there to see the end of it, and for the kernel to end the rest."""


class StayingShell(EnteringBackend):
    """Runs commands by a shell that stays on the host."""

    NAME = "ssh"

    def __init__(self, name: str, host: SshHost, wait: float) -> None:
        """Run commands on ``host``."""
        super().__init__(name, [], wait)
        self._on = host

    def execute(self, command: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command.

        Raises:
            subprocess.TimeoutExpired: it did not end in time.
            HostLostError: the machine is gone.
            LabError: the shell has ended.
        """
        return self._on.by_shell(command, self.wait)


class SshHost(LabHost):
    """A host of a machine that a link leads to, for one experiment."""

    terminal_is_elsewhere = True

    def __init__(self, link: Link, notebook: Notebook, wait: float = DEFAULT_WAIT) -> None:
        """Reach it by ``link``."""
        self._link, self.session = link, link.session
        self._channel: Channel | None = None
        self._entered = 0
        name = link.target.name
        super().__init__(notebook, wait, name=name, backend=StayingShell(name, self, wait))

    @property
    def user(self) -> str:  # type: ignore[override]  # known only when the machine was asked
        """Who the commands are there, in the words of a report."""
        uid = self._link.there.uid
        return "root" if uid == 0 else f"uid {uid}, root in a user namespace of its own"

    @property
    def architecture(self) -> str:  # type: ignore[override]  # as above
        """The machine's, as ``uname -m`` tells it."""
        return self._link.there.architecture

    @property
    def python(self) -> str:  # type: ignore[override]  # as above
        """The path of a Python there.

        Raises:
            HostLacksError: there is none that the lab can use.
        """
        if not self._link.there.python:
            raise HostLacksError(f"{self.name} has no Python 3.8 or later: install python3 there")
        return self._link.there.python

    def must_be_up(self, grace: float = 0.0) -> None:
        """Raise where the way to the machine has ended.

        Raises:
            HostLostError: it has.
        """
        if self._link.connection.lost_within(0):
            raise self._link.gone("the connection ended")

    def by_shell(self, command: str, wait: float) -> subprocess.CompletedProcess[bytes]:
        """Run a command by the shell that stays on the host."""
        self._channel = self._channel or Channel(self.enter(["sh"], terminal=False))
        try:
            return self._channel.run(command, wait)
        except BaseException as error:
            # What it still prints would be taken for the next command's.
            self.end_channel()
            if isinstance(error, ConnectionLostError):
                self.must_be_up(GRACE)
                raise LabError(f"{self.name}: {error}") from None
            raise

    def end_channel(self) -> None:
        """End the shell that stays."""
        if self._channel:
            self._channel.close()
            self._channel = None

    def by_ssh(self, shell_line: str, *, terminal: bool) -> list[str]:
        """The command line of ssh that runs a shell's line there, beside those that run already."""
        connection = self._link.for_program(self._entered)
        self._entered += 1
        return connection.command(self._link.line(shell_line), terminal=terminal)

    def carry(self, folder: str, files: Mapping[str, bytes]) -> str:
        """Put executable files into the session's folder there."""
        self.must_be_up()
        return self._link.carry(folder, files)

    def spoilt(self, changes: Sequence[str]) -> LabError:
        """An error that tells how an experiment left the machine, on which no more will run."""
        self._link.spoilt = f"{self.name} was changed by an experiment: {'; '.join(changes)}"
        return LabError(self._link.spoilt)
