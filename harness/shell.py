"""A shell on a terminal, driven by pexpect: what is done and seen inside."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence

import pexpect
from testinfra.backend.base import CommandResult

from harness.environment import environment
from harness.errors import LabError, WaitExpiredError, tail
from harness.hosts.base import LabHost

_LINE_LIMIT = 4095
"""Bytes of one line that a terminal in canonical mode takes (termios(3))."""

_WINDOW = 200
"""Characters at the end of the output in which the prompt is searched; it is far shorter."""


class ShellEndedError(LabError):
    """The shell, or what should have started it, ended where a prompt was awaited."""


class Shell:
    """An interactive ``sh`` that an isolator started on a host.

    Its prompt carries a random word and the last exit status: ``PS1`` reaches every shell through the
    environment, and a shell expands the ``$?`` in it only when it prompts, so that neither a command's
    text nor ``echo "$PS1"`` can look like a prompt.
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
        command, *arguments = host.enter(argv)
        began = host.notebook.clock
        try:
            self._child = pexpect.spawn(
                command,
                arguments,
                env=environment(PS1=f"{word}:$?> ", PS2=f"{word}:more> "),  # type: ignore[arg-type]  # os.environ's type is not needed
                echo=False,
                encoding="utf-8",
                codec_errors="backslashreplace",
                dimensions=(50, 160),
                searchwindowsize=_WINDOW,
            )
        except pexpect.ExceptionPexpect as error:
            raise LabError(f"cannot start {command!r}: {error}") from error
        # pexpect's built-in pauses: every wait here is for an event.
        self._child.delaybeforesend = None
        self._child.delayafterread = None
        self._child.delayafterclose = 0
        self._child.ptyproc.delayafterclose = 0
        host.shells.append(self)
        self._await_prompt("the first prompt", " ".join(argv), began)

    def run(self, command: str, *args: str) -> CommandResult:
        """Type one line and wait for the next prompt; arguments are quoted into ``%s`` as testinfra does.

        Raises:
            ValueError: the line is longer than a terminal takes, or more than one.
            ShellEndedError: the shell ended.
            WaitExpiredError: no prompt came.
        """
        line = self._host.backend.quote(command, *args)
        if any(ord(character) < 0x20 for character in line) or len(line.encode()) > _LINE_LIMIT:
            raise ValueError(f"not one line that a terminal takes: {tail(line)}")
        began = self._host.notebook.clock
        self._child.sendline(line)
        return self._await_prompt(f"the prompt after {line!r}", line, began)

    def check_output(self, command: str, *args: str) -> str:
        """What a command that must succeed shows, without the last line end, as testinfra's method of this name.

        Raises:
            AssertionError: it failed.
        """
        __tracebackhide__ = True
        result = self.run(command, *args)
        assert result.rc == 0, f"exit status {result.rc} of {command!r} inside ({self.where}): {tail(result.stdout)}"
        return result.stdout.rstrip("\n")

    def _await_prompt(self, awaited: str, command: str, began: float) -> CommandResult:
        awaited = f"{awaited} of {self.where}"
        try:
            self._child.expect(self._prompt, timeout=self._host.wait)
        except pexpect.TIMEOUT:
            raise WaitExpiredError(awaited, self._host.wait, self._child.before or "") from None
        except pexpect.EOF:
            seen = self._child.before or ""
            self._write(command, seen, self._end(), began)
            raise ShellEndedError(
                f"{self.where} ended with status {self._status} while the lab waited for {awaited}; "
                f"last seen: {tail(seen)}"
            ) from None
        return self._write(command, self._child.before or "", int(self._child.match[1]), began)

    def _write(self, command: str, seen: str, status: int, began: float) -> CommandResult:
        """Enter the act into the notebook; the terminal's CR LF line ends (ONLCR) become newlines."""
        output = seen.replace("\r\n", "\n")
        self._host.notebook.observe("inside", self.where, command, output, status, began=began)
        return CommandResult(self._host.backend, status, command.encode(), output, "")

    def _end(self) -> int:
        """End what is left, and the exit status as a shell would tell it."""
        self.close()
        return self._status

    @property
    def _status(self) -> int:
        if self._child.signalstatus is not None:
            return 128 + int(self._child.signalstatus)
        return int(self._child.exitstatus or 0)

    @property
    def terminal(self) -> str:
        """The terminal's device, such as ``/dev/pts/5``."""
        return os.ttyname(self._child.child_fd)

    def close(self) -> None:
        """Kill what this process started; what is left on the host ends with the host."""
        if self._child.closed:
            return
        if not self._child.flag_eof:
            self._child.ptyproc.kill(9)
        self._child.wait()
        self._child.close(force=False)
