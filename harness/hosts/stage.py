"""The stage: a disposable host on this machine, made of namespaces and gone with its holder.

Its own mount, PID, UTS, IPC and network namespaces (and, for an ordinary user, a user namespace), its own
``/proc`` and ``/dev/shm``; ``/`` is shared inside, as systemd makes it, and private towards the machine.
PID 1 is a ``cat``: it ends when the pipe from this process closes, however this process ends,
and the kernel then ends every process in the stage and drops what was mounted (pid_namespaces(7)).
A stopped PID 1 sees no pipe close: the parent's death signal, which is one of the *thread* that made the
stage (prctl(2)), kills unshare(1), and that one's kills PID 1.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness import mountinfo
from harness.environment import DYING_WITH_US, environment
from harness.errors import LabError, UnmetNeedError, WaitExpiredError
from harness.hosts.base import DEFAULT_WAIT, LabHost, close_streams, readable, write_programs
from harness.hosts.obstacles import find_obstacle
from harness.notebook import Notebook
from harness.watch import peer_groups

# The first line is read while /proc is still the machine's: it is the stage's PID 1 as the machine knows it.
# With SIGCHLD ignored the kernel reaps what PID 1 adopts (wait(2)); dash's trap can't ignore it, and before
# coreutils 8.31 env(1) neither: the dead then stay listed.
_SET_UP = """\
read -r pid rest </proc/self/stat &&
mount -t proc proc /proc &&
mount -t tmpfs -o mode=1777 tmpfs /dev/shm &&
mount --make-rshared / &&
echo "$pid" || exit
ignoring='env --ignore-signal=CHLD'
$ignoring true 2>/dev/null || ignoring=
exec $ignoring cat
"""

_GRACE = 2.0
"""Seconds for PID 1 to see the end of its pipe and for the kernel to end what runs in the stage."""

_LONGEST_DEATH = DEFAULT_WAIT
"""Seconds for what was killed to end: it needs none, but on a busy machine has to get its turn."""

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
        self._first: int | None = None
        self._holder = _start(["--user", "--map-root-user"] if rootless else [])
        try:
            self.pid = self._await_ready(wait)
            self._first = os.pidfd_open(self.pid)
        except ProcessLookupError as error:
            self.drop()
            raise UnmetNeedError(
                "the stage cannot be made: /proc shows another PID namespace's processes; "
                "mount this one's: mount -t proc proc /proc"
            ) from error
        except BaseException:
            self.drop()
            raise
        super().__init__(notebook, wait, entering(self.pid, rootless=rootless))

    def _await_ready(self, wait: float) -> int:
        """The machine's PID of the stage's PID 1, once that is the ``cat`` that holds the stage."""
        pid = first_process(self._holder, wait)
        if pid is None:
            assert self._holder.stderr is not None
            said = self._holder.stderr.read().decode("utf-8", "backslashreplace").strip()
            raise UnmetNeedError(f"the stage cannot be made: {said or 'it ended at once'}; {find_obstacle()}")
        return pid

    def must_be_up(self, grace: float = 0.0) -> None:
        """Raise LabError where PID 1 has ended: its number may be another process's by now.

        Raises:
            LabError: it has.
        """
        if self._first is None or readable(self._first, grace) or self._is_ending():
            raise LabError(f"the stage is gone: its PID 1 (here {self.pid}) has ended")

    def _is_ending(self) -> bool:
        """Whether PID 1 has begun to end, which lasts until the last of the stage's dead is reaped."""
        try:
            return self._holder.poll() is not None or not Path(f"/proc/{self.pid}/cmdline").read_bytes()
        except OSError:
            return True

    def enter(
        self, argv: Sequence[str], variables: Mapping[str, str] | None = None, *, terminal: bool = True
    ) -> list[str]:
        """The command line, on this machine, that runs ``argv`` on the stage in the caller's terminal."""
        self.must_be_up()
        return super().enter(argv, variables, terminal=terminal)

    def carry(self, folder: str, files: Mapping[str, bytes]) -> str:
        """Write the files into the stage's own memory file system."""
        inside = f"{self.scratch}/{folder}"
        seen_from_here = Path(f"/proc/{self.pid}/root{inside}")
        self.must_be_up()
        if not seen_from_here.exists():
            write_programs(seen_from_here, files)
        return inside

    def peer_groups(self) -> frozenset[str]:
        """The peer groups of the stage's mounts, as its PID 1 has them; none where that has ended."""
        try:
            return peer_groups(mountinfo.parse(Path(f"/proc/{self.pid}/mountinfo").read_text()))
        except OSError:
            return frozenset()

    def drop(self) -> None:
        """Drop the stage; returns when the kernel has ended every process in it.

        Raises:
            WaitExpiredError: it has not, although they were killed.
        """
        close_streams(self._holder)
        if self._first is None or not readable(self._first, _GRACE):
            # A stopped PID 1 does not see the pipe's end; unshare's death takes it along (--kill-child).
            self._holder.kill()
        try:
            self._await_end()
        finally:
            self._reap_holder()

    def _await_end(self) -> None:
        if self._first is None:
            return
        ended = readable(self._first, _LONGEST_DEATH)
        os.close(self._first)
        self._first = None
        if not ended:
            raise WaitExpiredError(
                f"the end of all on the stage, whose PID 1 (here {self.pid}) was killed", _LONGEST_DEATH, ""
            )

    def _reap_holder(self) -> None:
        try:
            self._holder.wait(timeout=_GRACE)
        except subprocess.TimeoutExpired:
            # unshare itself is stopped.
            self._holder.kill()
            self._holder.wait()


