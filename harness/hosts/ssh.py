"""A machine over ssh: on it, for each experiment, a stage as on this machine, held by the connection."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from harness.describe import describe
from harness.errors import HostLacksError, HostLostError, LabError
from harness.evidence import HostDescription
from harness.hosts.base import DEFAULT_WAIT, EnteringBackend, LabHost
from harness.hosts.remote import Link
from harness.hosts.stage import entering, first_process, making
from harness.notebook import Notebook
from harness.ssh.channel import Channel, ConnectionLostError
from harness.ssh.connection import shell_line
from harness.ssh.targets import Target

_GRACE = 5.0
"""Seconds for a stage's PID 1 to see the end of its input there, and for the kernel to end the rest."""


class StayingShell(EnteringBackend):
    """Runs commands by a shell that stays on the stage."""

    NAME = "ssh"

    def __init__(self, name: str, host: SshStage, wait: float) -> None:
        """Run commands on ``host``."""
        super().__init__(name, [], wait)
        self._stage = host

    def execute(self, command: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command.

        Raises:
            subprocess.TimeoutExpired: it did not end in time.
            HostLostError: the machine is gone.
            LabError: the shell has ended.
        """
        return self._stage.by_shell(command, self.wait)


class SshStage(LabHost):
    """A stage on another machine."""

    kind = "ssh"
    terminal_is_elsewhere = True
    scratch = "/dev/shm"  # noqa: S108 - the stage's own tmpfs, not the machine's

    def __init__(self, link: Link, notebook: Notebook, wait: float = DEFAULT_WAIT) -> None:
        """Make a stage on the machine that ``link`` leads to.

        Raises:
            HostLostError: the machine is gone.
            LabError: it forbids the stage; with what it said.
        """
        self._link = link
        self._channel: Channel | None = None
        self._entered = 0
        self._rootless = link.there.uid != 0
        user = ["--user", "--map-root-user"] if self._rootless else []
        self._holder = link.start(shell_line(making(user), link.variables))
        try:
            self.pid = self._await_ready(wait)
            self._namespace = link.run(f"readlink /proc/{self.pid}/ns/pid").strip()
        except BaseException:
            self._end_stage()
            raise
        name = link.target.name
        super().__init__(notebook, wait, name=name, backend=StayingShell(name, self, wait))

    def _await_ready(self, wait: float) -> int:
        pid = first_process(self._holder, wait)
        if pid is None:
            assert self._holder.stderr is not None
            said = self._holder.stderr.read().decode("utf-8", "backslashreplace").strip()
            if self._link.connection.lost_within(0):
                raise self._link.gone("while a stage was made")
            who = "root" if not self._rootless else "an ordinary user, who needs user namespaces,"
            raise LabError(
                f"no stage can be made on {self._link.target.name} by {who} there: "
                f"{said or 'unshare ended at once'}; see 'What is needed' in docs/hosts.md"
            )
        return pid

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
        """Raise LabError where the stage or the way to it has ended.

        Raises:
            HostLostError: the connection has.
            LabError: the stage has.
        """
        if self._link.connection.lost_within(0):
            raise self._link.gone("the connection ended")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._holder.wait(timeout=grace)
            raise LabError(f"the stage on {self.name} is gone: its PID 1 (there {self.pid}) has ended")

    def by_shell(self, command: str, wait: float) -> subprocess.CompletedProcess[bytes]:
        """Run a command by the shell that stays on the stage."""
        self._channel = self._channel or Channel(self.enter(["sh"], terminal=False))
        try:
            return self._channel.run(command, wait)
        except BaseException as error:
            # What it still prints would be taken for the next command's.
            self._channel.close()
            self._channel = None
            if isinstance(error, ConnectionLostError):
                self.must_be_up(_GRACE)
                raise LabError(f"{self.name}: {error}") from None
            raise

    def enter(
        self, argv: Sequence[str], variables: Mapping[str, str] | None = None, *, terminal: bool = True
    ) -> list[str]:
        """The command line of ssh that runs ``argv`` on the stage, on a terminal or between pipes."""
        self.must_be_up()
        line = shell_line(
            [*entering(self.pid, rootless=self._rootless), *argv],
            {**self._link.variables, "TERM": "dumb", **(variables or {})},
        )
        # The number of a PID 1 that has just ended may be another process's by now.
        same = f'[ "$(readlink /proc/{self.pid}/ns/pid)" = {shlex.quote(self._namespace)} ] || exit; '
        connection = self._link.for_program(self._entered)
        self._entered += 1
        return connection.command(self._link.line(same + line), terminal=terminal)

    def carry(self, folder: str, files: Mapping[str, bytes]) -> str:
        """Put executable files into the session's folder there, which the stage sees too."""
        self.must_be_up()
        return self._link.carry(folder, files)

    def drop(self) -> None:
        """End the stage, and see whether the machine is as it was.

        Raises:
            HostLostError: the machine was lost, and no error has told so yet.
            LabError: the machine was changed; names what.
        """
        told = self._link.told
        try:
            reached = self._link.reached(self.pid)
            self._end_stage()
            changes = self._link.changes(reached)
        except HostLostError:
            self._end_stage()
            if told:
                return
            raise
        if changes:
            self._link.spoilt = f"{self.name} was changed by an experiment: {'; '.join(changes)}"
            raise LabError(self._link.spoilt)

    def _end_stage(self) -> None:
        """End the stage; returns when the kernel there has ended every process in it."""
        if self._channel:
            self._channel.close()
            self._channel = None
        for stream in (self._holder.stdin, self._holder.stdout, self._holder.stderr):
            if stream is not None:
                stream.close()
        try:
            self._holder.wait(timeout=_GRACE)
        except subprocess.TimeoutExpired:
            # A stopped PID 1 does not see the end of its input.
            with contextlib.suppress(HostLostError):
                self._link.end_programs()
                self._holder.wait(timeout=_GRACE)
        finally:
            self._holder.kill()
            self._holder.wait()


class SshPlace:
    """Where a session gets the stages of one machine from; a process is connected to one at a time."""

    kind = SshStage.kind
    notice = ""
    _connected: SshPlace | None = None

    def __init__(self, target: Target, folder: Path, number: int, wait: float) -> None:
        """Know of a machine; ``folder`` is the session's, and each machine has a number there."""
        self.name = target.name
        self._target, self._wait = target, wait
        self._sockets = folder / f"{number}.{os.getpid()}"
        self._note = folder / f"{number}.lost"
        """Tells every process of the session that the machine can't be reached: they need not try."""
        self._link: Link | None = None
        self._described = folder / f"{number}.json"
        """What the machine is, for every process of the session."""

    def prepare(self, progress: Callable[[str], None]) -> None:
        """Connect, make a stage and describe it.

        Raises:
            HostLostError: the machine can't be reached, or lacks what the lab needs there.
            LabError: no stage can be made there.
        """
        link = self._connect()
        try:
            with SshStage(link, Notebook(), self._wait) as host:
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
        """A stage.

        Raises:
            HostLostError: the machine is gone.
        """
        if SshPlace._connected not in (None, self):
            SshPlace._connected.close()
        SshPlace._connected = self
        return SshStage(self._connect(), notebook, wait)

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
        if self._link:
            self._link.close()
            self._link = None
