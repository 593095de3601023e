"""Programs of this machine: long ones, ended with all that they started, and such that answer at once."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from harness.errors import LabError
from harness.hosts.base import readable

_GRACE = 5.0
"""Seconds that a program has to remove what it has made elsewhere before it is killed."""

_LEADING = """\
# Caught, not ignored: what is started has the usual way to end.
trap : TERM
orphaned=
trap 'orphaned=yes; kill -TERM 0' USR1
# What runs in the background has no input unless it is given one.
exec 3<&0
setpriv --pdeathsig TERM -- "$@" <&3 3<&- &
wait $!
status=$?
# A signal ends the wait, and not what is waited for.
while [ $status -gt 128 ] && kill -0 $! 2>/dev/null; do wait $!; status=$?; done
# Nobody else is left who would end what has not heard the signal.
[ -z "$orphaned" ] || kill -KILL 0
exit $status
"""
_LEADER = ("setpriv", "--pdeathsig", "USR1", "--", "sh", "-c", _LEADING, "leader")
"""The prefix of what is asked to end, with all that it started, when this process ends, in whatever way."""

AT_ONCE = 30.0
"""Seconds for a program that only tells its version or writes a small file."""


def run_apart(
    command: Sequence[str],
    seconds: float,
    *,
    cwd: Path,
    output: IO[bytes],
    stdin: int = subprocess.DEVNULL,
    env: Mapping[str, str] | None = None,
) -> int:
    """Run a command in a session of its own, what it shows going to ``output``; its exit status.

    However the wait ends, by a Ctrl-C too, all that the command started is ended: it would go on writing to
    ``cwd``. Where this process is killed it is asked to end.

    Raises:
        LabError: it did not end within ``seconds``.
        OSError: it can't be started.
    """
    running = None
    try:
        with _ctrl_c_held_back():
            running = subprocess.Popen(
                [*_LEADER, *command],
                cwd=cwd,
                env=env,
                stdin=stdin,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        if not ends(running.pid, seconds):
            raise LabError(f"{' '.join(command[:2])} did not end within {seconds:g} s")
    finally:
        if running:
            _end(running.pid)
            running.wait()
    return running.returncode


def ask(
    command: Sequence[str | os.PathLike[str]],
    *,
    said: bytes = b"",
    stdout: IO[bytes] | int = subprocess.PIPE,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a program that answers at once; ``said`` is its input.

    Raises:
        LabError: it did not end within :data:`AT_ONCE`; tells what it printed.
        OSError: it can't be started.
    """
    try:
        return subprocess.run(
            command,
            input=said,
            stdout=stdout,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=env,
            timeout=AT_ONCE,
            check=False,
        )
    except subprocess.TimeoutExpired as expired:
        printed = ((expired.stdout or b"") + (expired.stderr or b""))[-200:]
        words = " ".join(str(word) for word in command[:2])
        raise LabError(f"{words} did not answer within {AT_ONCE:g} s; it printed {printed!r}") from None


def ends(pid: int, seconds: float) -> bool:
    """Whether a process ends in time, or has ended and is not yet waited for."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            return readable(descriptor, seconds)
        finally:
            os.close(descriptor)
    return True


@contextlib.contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Let a Ctrl-C come afterwards: in the middle of Popen the process that it has started would be lost."""
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
        for number in came[:1]:
            signal.raise_signal(number)


def _end(leader: int) -> None:
    """End a process group whose leader is this one's child, and not yet waited for: the number is its own."""
    os.killpg(leader, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE
    for member in _members(leader):
        ends(member, max(0, deadline - time.monotonic()))
    os.killpg(leader, signal.SIGKILL)


def _members(group: int) -> Iterator[int]:
    """The processes of a group: the leader may have been killed, and the others clean up."""
    for number in [int(place.name) for place in Path("/proc").iterdir() if place.name.isdecimal()]:
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(number) == group:
                yield number