def making(more: Sequence[str]) -> list[str]:
    """The command line that makes a stage, with ``more`` options for unshare(1), and then holds it."""
    unshare = ["unshare", *_NAMESPACES, "--fork", "--kill-child", "--propagation", "private", *more]
    return [*unshare, "sh", "-c", _SET_UP]


def entering(pid: int, *, rootless: bool) -> list[str]:
    """The prefix of a command line that runs on the stage whose PID 1 is ``pid``."""
    user = ["--user", "--preserve-credentials"] if rootless else []
    return ["nsenter", "--target", str(pid), *_NAMESPACES, *user, "--"]


def first_process(holder: subprocess.Popen[bytes], wait: float) -> int | None:
    """The PID of a stage's PID 1 where it is made, once that is the ``cat`` that holds it; None if it ended.

    Raises:
        WaitExpiredError: neither in time.
    """
    line = _next_line(holder, wait)
    # The shell that set the stage up still has to become cat: cat it is when the line comes back.
    return int(line) if line.strip().isdigit() and _echoes(holder, wait) else None


def _echoes(holder: subprocess.Popen[bytes], wait: float) -> bool:
    assert holder.stdin is not None
    try:
        holder.stdin.write(b"up\n")
    except BrokenPipeError:
        return False
    return _next_line(holder, wait) == b"up\n"


def _next_line(holder: subprocess.Popen[bytes], wait: float) -> bytes:
    assert holder.stdout is not None
    if not readable(holder.stdout.fileno(), wait):
        raise WaitExpiredError("the stage to be ready", wait, "")
    return holder.stdout.readline()


def _start(more: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start what holds a stage, with ``more`` options for unshare(1).

    Raises:
        UnmetNeedError: it can't be started; names the system's reason.
    """
    try:
        return subprocess.Popen(
            [*DYING_WITH_US, *making(more)],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            # A Ctrl-C at the terminal is for pytest, which drops the stage when it has finished the report.
            start_new_session=True,
        )
    except OSError as error:
        raise UnmetNeedError(
            f"the stage cannot be made: cannot start {DYING_WITH_US[0]}: {error.strerror}; "
            "install util-linux, or raise the limit that is reached (ulimit -a)"
        ) from error
