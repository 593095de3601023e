"""A program on a terminal of its own, driven by pexpect and started without a copy of this process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import termios
import tty
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pexpect
from ptyprocess.ptyprocess import PtyProcess

if TYPE_CHECKING:
    Spawn = pexpect.spawn[str]
else:
    Spawn = pexpect.spawn

PROC = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
"""Kept open, for an experiment on this machine may cover the path."""

_LOCAL_MODES = 3
"""The index of the local modes in what ``termios.tcgetattr`` gives."""


class OnTerminal(Spawn):
    """What ``pexpect.spawn`` is, except that the program is started by posix_spawn(3).

    fork(2) copies the page tables of this process, which holds a session's results, and both sides then copy
    each page to which they write: that takes ten times what the start itself does.
    """

    ptyproc: Any

    def __init__(self, argv: Sequence[str], *, raw: bool = False, **options: Any) -> None:
        """Start a program on a terminal that does not echo.

        Args:
            argv: the program and its arguments.
            raw: whether the terminal changes nothing that passes it, either way (cfmakeraw(3)).
            options: those of ``pexpect.spawn``, but for what happens between fork(2) and execve(2): ``cwd``,
                ``preexec_fn`` and ``ignore_sighup``.

        Raises:
            pexpect.ExceptionPexpect: there is no such program.
            OSError: it can't be started, or there are no more terminals.
        """
        self._raw = raw
        program, *arguments = argv
        super().__init__(program, arguments, echo=False, **options)
        # pexpect's built-in pauses: every wait is for an event.
        self.delaybeforesend = None
        self.delayafterread = None
        self.ptyproc.delayafterclose = 0

    def _spawnpty(
        self,
        args: list[bytes],
        *,
        env: Mapping[str, str] | None,
        dimensions: tuple[int, int] = (24, 80),
        **_: object,
    ) -> PtyProcess:
        try:
            ours, its = os.openpty()
        except OSError as error:
            raise OSError(error.errno, f"no terminal is left: {error.strerror}") from None
        try:
            _prepare(its, dimensions, raw=self._raw)
            # A session's leader that has no terminal and opens one has that from then on (credentials(7)).
            opened = [(os.POSIX_SPAWN_OPEN, 0, os.ttyname(its), os.O_RDWR, 0)]
            copied = [(os.POSIX_SPAWN_DUP2, 0, descriptor) for descriptor in (1, 2)]
            closed = [(os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in _inheritable()]
            given = os.environ if env is None else env
            pid = os.posix_spawn(args[0], args, given, file_actions=[*opened, *copied, *closed], setsid=True)
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(its)
        return PtyProcess(pid, ours)  # type: ignore[no-untyped-call]


def _prepare(terminal: int, dimensions: tuple[int, int], *, raw: bool) -> None:
    if raw:
        tty.setraw(terminal)
    else:
        modes = termios.tcgetattr(terminal)
        modes[_LOCAL_MODES] &= ~termios.ECHO
        termios.tcsetattr(terminal, termios.TCSANOW, modes)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", *dimensions, 0, 0))


def _inheritable() -> Iterator[int]:
    """The descriptors beyond the standard ones that a program would inherit, as this process did."""
    folder = os.open("self/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=PROC)
    try:
        for descriptor in map(int, os.listdir(folder)):  # noqa: PTH208 - a descriptor, no path
            # The listing's own has gone.
            with contextlib.suppress(OSError):
                if descriptor > 2 and os.get_inheritable(descriptor):
                    yield descriptor
    finally:
        os.close(folder)
