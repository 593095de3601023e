"""A command and the program around it, as a job at a terminal and as a child: Go's, and the port's alike."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import pytest
from test_isolators_same import PAIR, install_pair

from harness.errors import WaitExpiredError

WAIT = 30.0
"""Seconds that anything may take here."""


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Isolator → the directory where its programs are."""
    return install_pair(tmp_path_factory)


def terminal(*command: str | Path) -> Any:
    """A command on a terminal of its own, without echo."""
    return pexpect.spawn(
        str(command[0]), [*map(str, command[1:])], timeout=WAIT, echo=False, encoding="utf-8"
    )


def waiting_for(name: str, action: str) -> list[str]:
    """A command that says when it is ready and acts on a signal, also on one that comes at once."""
    block = f"signal.pthread_sigmask(signal.SIG_BLOCK, [signal.{name}])"
    wait = f"print('ready', flush=True); signal.sigwait([signal.{name}])"
    return [sys.executable, "-ISc", f"import os, signal, sys; {block}; {wait}; {action}"]


def state(pid: int) -> str:
    """A process's state, such as T for stopped (proc_pid_stat(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for what tells nobody that it happened."""
    end = time.monotonic() + WAIT
    while not condition():
        if time.monotonic() > end:
            raise WaitExpiredError(what, WAIT, "")
        time.sleep(0.01)


@pytest.mark.parametrize("name", PAIR)
def test_terminal_is_handed_through(places: dict[str, Path], name: str) -> None:
    """All three streams of the command are the program's terminal, and it is in its foreground."""
    script = 'for n in 0 1 2; do test -t $n && echo "terminal $n"; done; ps -o stat= -p $$'
    job = terminal(places[name] / "isolate", "sh", "-c", script)

    for line in ("terminal 0", "terminal 1", "terminal 2"):
        job.expect_exact(f"{line}\r\n")
    job.expect(r"[SR]\S*\+")
    job.expect(pexpect.EOF)


@pytest.mark.parametrize("name", PAIR)
def test_interrupt_key_reaches_command_and_program(places: dict[str, Path], name: str) -> None:
    """Ctrl-C interrupts both: a command that catches it goes on, the program is killed by it."""
    around = 'trap : INT; "$@"; echo "status $?"; cat'
    command = waiting_for("SIGINT", "print('caught', flush=True)")
    job = terminal("sh", "-c", around, "sh", places[name] / "isolate", *command)
    job.expect_exact("ready")

    job.sendintr()

    seen = {job.expect_exact(["caught", "status 130"]), job.expect_exact(["caught", "status 130"])}
    assert seen == {0, 1}
    job.close(force=True)


@pytest.mark.parametrize("name", PAIR)
def test_suspend_key_stops_both_until_they_are_continued(places: dict[str, Path], name: str) -> None:
    """Ctrl-Z stops command and program, fg continues both, and the command's status is handed on."""
    around = 'set -m; "$@"; echo "status $?"; read gate; fg >/dev/null; echo "then $?"'
    command = 'echo "ready $$ $PPID."; read line; echo "read $line"; exit 6'
    job = terminal("sh", "-c", around, "sh", places[name] / "isolate", "sh", "-c", command)
    job.expect(r"ready (\d+) (\d+)\.")
    processes = [int(pid) for pid in job.match.groups()]

    job.sendcontrol("z")
    job.expect_exact(f"status {128 + signal.SIGTSTP}")
    until(lambda: [state(pid) for pid in processes] == ["T", "T"], "both to be stopped")
    job.sendline("gate")
    until(lambda: "T" not in [state(pid) for pid in processes], "both to be continued")
    job.sendline("hello")

    job.expect_exact("read hello")
    job.expect_exact("then 6")
    job.expect(pexpect.EOF)


@pytest.mark.parametrize("name", PAIR)
def test_change_of_the_window_reaches_the_command(places: dict[str, Path], name: str) -> None:
    """The command is told of a new window size, and the program stays to hand its status on."""
    around = '"$@"; echo "status $?"'
    command = waiting_for("SIGWINCH", "print(*os.get_terminal_size()); sys.exit(5)")
    job = terminal("sh", "-c", around, "sh", places[name] / "isolate", *command)
    job.expect_exact("ready")

    job.setwinsize(41, 123)

    job.expect_exact("123 41")
    job.expect_exact("status 5")


