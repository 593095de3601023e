"""The one connection to a host, which every command and terminal shares (ControlMaster, ssh_config(5))."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.environment import DYING_WITH_US
from harness.errors import LabError
from harness.hosts.base import close_streams, readable
from harness.programs import ask
from harness.ssh.channel import Channel, ConnectionLostError, exports

_LINES = 3
"""How many of the last lines of what ssh said an error shows."""

_GRACE = 2.0
"""Seconds that ssh is given to say itself that a connection failed, or to end when it was lost."""

_HOST = "shared"
"""What the clients of a connection call its other end: it is the socket that leads there."""


class Connection:
    """One shared connection; its socket is never used for another one."""

    def __init__(
        self, arguments: Sequence[str], folder: Path, wait: float, called: str, shell: str = "exec sh"
    ) -> None:
        """Connect.

        Args:
            arguments: ssh's options and the host; options that come here first win over a file's.
            folder: where the socket of the connection lies; nobody else's, and its path is short.
            wait: the seconds that this may take.
            called: the host in the words of a message, such as ``the guest``.
            shell: the command there that becomes the shell that stays.

        Raises:
            ConnectionLostError: no connection in time.
        """
        self._socket = folder / "ssh"
        self._called, self._shell = called, shell
        self._channel: Channel | None = None
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": f"{max(wait, 1):.0f}",
            "ControlMaster": "yes",
            "LocalCommand": "echo connected",
            "PermitLocalCommand": "yes",
        }
        self._master = subprocess.Popen(
            [*DYING_WITH_US, "ssh", *self._options(**options), "-N", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            self._await_connected(wait)
        except BaseException:
            self.close()
            raise

    def _await_connected(self, wait: float) -> None:
        assert self._master.stdout is not None
        assert self._master.stderr is not None
        if not readable(self._master.stdout.fileno(), wait + _GRACE):
            raise ConnectionLostError(f"waited {wait:g} s for {self._called}'s sshd; nothing came")
        if not self._master.stdout.readline():
            raise ConnectionLostError(f"{self._called} can't be reached: {self.last_words()}")

    def _options(self, **options: str) -> list[str]:
        shared = {"LogLevel": "ERROR", "ControlPath": str(self._socket), **options}
        return [word for item in shared.items() for word in ("-o", "=".join(item))]

    def _client(self, **options: str) -> list[str]:
        return ["ssh", "-F", "none", *self._options(**options)]

    @property
    def lost(self) -> bool:
        """Whether the connection has ended."""
        return self._master.poll() is not None

    def last_words(self) -> str:
        """What ssh said when the connection ended, in one line; empty while it has not."""
        if not self.lost_within(_GRACE):
            return ""
        assert self._master.stderr is not None
        return in_one_line(self._master.stderr.read().decode("utf-8", "backslashreplace"))

    def lost_within(self, seconds: float) -> bool:
        """Whether the connection has ended, or does so in time."""
        try:
            self._master.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def command(self, shell_command: str, *, terminal: bool = False) -> list[str]:
        """The command line on this machine that runs a shell's command on the host."""
        # Without the shared connection it must fail at once, not look for a host of that name.
        client = self._client(ControlMaster="no", ProxyCommand="false")
        return [*client, "-tt" if terminal else "-T", _HOST, shell_command]

    def run(
        self, shell_command: str, wait: float, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a shell's command on the host, by the shell that stays there, which sets variables before.

        Raises:
            subprocess.TimeoutExpired: it did not end in time.
            ConnectionLostError: the host is gone, or that shell.
        """
        self._channel = self._channel or Channel(self.command(self._shell))
        try:
            return self._channel.run(shell_command, wait, variables)
        except BaseException:
            # What it still prints would be taken for the next command's.
            self._channel.close()
            self._channel = None
            raise

    def feed(self, shell_command: str, wait: float, content: bytes) -> subprocess.CompletedProcess[bytes]:
        """Run a shell's command on the host, with ``content`` as its input.

        Raises:
            subprocess.TimeoutExpired: it did not end in time.
        """
        return subprocess.run(
            self.command(shell_command), input=content, capture_output=True, check=False, timeout=wait
        )

    def kill(self) -> None:
        """Give it up at once: what waits for the host ends."""
        self._master.kill()

    def close(self) -> None:
        """End the connection and with it what runs on it."""
        if self._channel:
            self._channel.close()
        if self._master.poll() is None:
            # Asked in its own words, it ends the connection properly: sshd sees it at once.
            with contextlib.suppress(LabError):
                ask([*self._client(), "-O", "exit", _HOST])
        self._master.kill()
        self._master.wait()
        # One that was killed leaves its socket, beside which ssh makes no other.
        self._socket.unlink(missing_ok=True)
        close_streams(self._master)


def in_one_line(said: str) -> str:
    """The last of what ssh said; empty where it said nothing."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return "; ".join(lines[-_LINES:]) or "ssh ended without a word"


def shell_line(argv: Sequence[str], variables: Mapping[str, str]) -> str:
    """A line for the host's shell that becomes ``argv`` with these variables in its environment."""
    return f"{exports(variables)}exec {shlex.join(argv)}"
