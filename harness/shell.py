"""A shell on a terminal, driven by pexpect: what is done and seen inside."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
import signal
from collections.abc import Sequence

import pexpect
from testinfra.backend.base import CommandResult

from harness.environment import environment
from harness.errors import LabError, WaitExpiredError, tail
from harness.evidence import TERMINAL
from harness.hosts.base import LabHost, readable
from harness.terminal import PROC, OnTerminal

_LINE_LIMIT = 4095
"""Bytes of one line that a terminal in canonical mode takes (termios(3))."""

_CHUNK = 4096
"""Bytes that are read at once: all that a terminal gives (tty(4))."""

_FLAGS = 6
"""The index of the kernel's flags, from the state on, in a line of ``/proc/PID/stat`` (proc_pid_stat(5))."""

_EXITING = 0x4
"""PF_EXITING (include/linux/sched.h), which is set before the kernel hangs up."""

_WINDOW = 4 * _CHUNK + 200
"""Characters at the end of the output in which the prompt is searched: one more chunk, each byte of which may
be shown as four characters, and what of a prompt may stand before it."""


class ShellEndedError(LabError):
    """The shell, or what should have started it, ended where a prompt was awaited."""


class Shell:
    """An interactive ``sh`` that an isolator started on a host.

    Its prompt carries a random word and the last exit status: ``PS1`` reaches every shell through the
    environment, and a shell expands the ``$?`` in it only when it prompts, so that neither a command's
    text nor ``echo "$PS1"`` can look like a prompt. A program that takes ``PS1`` apart can forge one.
    """

    def __init__(self, host: LabHost, argv: Sequence[str], where: str) -> None:
        """Start ``argv`` on the host and wait for the first prompt.

        Raises:
            ShellEndedError: the program ended instead.
            WaitExpiredError: no prompt came.
        """
        self.where = where
        self._host = host
        word = f"nslab-{secrets.token_hex(6)}"
        self._prompt = rf"{word}:(\d+)> "
        variables = {"PS1": f"{word}:$?> ", "PS2": f"{word}:more> "}
        command = host.enter(argv, variables)
        began = host.notebook.clock
        try:
            self._child = OnTerminal(
                command,
                # The client would have its terminal change nothing too: the first lines may be faster.
                raw=host.terminal_is_elsewhere,
                env=environment(**variables),
                encoding="utf-8",
                codec_errors="backslashreplace",
                dimensions=TERMINAL,
                maxread=_CHUNK,
                searchwindowsize=_WINDOW,
                # Unlike select(2), poll(2) takes descriptors beyond 1023.
                use_poll=True,
            )
        except (pexpect.ExceptionPexpect, OSError) as error:
            raise LabError(f"cannot start {command[0]!r}: {error}") from error
        assert self._child.pid is not None
        # pexpect reaps the process when it likes, and its number may then be another's.
        self._process = os.pidfd_open(self._child.pid)
        self._stat = os.open(f"{self._child.pid}/stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=PROC)
        host.shells.append(self)
        self._await_prompt("the first prompt", shlex.join(argv), began)

    def run(self, command: str, *args: str) -> CommandResult:
        """Type one line and wait for the next prompt; arguments are quoted into ``%s`` as testinfra does.

        Raises:
            ValueError: the line is longer than a terminal takes, or more than one.
            ShellEndedError: the shell ended.
            WaitExpiredError: no prompt came.
        """
        line = self._host.backend.quote(command, *args)
        if (
            any(character < " " or character == "\x7f" for character in line)
            or len(line.encode()) > _LINE_LIMIT
        ):
            raise ValueError(f"not one line that a terminal takes: {tail(line)}")
        began = self._host.notebook.clock
        try:
            self._child.sendline(line)
        except OSError as error:
            raise ShellEndedError(
                f"{self.where} ended before {line!r} could be typed ({error.strerror}); "
                f"last seen: {tail(self._seen)}"
            ) from error
        return self._await_prompt(f"the prompt after {line!r}", line, began)

    def check_output(self, command: str, *args: str) -> str:
        """What a command that must succeed shows, without the last line end, as testinfra's method does.

        Raises:
            AssertionError: it failed.
        """
        __tracebackhide__ = True
        result = self.run(command, *args)
        assert result.rc == 0, (
            f"exit status {result.rc} of {command!r} inside ({self.where}): {tail(result.stdout)}"
        )
        return result.stdout.rstrip("\n")

    def _await_prompt(self, awaited: str, command: str, began: float) -> CommandResult:
        awaited = f"{awaited} of {self.where}"
        try:
            self._child.expect(self._prompt, timeout=self._host.wait)
        except pexpect.TIMEOUT:
            self._write(command, self._seen, None, began)
            raise WaitExpiredError(awaited, self._host.wait, self._seen) from None
        except pexpect.EOF:
            raise self._ended(awaited, command, began) from None
        if self._is_ending():
            raise self._ended(awaited, command, began)
        assert isinstance(self._child.match, re.Match)
        status, output = int(self._child.match[1]), self._seen.replace("\r\n", "\n")
        self._write(command, output, status, began)
        return CommandResult(self._host.backend, status, command.encode(), output, "")

    def _ended(self, awaited: str, command: str, began: float) -> ShellEndedError:
        status = self._reap()
        self._write(command, self._seen, status, began)
        return ShellEndedError(
            f"{self.where} ended with status {status} while the lab waited for {awaited}; "
            f"last seen: {tail(self._seen)}"
        )

    def _is_ending(self) -> bool:
        """Whether the terminal's own process has begun to end, or has been reaped by pexpect meanwhile.

        The kernel then hangs up on what has the terminal (setpgid(2)). Where that was a command, the shell
        prompts once more, and what the terminal showed tells nothing.
        """
        try:
            _, _, fields = os.pread(self._stat, 4096, 0).rpartition(b") ")
        except ProcessLookupError:
            return True
        return bool(int(fields.split()[_FLAGS]) & _EXITING)

    @property
    def _seen(self) -> str:
        """What the terminal showed since the last prompt."""
        return self._child.before or ""

    def _write(self, command: str, seen: str, status: int | None, began: float) -> None:
        # The terminal's own line ends (ONLCR) are no part of what a command printed.
        output = seen.replace("\r\n", "\n")
        self._host.notebook.observe("inside", self.where, command, output, status, began=began)

    def _reap(self) -> int:
        """End the terminal's own process; its exit status as a shell would tell it.

        It is given the time to tell the status of what it waits for, and is killed after that.
        """
        if not readable(self._process, self._host.wait):
            self._kill()
        os.close(self._process)
        os.close(self._stat)
        self._child.wait()
        self._child.close(force=False)
        if self._child.signalstatus is not None:
            return 128 + self._child.signalstatus
        return self._child.exitstatus or 0

    def close(self) -> None:
        """Kill what this process started; what is left on the host ends with the host."""
        if not self._child.closed:
            self._kill()
            self._reap()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._process, signal.SIGKILL)
