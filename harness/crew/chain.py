"""A chain of processes, each the init of a new PID namespace in that of the one before."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Callable, NoReturn

from harness.probes.syscalls import NEWPID, call


def start(levels: int, last: Callable[[], None]) -> tuple[int, int]:
    """Start a chain whose last process runs a function that never returns.

    Returns:
        The error number with which the kernel refused one more namespace, or 0, and how many were made until
        then. Where one was refused, none is left.
    """
    reading, writing = os.pipe()
    try:
        first = _link(levels, last, writing)
        refused, left = os.read(reading, 2)
    except OSError as error:
        return error.errno or 0, 0
    finally:
        os.close(reading)
        os.close(writing)
    if refused:
        os.kill(first, signal.SIGKILL)
        _gone(first)
    return refused, levels - left


def _link(levels: int, last: Callable[[], None], report: int) -> int:
    """Start the next process, which continues the chain and waits; its PID."""
    pid = call("clone", NEWPID | signal.SIGCHLD, 0, 0, 0, 0)
    if pid:
        return pid
    try:
        if levels == 1:
            os.write(report, bytes([0, 0]))
            last()
        try:
            _link(levels - 1, last, report)
        except OSError as error:
            os.write(report, bytes([error.errno or 0, levels - 1]))
        _wait()
    finally:
        os._exit(1)


def _wait() -> NoReturn:
    while True:
        signal.pause()


def _gone(pid: int) -> None:
    """Wait until a child has ended; with SIGCHLD ignored, there is nothing to be told of it (wait(2))."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
