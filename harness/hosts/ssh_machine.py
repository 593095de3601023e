"""A machine over ssh itself as the host, where it can be thrown away; its guardian there puts it back."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from harness import guardian
from harness.errors import HostLostError, LabError
from harness.hosts.base import DEFAULT_WAIT, close_streams
from harness.hosts.machine import OnMachine, await_guarded
from harness.hosts.remote import LOOKING, Link
from harness.hosts.ssh_host import GRACE, SshHost
from harness.notebook import Notebook
from harness.runnable import runnable
from harness.ssh.connection import shell_line

PARTS = ("environment", "errors", "guardian", "mountinfo", "queues", "restore", "state")
"""The modules of the guardian."""
_ARCHIVE = "guardian.pyz"


class SshMachine(SshHost):
    """The machine itself, for one experiment; its guardian's input is the connection."""

    kind = OnMachine.kind
    notice = OnMachine.notice

    def __init__(self, link: Link, notebook: Notebook, wait: float = DEFAULT_WAIT) -> None:
        """Have the machine guarded, its mounts made shared, and a folder for scratch files made.

        Raises:
            HostLostError: the machine is gone.
            LabError: this user may not, there is no Python, or another session acts on it; says which.
        """
        super().__init__(link, notebook, wait)
        if link.there.uid != 0:
            raise LabError(f"--stage=machine acts on {self.name} itself: log in there as root, or add --sudo")
        if not link.there.python:
            raise LabError(
                f"--stage=machine: {self.name} is put back by Python 3.8 or later: install python3 there"
            )
        parts = (f"harness.{name}" for name in PARTS)
        archive = f"{link.carry('guardian', {_ARCHIVE: runnable('harness.guardian', *parts)})}/{_ARCHIVE}"
        # Without the session's mark: by that it knows what to end.
        command = [link.there.python, "-IS", archive, link.session, guardian.PREPARE]
        self._guardian = link.start(shell_line(command, LOOKING))
        try:
            self.scratch = await_guarded(self._guardian, self.name, wait)
        except BaseException:
            self._end_guardian()
            raise

    def must_be_up(self, grace: float = 0.0) -> None:
        """Raise LabError where the way to the machine or its guardian has ended.

        Raises:
            HostLostError: the connection has.
            LabError: the guardian has.
        """
        super().must_be_up(grace)
        if self._guardian.poll() is not None:
            raise LabError(f"the guardian that puts {self.name} back has ended")

    def enter(
        self, argv: Sequence[str], variables: Mapping[str, str] | None = None, *, terminal: bool = True
    ) -> list[str]:
        """The command line of ssh that runs ``argv`` on the machine, on a terminal or between pipes."""
        self.must_be_up()
        line = shell_line(argv, {**self._link.variables, "TERM": "dumb", **(variables or {})})
        return self.by_ssh(line, terminal=terminal)

    def drop(self) -> None:
        """Have the machine put back, and see whether it is as it was.

        Raises:
            HostLostError: the machine was lost, and no error has told so yet.
            LabError: something could not be put back; names it.
        """
        told = self._link.told
        self.end_channel()
        left = self._put_back()
        try:
            changes = self._link.changes(())
        except HostLostError:
            if told:
                return
            raise
        if left or changes:
            raise self.spoilt(left or changes)

    def _put_back(self) -> list[str]:
        """End the guardian's input and wait for its end; what it says of what it could not put back."""
        try:
            _, said = self._guardian.communicate(timeout=self.wait + GRACE)
        except subprocess.TimeoutExpired:
            said = b"its guardian did not put it back in time"
        self._end_guardian()
        if self._guardian.returncode == 0:
            return []
        lines = said.decode("utf-8", "backslashreplace").splitlines()
        return lines or [f"its guardian ended with status {self._guardian.returncode}"]

    def _end_guardian(self) -> None:
        """End what leads to it: it sees the end of its input."""
        self._guardian.kill()
        self._guardian.wait()
        close_streams(self._guardian)
