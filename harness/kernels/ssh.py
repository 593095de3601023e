"""The one connection to a guest, which every command and terminal shares (ControlMaster, ssh_config(5))."""

from __future__ import annotations

import select
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import UnmetNeedError
from harness.kernels import cache, qemu
from harness.kernels.channel import Channel, ConnectionLostError

_WHO = "root@guest"


def key() -> Path:
    """The private key that opens every guest of this user; made once. Its public half ends in ``.pub``.

    Raises:
        UnmetNeedError: there is no OpenSSH client.
    """
    file = cache.folder("ssh") / "key"
    if not shutil.which("ssh"):
        raise UnmetNeedError("guests are reached by ssh, which is not in $PATH: install openssh-client")
    if not file.exists():
        with cache.locked("key"):
            if not file.exists():
                half = file.with_name("half")
                half.unlink(missing_ok=True)
                make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "nslab", "-f", str(half)]
                subprocess.run(make, check=True, stdin=subprocess.DEVNULL)
                half.with_name("half.pub").replace(file.with_name("key.pub"))
                half.replace(file)
    return file


class Connection:
    """One shared connection to one instance of a guest; its socket is never used for another."""

    def __init__(self, port: int, folder: Path, wait: float) -> None:
        """Connect; the socket of the connection lies in ``folder``.

        Raises:
            ConnectionLostError: no connection in time.
        """
        self._socket = folder / "ssh"
        self._channel: Channel | None = None
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": f"{max(wait, 1):.0f}",
            "ControlMaster": "yes",
            "HostName": "127.0.0.1",
            "IdentitiesOnly": "yes",
            "LocalCommand": "echo connected",
            "PermitLocalCommand": "yes",
            # A guest is known by the port that its own QEMU has opened; it makes its key when it boots.
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
        }
        self._master = subprocess.Popen(
            [
                *qemu.DYING_WITH_US,
                *self._ssh(**options),
                *("-N", "-i", str(key()), "-p", str(port), _WHO),
            ],
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
        spoken, _, _ = select.select([self._master.stdout], [], [], wait)
        if not spoken:
            raise ConnectionLostError(f"waited {wait:g} s for the guest's sshd; nothing came")
        if not self._master.stdout.readline():
            said = self._master.stderr.read().decode("utf-8", "backslashreplace").strip()
            raise ConnectionLostError(f"the guest's sshd can't be reached: {said or 'ssh ended'}")

    def _ssh(self, **options: str) -> list[str]:
        shared = {"LogLevel": "ERROR", "ControlPath": str(self._socket), **options}
        return ["ssh", "-F", "none", *(word for item in shared.items() for word in ("-o", "=".join(item)))]

    @property
    def lost(self) -> bool:
        """Whether the connection has ended."""
        return self._master.poll() is not None

    def command(self, shell_command: str, *, terminal: bool = False) -> list[str]:
        """The command line on this machine that runs a shell's command in the guest."""
        # Without the shared connection it must fail at once, not look for a host of that name.
        client = self._ssh(ControlMaster="no", ProxyCommand="false")
        return [*client, "-tt" if terminal else "-T", _WHO, shell_command]

    def run(self, shell_command: str, wait: float) -> subprocess.CompletedProcess[bytes]:
        """Run a shell's command in the guest, by the shell that stays there.

        Raises:
            subprocess.TimeoutExpired: it did not end in time.
            ConnectionLostError: the guest is gone, or that shell.
        """
        self._channel = self._channel or Channel(self.command("exec sh"))
        try:
            return self._channel.run(shell_command, wait)
        except BaseException:
            # What it still prints would be taken for the next command's.
            self._channel.close()
            self._channel = None
            raise

    def feed(self, shell_command: str, wait: float, content: bytes) -> subprocess.CompletedProcess[bytes]:
        """Run a shell's command in the guest, with ``content`` as its input.

        Raises:
            subprocess.TimeoutExpired: it did not end in time.
        """
        return subprocess.run(
            self.command(shell_command), input=content, capture_output=True, check=False, timeout=wait
        )

    def close(self) -> None:
        """End the connection and with it what runs on it."""
        if self._channel:
            self._channel.close()
        if self._master.poll() is None:
            # Asked in its own words, it ends the connection properly: sshd sees it at once.
            subprocess.run(
                [*self._ssh(), "-O", "exit", _WHO], capture_output=True, check=False, stdin=subprocess.DEVNULL
            )
        self._master.kill()
        self._master.wait()
        for stream in (self._master.stdout, self._master.stderr):
            if stream is not None:
                stream.close()


def shell_line(argv: Sequence[str], variables: Mapping[str, str]) -> str:
    """A line for the guest's shell that becomes ``argv`` with these variables in its environment."""
    return f"{exports(variables)}exec {shlex.join(argv)}"


def exports(variables: Mapping[str, str]) -> str:
    """The beginning of a shell line that sets variables."""
    return "".join(f"export {name}={shlex.quote(value)}; " for name, value in variables.items())
