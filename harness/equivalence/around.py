"""How an isolator is started: as a session's leader, with these files, perhaps with a terminal, less capable.

A Python program is a fork that goes on; another program is executed by the port's machine, without a copy of
this process's memory first, which would be most of what a trial costs.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import termios
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.isolators.spawn import steps
from harness.isolators.spawn.machine import Memory, run
from harness.isolators.spawn.steps import FORKS, MAY_FAIL, Step, Words

_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
_PR_CAPBSET_DROP, _SIG_IGN = 24, 1
_libc = ctypes.CDLL(None, use_errno=True)


def ignore_nothing() -> None:
    """Let go what this process was told to ignore, by nohup(1) or a shell's ``&``: a trial says what is."""
    for number in signal.valid_signals() - {*_IGNORED_BY_PYTHON}:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


class Around:
    """What an isolator is in."""

    def __init__(self, asked: Mapping[str, Any], files: Mapping[int, int], terminal: int) -> None:
        """Take a trial, and the isolator's descriptors with the files for them; one is its terminal."""
        self.files, self.without, self.ignored, self.blocked = (
            files,
            asked["without"],
            asked["ignored"],
            asked["blocked"],
        )
        self.terminal = files[terminal] if asked["terminal"] else None

    def become(self) -> None:
        """Be in it, in a fork of this process."""
        os.setsid()
        if self.terminal is not None:
            fcntl.ioctl(self.terminal, termios.TIOCSCTTY, 0)
        for number, file in self.files.items():
            os.dup2(file, number)
        for number in self.without:
            _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
        if self.without and _libc.capset((ctypes.c_uint32 * 2)(steps.CAPABILITY_VERSION_3), self._left()):
            raise OSError(ctypes.get_errno(), "capset")
        for number in self.ignored:
            signal.signal(number, signal.SIG_IGN)
        if signal.SIGINT not in self.ignored:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.blocked)

    def start(self, path: str, arguments: Sequence[str], environment: Mapping[bytes, bytes]) -> int:
        """Start a program in it; its PID.

        Raises:
            OSError: there is no process for it.
        """
        told = Words(0, self.files[2])
        variables = [b"%b=%b" % variable for variable in environment.items()]
        texts = (Words(*map(os.fsencode, arguments), 0), Words(*variables, 0))
        planned = [
            Step("clone", steps.CLONE_VM | steps.CLONE_VFORK | steps.SIGCHLD, 0, 0, 0, 0, kind=FORKS),
            *self._steps(),
            Step("execve", path.encode(), *texts),
        ]
        pid = run(planned, Memory(planned, told))
        if pid < 0:
            raise OSError(-pid, os.strerror(-pid))
        return pid

    def _steps(self) -> Iterator[Step]:
        yield Step("setsid")
        if self.terminal is not None:
            yield Step("ioctl", self.terminal, termios.TIOCSCTTY, 0)
        for number, file in self.files.items():
            yield Step("dup3", file, number, 0)
        for number in self.without:
            yield Step("prctl", _PR_CAPBSET_DROP, number, 0, 0, 0, kind=MAY_FAIL)
        if self.without:
            yield Step("capset", Words(steps.CAPABILITY_VERSION_3), Words.of_32_bits([*self._left()]))
        for number in {*_IGNORED_BY_PYTHON, *self.ignored}:
            handler = _SIG_IGN if number in self.ignored else steps.SIG_DFL
            yield Step("rt_sigaction", number, Words(handler, 0, 0, 0), 0, 8)
        mask = sum(1 << number - 1 for number in self.blocked)
        yield Step("rt_sigprocmask", steps.SIG_SETMASK, Words(mask), 0, 8)

    def _left(self) -> ctypes.Array[ctypes.c_uint32]:
        """This process's capability sets without those that are to be gone (capset(2))."""
        header, sets = (ctypes.c_uint32 * 2)(steps.CAPABILITY_VERSION_3), (ctypes.c_uint32 * 6)()
        _libc.capget(header, sets)
        lost = sum(1 << number for number in self.without)
        for position in range(6):
            sets[position] &= ~(lost >> 32 * (position // 3)) & 0xFFFFFFFF
        return sets
