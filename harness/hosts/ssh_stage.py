"""A machine over ssh: on it, for each experiment, a stage as on this machine, held by the connection."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
from collections.abc import Mapping, Sequence

from harness.errors import HostLostError, LabError
from harness.hosts.base import DEFAULT_WAIT, close_streams
from harness.hosts.remote import Link
from harness.hosts.ssh_host import GRACE, SshHost
from harness.hosts.stage import entering, first_process, making
from harness.notebook import Notebook
from harness.ssh.connection import shell_line


class SshStage(SshHost):
    """A stage on another machine."""

    kind = "ssh"
    scratch = "/dev/shm"  # noqa: S108 - the stage's own tmpfs, not the machine's

    def __init__(self, link: Link, notebook: Notebook, wait: float = DEFAULT_WAIT) -> None:
        """Make a stage on the machine that ``link`` leads to.

        Raises:
            HostLostError: the machine is gone.
            LabError: it forbids the stage; with what it said.
        """
        super().__init__(link, notebook, wait)
        self._rootless = link.there.uid != 0
        user = ["--user", "--map-root-user"] if self._rootless else []
        self._holder = link.start(shell_line(making(user), link.variables))
        try:
            self.pid = self._await_ready(wait)
            self._namespace = link.run(f"readlink /proc/{self.pid}/ns/pid").strip()
        except BaseException:
            self._end_stage()
            raise

    def _await_ready(self, wait: float) -> int:
        pid = first_process(self._holder, wait)
        if pid is None:
            assert self._holder.stderr is not None
            said = self._holder.stderr.read().decode("utf-8", "backslashreplace").strip()
            if self._link.connection.lost_within(0):
                raise self._link.gone("while a stage was made")
            who = "root" if not self._rootless else "an ordinary user, who needs user namespaces,"
            raise LabError(
                f"no stage can be made on {self.name} by {who} there: "
                f"{said or 'unshare ended at once'}; see 'What is needed' in docs/hosts.md"
            )
        return pid

    def must_be_up(self, grace: float = 0.0) -> None:
        """Raise LabError where the stage or the way to it has ended.

        Raises:
            HostLostError: the connection has.
            LabError: the stage has.
        """
        super().must_be_up(grace)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._holder.wait(timeout=grace)
            raise LabError(f"the stage on {self.name} is gone: its PID 1 (there {self.pid}) has ended")

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
        return self.by_ssh(same + line, terminal=terminal)

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
            raise self.spoilt(changes)

    def _end_stage(self) -> None:
        """End the stage; returns when the kernel there has ended every process in it."""
        self.end_channel()
        close_streams(self._holder)
        try:
            self._holder.wait(timeout=GRACE)
        except subprocess.TimeoutExpired:
            # A stopped PID 1 does not see the end of its input.
            with contextlib.suppress(HostLostError):
                self._link.end_programs()
                self._holder.wait(timeout=GRACE)
        finally:
            self._holder.kill()
            self._holder.wait()
