"""What becomes of an isolator and of what it starts, waited for with a limit. Runs on the host alone."""

from __future__ import annotations

import os
import select
import signal
import time

from harness.equivalence import probe

LIMIT = 10.0
"""Seconds for an isolator to say what became of the start, and for what it started to sleep or end."""

PAUSE = 1e-4
"""Seconds between two looks at whether a program sleeps: where there is one CPU, it runs meanwhile."""


class Lost(Exception):  # noqa: N818 - no error of a program, but what the harness could not see
    """Something did not happen in time."""


def line(descriptor: int) -> bytes:
    """What comes until the other end closes."""
    told = b""
    while True:
        if not select.select([descriptor], [], [], LIMIT)[0]:
            raise Lost("the isolator's report did not come")
        part = os.read(descriptor, 65536)
        told += part
        if not part or part.endswith(b"\n"):
            return told


def _has_ended(pid: int) -> bool:
    """Whether it is a zombie, or being reaped (proc_pid_stat(5))."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0] in "ZX"


def _is_asleep(pid: int) -> bool:
    """Whether it is in the call in which the probe sleeps (proc_pid_syscall(5))."""
    with open(f"/proc/{pid}/syscall", encoding="ascii") as file:
        return file.read().startswith(f"{probe.SLEEPS} ")


def probe_of(isolator: int) -> int:
    """The probe, once it sleeps: the isolator itself, or its child; 0 if the isolator ended instead."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        try:
            if _has_ended(isolator):
                return 0
            with open(f"/proc/{isolator}/task/{isolator}/children", encoding="ascii") as file:
                for pid in (isolator, *map(int, file.read().split())):
                    if _is_asleep(pid):
                        return pid
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            # One that is ending may refuse the look before it is a zombie.
            pass
        time.sleep(PAUSE)
    raise Lost("no program came to sleep")


def sleeps(pid: int) -> bool:
    """Wait until the probe sleeps; false if it has ended.

    The end of the isolator's pipe comes in the middle of execve(2), before the new credentials are in force.
    """
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        try:
            if _is_asleep(pid):
                return True
            if _has_ended(pid):
                return False
        except (FileNotFoundError, ProcessLookupError):
            return False
        except PermissionError:
            # One that is ending may refuse the look before it is a zombie.
            pass
        time.sleep(PAUSE)
    raise Lost("the started program did not come to sleep")


def kill(pid: int) -> None:
    """End a process, if it has not ended yet."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def end_group(isolator: int) -> None:
    """End an isolator that hangs, and its child, which may be stopped before its execve."""
    with open(f"/proc/{isolator}/task/{isolator}/children", encoding="ascii") as file:
        children = [int(child) for child in file.read().split()]
    for pid in [*children, isolator]:
        kill(pid)


def status(pid: int) -> int:
    """How an isolator ended, whose child has ended; negative: by which signal."""
    status = os.waitpid(pid, 0)[1]
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