@pytest.mark.parametrize("name", PAIR)
def test_stopped_command_is_waited_for(places: dict[str, Path], name: str) -> None:
    """A command that is stopped has not ended: the program waits until it is continued and ends."""
    command = [str(places[name] / "isolate"), "sh", "-c", "echo $$; kill -STOP $$; echo continued; exit 4"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as program:
        assert program.stdout
        pid = int(program.stdout.readline())
        until(lambda: state(pid) == "T", "the command to be stopped")
        assert program.poll() is None

        os.kill(pid, signal.SIGCONT)

        assert program.communicate(timeout=WAIT)[0] == b"continued\n"
    assert program.returncode == 4


def described(place: Path, description: dict[str, Any], folder: Path) -> list[str | Path]:
    """The command line that starts what is described."""
    file = folder / "description.json"
    file.write_text(json.dumps(description))
    return [place / "isolate", "--description", file]


@pytest.mark.parametrize("name", PAIR)
@pytest.mark.parametrize(("number", "said"), [(0, b"alive\n"), (signal.SIGKILL, b"")])
def test_command_outlives_the_program_unless_told(
    places: dict[str, Path], name: str, number: int, said: bytes, tmp_path: Path
) -> None:
    """A command goes on when the program is killed; with Pdeathsig it is killed too."""
    script = "echo ready; read line; echo alive"
    description = {"Path": "/bin/sh", "Args": ["sh", "-c", script], "Stdin": 0, "Stdout": 1}
    command = described(places[name], {**description, "SysProcAttr": {"Pdeathsig": number}}, tmp_path)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdin
        assert program.stdout
        assert program.stdout.readline() == b"ready\n"

        program.kill()
        program.wait(timeout=WAIT)

        if not number:
            program.stdin.write(b"\n")
            program.stdin.flush()
        assert program.stdout.read() == said


@pytest.mark.parametrize("name", PAIR)
def test_a_million_lines_pass(places: dict[str, Path], name: str) -> None:
    """A command's output of a million lines arrives whole."""
    command = [str(places[name] / "isolate"), "seq", "1000000"]
    ran = subprocess.run(command, capture_output=True, timeout=WAIT, check=True)

    assert ran.stdout == b"".join(b"%d\n" % number for number in range(1, 1_000_001))
    assert ran.stderr == b""


REFUSED = {
    "missing": ("no such file or directory", 2),
    "plain": ("permission denied", 13),
    "no-format": ("exec format error", 8),
    "busy": ("text file busy", 26),
    "true": ("argument list too long", 7),
}


@pytest.mark.parametrize("name", PAIR)
@pytest.mark.parametrize("file", REFUSED)
def test_exec_error_of_a_description_is_reported(
    places: dict[str, Path], name: str, file: str, tmp_path: Path
) -> None:
    """ENOENT, EACCES, ENOEXEC, ETXTBSY and E2BIG come back from the child with Go's text and number."""
    for copy in ("busy", "true"):
        shutil.copy("/bin/true", tmp_path / copy)
    for made, mode in (("plain", 0o644), ("no-format", 0o755)):
        (tmp_path / made).write_text("exit 5\n")
        (tmp_path / made).chmod(mode)
    # One string may have 32 pages (execve(2)).
    arguments = ["true", "x" * 32 * os.sysconf("SC_PAGE_SIZE")] if file == "true" else [file]
    command = described(places[name], {"Path": str(tmp_path / file), "Args": arguments}, tmp_path)
    reading, writing = os.pipe()
    with (tmp_path / "busy").open("ab"), os.fdopen(reading, "rb") as report:
        ran = subprocess.run(
            [*command, "--report", str(writing)],
            pass_fds=[writing],
            capture_output=True,
            timeout=WAIT,
            check=False,
        )
        os.close(writing)
        told = json.loads(report.read())

    if file == "busy" and "Pid" in told:
        # Some kernels, such as 6.11, do execute a file that is being written.
        assert ran.returncode == 0
        return
    text, number = REFUSED[file]
    assert told == {"Error": f"fork/exec {tmp_path}/{file}: {text}", "Errno": number}
    assert ran.returncode == 1
    assert ran.stderr.endswith(f"{told['Error']}\n".encode())
