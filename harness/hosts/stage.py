"""The stage: a disposable host on this machine, made of namespaces and gone with its holder.

Its own mount, PID, UTS, IPC and network namespaces (and, for an ordinary user, a user namespace), its own
``/proc`` and ``/dev/shm``; ``/`` is shared inside, as systemd makes it, and private towards the machine.
PID 1 is the holder's ``cat``: it ends when the pipe from this process closes, however this process ends,
and the kernel then ends every process in the stage and drops what was mounted (pid_namespaces(7)).
"""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Mapping
from pathlib import Path

from harness.environment import environment
from harness.errors import LabError, UnmetNeedError, WaitExpiredError
from harness.hosts.base import DEFAULT_WAIT, LabHost, write_programs
from harness.hosts.obstacles import find_obstacle
from harness.notebook import Notebook

# The first line is read while /proc is still the machine's: it is the stage's PID 1 as the machine knows it.
# Children of PID 1 are reaped by the kernel because SIGCHLD is ignored across exec (wait(2)).
_SET_UP = """\
read -r pid rest </proc/self/stat &&
mount -t proc proc /proc &&
mount -t tmpfs -o mode=1777 tmpfs /dev/shm &&
mount --make-rshared / &&
trap '' CHLD &&
echo "$pid" &&
exec cat
"""

_GRACE = 2.0
"""Seconds for PID 1 to see the end of its pipe and for the kernel to end what runs in the stage."""

_NAMESPACES = ["--mount", "--pid", "--uts", "--ipc", "--net"]


class Stage(LabHost):
    """A disposable host."""

    kind = "stage"
    scratch = "/dev/shm"  # noqa: S108 - the stage's own tmpfs, not the machine's

    def __init__(self, notebook: Notebook, wait: float = DEFAULT_WAIT) -> None:
        """Make the stage.

        Raises:
            UnmetNeedError: this machine forbids it; names the setting and the remedy.
            WaitExpiredError: it was not ready in time.
        """
        rootless = os.geteuid() != 0
        self._holder = subprocess.Popen(
            [
                *("unshare", *_NAMESPACES, "--fork", "--kill-child", "--propagation", "private"),
                *(["--user", "--map-root-user"] if rootless else []),
                *("sh", "-c", _SET_UP),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            # A Ctrl-C at the terminal is for pytest, which drops the stage when it has finished the report.
            start_new_session=True,
        )
        try:
            self.pid = self._await_ready(wait)
        except BaseException:
            self.drop()
            raise
        user = ["--user", "--preserve-credentials"] if rootless else []
        super().__init__(notebook, wait, ["nsenter", "--target", str(self.pid), *_NAMESPACES, *user, "--"])

    def _await_ready(self, wait: float) -> int:
        """The machine's PID of the stage's PID 1, once that is the ``cat`` that holds the stage."""
        line = self._next_line(wait)
        if not line:
            assert self._holder.stderr is not None
            said = self._holder.stderr.read().decode("utf-8", "backslashreplace").strip()
            raise UnmetNeedError(f"the stage cannot be made: {said or 'it ended at once'}; {find_obstacle()}")
        # The shell that set the stage up still has to become cat: cat it is when the line comes back.
        assert self._holder.stdin is not None
        self._holder.stdin.write(b"up\n")
        self._holder.stdin.flush()
        self._next_line(wait)
        return int(line)

    def _next_line(self, wait: float) -> bytes:
        assert self._holder.stdout is not None
        ready, _, _ = select.select([self._holder.stdout], [], [], wait)
        if not ready:
            raise WaitExpiredError("the stage to be ready", wait, "")
        return self._holder.stdout.readline()

    def carry(self, folder: str, files: Mapping[str, bytes]) -> str:
        """Write the files into the stage's own memory file system."""
        inside = f"{self.scratch}/{folder}"
        seen_from_here = Path(f"/proc/{self.pid}/root{inside}")
        if not seen_from_here.parent.is_dir():
            raise LabError(f"the stage is gone (its process {self.pid} has ended)")
        if not seen_from_here.exists():
            write_programs(seen_from_here, files)
        return inside

    def drop(self) -> None:
        """Drop the stage; returns when the kernel has ended every process in it."""
        for stream in (self._holder.stdin, self._holder.stdout, self._holder.stderr):
            if stream is not None:
                stream.close()
        try:
            self._holder.wait(timeout=_GRACE)
        except subprocess.TimeoutExpired:
            # A stopped PID 1 does not see the pipe's end; unshare's death takes it along (--kill-child).
            self._holder.kill()
            self._holder.wait()
