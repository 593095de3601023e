"""``nslab kernels shell`` and ``console``: however they end, the terminal is as it was, nothing is left."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from sessions import LIMIT
from test_guests import SERIES, place_of


class OnTerminal(NamedTuple):
    """A command on a terminal of its own, of which both ends stay open here."""

    process: subprocess.Popen[bytes]
    outer: int
    inner: int

    def settings(self) -> list[object]:
        """How the terminal treats lines, characters and signals (termios(3))."""
        return termios.tcgetattr(self.inner)

    def await_word(self, word: bytes) -> None:
        """Read until the terminal shows a word."""
        shown = b""
        while word not in shown:
            assert select.select([self.outer], [], [], LIMIT)[0], shown
            shown += os.read(self.outer, 4096)

    def await_end(self) -> int:
        """The exit status; what is shown meanwhile is read, for writing it may be waited for."""
        end = os.pidfd_open(self.process.pid)
        while end not in (ready := select.select([self.outer, end], [], [], LIMIT)[0]):
            assert ready, "the command does not end"
            os.read(self.outer, 4096)
        os.close(end)
        return self.process.wait()


COMMAND = [sys.executable, "-m", "harness.cli", "kernels"]


@contextlib.contextmanager
def on_terminal(*arguments: str, temporary: Path | None = None) -> Iterator[OnTerminal]:
    """A command about the guest, on a terminal."""
    place_of(SERIES).close()
    outer, inner = pty.openpty()
    command = ["setsid", "--ctty", *COMMAND, *arguments]
    environment = {**os.environ, "TMPDIR": str(temporary or tempfile.gettempdir())}
    with subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner, env=environment) as process:
        try:
            yield OnTerminal(process, outer, inner)
        finally:
            process.kill()
            os.close(outer)
            os.close(inner)


@pytest.fixture
def shell() -> Iterator[OnTerminal]:
    """A shell in a guest that runs no command yet."""
    with on_terminal("shell", SERIES) as shell:
        yield shell


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A place for temporary files, of so short a name that a socket's path has room for it."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def started_by(pid: int, word: str) -> int:
    """The PID of the process that another one started and whose command line has a word."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    (found,) = (
        int(child)
        for child in children
        if word.encode() in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
    )
    return found


@pytest.mark.parametrize(
    ("killed", "status"), [("", 3), ("-tt", -signal.SIGKILL % 256), ("qemu-system-x86_64", 255)]
)
def test_terminal_is_as_before(shell: OnTerminal, killed: str, status: int) -> None:
    """After the shell's end, and where ssh or the guest is killed, lines are edited and shown again."""
    before = shell.settings()
    shell.await_word(b"# ")
    assert shell.settings() != before, "control: while the guest has it, the terminal passes on each key"

    if killed:
        os.kill(started_by(shell.process.pid, killed), signal.SIGKILL)
    else:
        os.write(shell.outer, b"exit 3\r")

    assert shell.await_end() == status
    assert shell.settings() == before


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
@pytest.mark.parametrize(("what", "word"), [("shell", b"# "), ("console", b"Linux version")])
def test_nothing_is_left_of_what_is_ended(temporary: Path, what: str, word: bytes, number: int) -> None:
    """Where the terminal goes away, QEMU ends, and temporary files go, also those of a console."""
    with on_terminal(what, SERIES, temporary=temporary) as command:
        command.await_word(word)
        guest = os.pidfd_open(started_by(command.process.pid, "qemu-system-x86_64"))
        assert what == "shell" or [*temporary.iterdir()], "control: a console has files there"

        # A shell and the kernel may both tell of a terminal that is gone.
        command.process.send_signal(number)
        command.process.send_signal(number)

        assert command.await_end() == 128 + number
        ended = select.select([guest], [], [], LIMIT)[0]
        os.close(guest)
    assert ended, "QEMU goes on"
    assert not [*temporary.iterdir()]


def test_next_console_removes_what_a_killed_one_left(temporary: Path) -> None:
    """Of a console that was killed, the files go when another one begins."""
    left = []
    for _ in range(2):
        with on_terminal("console", SERIES, temporary=temporary) as command:
            command.await_word(b"Linux version")
            left.append({*temporary.iterdir()})

    (first,), (second,) = left
    assert first != second


def test_what_ignores_a_hang_up_goes_on() -> None:
    """Below nohup(1) a command in a guest goes on when the terminal goes away."""
    command = [*COMMAND, "shell", SERIES, "sh", "-c", "echo begun; read -r word; echo $word"]
    place_of(SERIES).close()
    with subprocess.Popen(["nohup", *command], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGHUP)

        told, _ = process.communicate("word\n", timeout=LIMIT)

    assert (process.returncode, told) == (0, "word\n")


@pytest.mark.parametrize("before", [[], ["--"]])
def test_command_has_its_own_options(before: list[str]) -> None:
    """What follows the kernel is the command, which gives the exit status."""
    command = [*COMMAND, "shell", SERIES, *before, "sh", "-c", "echo $0; exit 7", "word"]
    place_of(SERIES).close()

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)

    assert (done.returncode, done.stdout) == (7, "word\n")
