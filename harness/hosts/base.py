"""A host that experiments act on: testinfra's ``Host``, written down, and the way programs get there."""

from __future__ import annotations

import contextlib
import os
import platform
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import testinfra.host
from testinfra.backend.base import BaseBackend, CommandResult

from harness.environment import SESSION, environment
from harness.errors import LabError, WaitExpiredError
from harness.notebook import Notebook

if TYPE_CHECKING:
    from typing_extensions import Self

DEFAULT_WAIT = 20.0
"""Seconds that any single command or prompt may take before the wait for it is an error."""


_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
"""Exit statuses of a command that was killed, as everything on a host is when the host ends."""

_GRACE = 1.0
"""Seconds within which the end of a host follows that of the commands on it."""


def close_streams(process: subprocess.Popen[bytes]) -> None:
    """Close this side of a process's pipes: what waits for the end of its input ends."""
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def readable(descriptor: int, seconds: float) -> bool:
    """Whether a descriptor is readable in time; unlike select(2), also for a number beyond 1023."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


class Terminal(Protocol):
    """Something that was started on a terminal."""

    where: str
    """What it is, in the words of the evidence."""

    def close(self) -> None:
        """End it."""


class EnteringBackend(BaseBackend):
    """A testinfra backend that runs each command by a shell behind a command-line prefix."""

    NAME = "entering"

    def __init__(self, name: str, prefix: Sequence[str], wait: float) -> None:
        """Run commands behind ``prefix``, each for at most ``wait`` seconds."""
        super().__init__(name)
        self.prefix = [*prefix]
        self.wait = wait

    def run(self, command: str, *args: str, **kwargs: Any) -> CommandResult:
        """Run a command; arguments are quoted into its ``%s`` as testinfra does.

        Raises:
            WaitExpiredError: it did not end in time.
            LabError: nothing can be started here.
        """
        command = self.get_command(command, *args)
        try:
            done = self.execute(command)
        except OSError as error:
            raise LabError(f"cannot run {command!r} on {self.hostname}: {error}") from error
        except subprocess.TimeoutExpired as expired:
            seen = (expired.stdout or b"") + (expired.stderr or b"")
            raise WaitExpiredError(
                f"the end of {command!r} on {self.hostname}", self.wait, self.decode(seen)
            ) from None
        return self.result(done.returncode, command.encode(), done.stdout, done.stderr)

    def execute(self, command: str) -> subprocess.CompletedProcess[bytes]:
        """Have a shell of the host run a command.

        Raises:
            subprocess.TimeoutExpired: it did not end in time.
            OSError: nothing can be started here.
        """
        return subprocess.run(
            [*self.prefix, "sh", "-c", command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=self.wait,
            env=environment(),
        )

    def decode(self, data: bytes) -> str:
        """UTF-8, and whatever is not as escapes: evidence must be able to hold every output."""
        return data.decode("utf-8", "backslashreplace")


class LabHost(testinfra.host.Host):
    """A testinfra host whose every command is an observation from outside.

    A kind of host says how a program starts there (:meth:`enter`), how files get there (:meth:`carry`),
    where scratch files may lie (:attr:`scratch`) and which Python is there (:attr:`python`).
    """

    kind = ""
    notice = ""
    """What a person is told, in one line, before anything runs on such a host."""
    user = "root" if os.geteuid() == 0 else f"uid {os.geteuid()}, root in a user namespace of its own"
    """Who the commands on the host are, in the words of a report."""
    scratch = ""
    session = SESSION
    """The mark (:data:`harness.environment.TAG`) by which what runs on the host is known as the lab's."""
    has_own_groups = False
    """Whether control groups that are made there are the host's, not the machine's."""
    terminal_is_elsewhere = False
    """Whether a shell's terminal is the host's own, and that of this machine only passes everything on."""
    closed = False
    """Whether it was closed."""
    architecture = platform.machine()
    """As ``uname -m`` tells it."""
    python = str(Path(sys.executable).resolve())

    def __init__(
        self,
        notebook: Notebook,
        wait: float = DEFAULT_WAIT,
        prefix: Sequence[str] = (),
        *,
        name: str = "",
        backend: EnteringBackend | None = None,
    ) -> None:
        """Look at a host that is entered by the command-line ``prefix``, waiting at most ``wait`` seconds.

        ``backend`` is for a host that is reached in another way; ``name`` tells it from others of its kind.
        """
        self.name = name or self.kind
        self.notebook, self.wait = notebook, wait
        self.shells: list[Terminal] = []
        """What was started here on a terminal: ended with the host, after what keeps the host up."""
        self._prefix = [*prefix]
        super().__init__(backend or EnteringBackend(self.name, prefix, wait))
        self.backend.set_host(self)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Testinfra's modules, such as ``host.process``, which it types too narrowly."""

    def run(self, command: str, *args: str, **kwargs: Any) -> CommandResult:
        """Run a command by the host's ``sh`` and write down what it showed.

        Raises:
            LabError: the host is gone or the command was killed, so that what it showed tells nothing.
        """
        self.must_be_up()
        began = self.notebook.clock
        result = super().run(command, *args, **kwargs)
        self.notebook.observe(
            "outside",
            self.name,
            result.command.decode(),
            result.stdout,
            result.exit_status,
            began=began,
            stderr=result.stderr,
        )
        if result.rc != 0:
            self.must_be_up(_GRACE if result.rc in _KILLED else 0.0)
        if result.rc == -signal.SIGKILL:
            raise LabError(f"{result.command.decode()!r} was killed on {self.name}: it tells nothing")
        return result

    def must_be_up(self, grace: float = 0.0) -> None:
        """Raise LabError where the host has ended, or ends within ``grace`` seconds."""

    def enter(
        self, argv: Sequence[str], variables: Mapping[str, str] | None = None, *, terminal: bool = True
    ) -> list[str]:
        """The command line, on this machine, that runs ``argv`` on the host in the caller's terminal.

        Its environment has these variables: those of the command line itself, where they reach the host.
        Without ``terminal``, bytes pass unchanged both ways, and what it writes as errors stays apart.
        """
        return [*self._prefix, *argv]

    def carry(self, folder: str, files: Mapping[str, bytes]) -> str:
        """Put executable files into a folder on the host, once, and tell the folder's path there."""
        raise NotImplementedError

    def peer_groups(self) -> frozenset[str]:
        """The peer groups by which mounts could travel between the host and this machine; none by default."""
        return frozenset()

    def close(self) -> None:
        """End every process on the host, then undo everything that was done to make it."""
        self.closed = True
        with contextlib.ExitStack() as last:
            # Only then: the terminals' own processes wait for, and so reap, what they had started there.
            for shell in self.shells:
                last.callback(shell.close)
            self.drop()

    def drop(self) -> None:
        """End every process on the host and undo everything that was done to make it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        """The host itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def write_programs(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write executables into a directory of this machine; equal contents become links of one file.

    Raises:
        LabError: a file can't be written; names it and the system's reason.
    """
    first: dict[int, Path] = {}
    try:
        directory.mkdir(mode=0o755, exist_ok=True)
        for name, content in files.items():
            target = directory / name
            if id(content) in first:
                target.hardlink_to(first[id(content)])
                continue
            target.parent.mkdir(mode=0o755, exist_ok=True)
            target.write_bytes(content)
            target.chmod(0o755)
            first[id(content)] = target
    except OSError as error:
        raise LabError(f"cannot put programs into {directory}: {error.strerror}") from error
