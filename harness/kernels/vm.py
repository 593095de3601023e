"""One QEMU that runs a guest: started, talked to, ended; it dies with this process."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Callable, Sequence

from harness.environment import DYING_WITH_US
from harness.errors import HostLostError
from harness.kernels import logs, ssh
from harness.kernels.monitor import Monitor, MonitorError
from harness.sockets import make_folder, remove_folder
from harness.ssh.channel import ConnectionLostError
from harness.ssh.connection import Connection

READY = b"nslab: the guest is ready"
"""What a guest writes to its console when its sshd listens."""


_END = 3.0
"""Seconds for a QEMU whose sockets are closed to end: until then it gives the guest's memory back."""


class GuestError(HostLostError):
    """A guest panicked, hung, went away or never booted; the message ends with its console's last lines."""


class Vm:
    """A running QEMU, its monitor, and the connection to the guest in it."""

    def __init__(
        self,
        name: str,
        command: Callable[[str, int], list[str]],
        console: str,
        wait: float,
        sockets: Sequence[socket.socket] = (),
    ) -> None:
        """Start QEMU.

        Args:
            name: the guest's, for messages and the log's name.
            command: makes the command line of a console and the monitor's descriptor.
            console: the character device's backend of the serial console.
            wait: the seconds that anything may take.
            sockets: what QEMU is given of this process beside the monitor; closed here.

        Raises:
            GuestError: QEMU did not start; with what it said.
        """
        self.name, self.wait = name, wait
        self.log = logs.new(name)
        self._said = self.log.with_suffix(".qemu")
        self._folder = make_folder("guest")
        self.connection: Connection | None = None
        self.told = False
        """Whether an error has told what is wrong with the guest."""
        self.carried: set[str] = set()
        """Folders in the guest into which programs have been put."""
        self.known = ""
        """The numbers of the guest's processes that were seen when it was pristine, each between blanks."""
        ours, its = socket.socketpair()
        backend = f"{console},logfile={str(self.log).replace(',', ',,')}"
        self._process = self._started(command(backend, its.fileno()), [its, *sockets])
        self.monitor = self._greeted(ours)

    def _started(self, command: Sequence[str], sockets: Sequence[socket.socket]) -> subprocess.Popen[bytes]:
        """QEMU, which alone has the sockets from then on."""
        with contextlib.ExitStack() as given, self._said.open("wb") as said:
            for each in sockets:
                given.enter_context(each)
            return subprocess.Popen(
                [*DYING_WITH_US, *command],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                pass_fds=[each.fileno() for each in sockets],
                # A Ctrl-C at the terminal is for this process, which ends the guest when it is done.
                start_new_session=True,
            )

    def _greeted(self, connected: socket.socket) -> Monitor:
        """The conversation with QEMU, which is ended where it does not begin."""
        try:
            return Monitor(connected, self.wait)
        except BaseException as error:
            self._end()
            if isinstance(error, MonitorError):
                raise self.broken("QEMU did not start") from error
            raise

    @property
    def pid(self) -> int:
        """QEMU's process on this machine."""
        return self._process.pid

    @property
    def lost(self) -> str:
        """What is known to be wrong with the guest; empty while it can be reached."""
        if self._process.poll() is not None:
            return f"QEMU ended with status {self._process.returncode}: the guest panicked, or was ended"
        if self.connection and self.connection.lost:
            return "the connection to its sshd was lost"
        return ""

    def connect(self) -> Connection:
        """Connect to the guest's sshd.

        Raises:
            GuestError: it can't be reached in time.
        """
        try:
            self.connection = ssh.connect(self.monitor.forwarded_port(), self._folder, self.wait)
        except (ConnectionLostError, MonitorError) as error:
            raise self.broken(str(error)) from error
        return self.connection

    def disconnect(self) -> None:
        """End the connection."""
        if self.connection:
            self.connection.close()
            self.connection = None

    def broken(self, what: str) -> GuestError:
        """An error that tells what is wrong, the console's last lines and where the whole log lies."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_END)
        what = self.lost or what
        said = logs.last_lines(self._said)
        self.told = True
        lines = logs.telling_lines(self.log)
        shown = "\n  ".join(lines) if lines else "(nothing)"
        return GuestError(
            f"guest {self.name}: {what}{': ' + ' '.join(said) if said else ''}; its console's last lines:\n"
            f"  {shown}\n  the whole console: {self.log}"
        )

    def close(self, *, keep_log: bool = False) -> None:
        """End the guest at once; the log is kept where somebody was told of it."""
        self.disconnect()
        # Before the conversation ends: nothing of it is needed any more.
        self._process.kill()
        self.monitor.close()
        self._end()
        if not keep_log:
            self.log.unlink(missing_ok=True)
            self._said.unlink(missing_ok=True)

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        remove_folder(self._folder)
