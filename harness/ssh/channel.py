"""A shell that stays on a host and runs one command after the other: far cheaper than a login for each."""

from __future__ import annotations

import os
import secrets
import selectors
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence

from harness.errors import HostLostError
from harness.hosts.base import close_streams


class ConnectionLostError(HostLostError):
    """A host's sshd can't be reached, or no longer."""


_PROGRAMS = {
    *("cat", "domainname", "hostname", "id", "ipcmk", "ipcrm", "ipcs", "ls", "mkdir", "mount", "ps"),
    *("pstree", "readlink", "rm", "ss", "stat", "umount", "uname"),
}
"""Names by which no shell means something of its own that would last."""


class Channel:
    """One ``sh`` over one connection; where one command ends is told by a word that nothing else knows."""

    def __init__(self, command_line: Sequence[str]) -> None:
        """Start it by a command line of ssh that ends in a plain ``sh``."""
        self._word = f"nslab-{secrets.token_hex(8)}"
        self._exported: Mapping[str, str] = {}
        self._ssh = subprocess.Popen(
            command_line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )

    def run(
        self, command: str, wait: float, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command; what it sets, and where it ends, is its own.

        Args:
            command: a shell's.
            wait: the seconds that it may take.
            variables: what it and all later commands find in their environment.

        Raises:
            subprocess.TimeoutExpired: it did not end in time; the channel is then of no more use.
            ConnectionLostError: the shell that stays has ended.
        """
        before = ""
        if variables and variables != self._exported:
            before, self._exported = exports(variables), variables
        # A copy of the shell runs it; eval keeps a wrong command from being the end of the shell that stays.
        # Without a new program for each, a guest without KVM needs half the time, and a third less without
        # the copy where that shell would only start one program anyway.
        copied = command if starts_one_program(command) else f"(eval {shlex.quote(command)})"
        # The command reads nothing of what is meant for the shell that stays.
        end = f"printf '\\n{self._word} %s\\n' $?; printf '\\n{self._word} \\n' >&2"
        line = f"{before}{copied} </dev/null; {end}\n"
        assert self._ssh.stdin is not None
        try:
            self._ssh.stdin.write(line.encode("utf-8", "surrogateescape"))
        except OSError:
            raise _ended(command) from None
        return self._result(command, wait)

    def _result(self, command: str, wait: float) -> subprocess.CompletedProcess[bytes]:
        assert self._ssh.stdout is not None
        assert self._ssh.stderr is not None
        streams = {self._ssh.stdout.fileno(): b"", self._ssh.stderr.fileno(): b""}
        last: dict[int, str] = {}
        deadline = time.monotonic() + wait
        with selectors.DefaultSelector() as reading:
            for descriptor in streams:
                reading.register(descriptor, selectors.EVENT_READ)
            while len(last) < len(streams):
                ready = reading.select(max(0.0, deadline - time.monotonic()))
                if not ready:
                    raise subprocess.TimeoutExpired(command, wait, *streams.values())
                for key, _ in ready:
                    said = os.read(key.fd, 1 << 16)
                    streams[key.fd] += said
                    whole = self._split(streams[key.fd])
                    if whole:
                        streams[key.fd], last[key.fd] = whole
                    elif not said:
                        raise _ended(command)
                    if key.fd in last:
                        reading.unregister(key.fd)
        output, errors = streams.values()
        return subprocess.CompletedProcess(command, int(last[self._ssh.stdout.fileno()]), output, errors)

    def _split(self, said: bytes) -> tuple[bytes, str] | None:
        """What a command printed, and its exit status; nothing while it goes on."""
        if not said.endswith(b"\n"):
            return None
        content, word, status = said.rpartition(f"\n{self._word} ".encode())
        return (content, status.decode().strip()) if word else None

    def close(self) -> None:
        """End it at once."""
        self._ssh.kill()
        self._ssh.wait()
        close_streams(self._ssh)


def starts_one_program(command: str) -> bool:
    """Whether a shell's command is known only to start one program with the words that stand there."""
    name = command.partition(" ")[0]
    if name not in _PROGRAMS and not name.startswith("/"):
        return False
    try:
        # In what shlex quotes, nothing has a meaning of its own for a shell.
        return shlex.join(shlex.split(command)) == command
    except ValueError:
        return False


def exports(variables: Mapping[str, str]) -> str:
    """The beginning of a shell line that sets variables."""
    return "".join(f"export {name}={shlex.quote(value)}; " for name, value in variables.items())


def _ended(command: str) -> ConnectionLostError:
    return ConnectionLostError(f"the shell that stays there ended before {command!r} did")
