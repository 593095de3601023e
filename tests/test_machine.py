"""``--stage=machine``: however the session ends, the machine is as it was, within a second.

A stage plays the machine: nothing here touches the real one.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from kills import time_to_go
from sessions import LIMIT, ROOT, SPOILS, Project, python

from harness.hosts.base import readable
from harness.hosts.stage import Stage

pytest_plugins = ["stand_ins"]

MEMORY = "/dev/shm"
FAILS = (
    SPOILS
    + "    assert host.check_output('hostname') == 'whole'\n\n"
    + SPOILS.replace("_spoils", "_never_run")
)
WAITS = SPOILS + "    print('spoiled', flush=True)\n    host.run('tail -f /dev/null')\n"

LOOK = """
import json, os
from harness.state import Machine
state = Machine("nobody").state()
print(json.dumps([state[:5], sorted(os.listdir("/dev/shm"))], default=sorted))
"""


def look(stage: Stage) -> object:
    """What a machine is: names, mounts, IPC objects, temporary files; and hidden POSIX queues."""
    queues = stage.check_output("unshare -m sh -c 'mount -t mqueue mqueue /mnt && ls /mnt'")
    return [json.loads(python(stage.enter([]), LOOK, TMPDIR=MEMORY)), queues]


def processes(stage: Stage) -> list[str]:
    """The commands that run on a machine, beside the look itself and what the real machine must reap."""
    rows = stage.run("ps -eo ppid=,stat=,args=").stdout.split("\n")
    return [row for row in rows if "ps -eo" not in row and not re.match(r" *0 Z", row)]


@pytest.fixture
def machine(stage: Stage) -> Iterator[Stage]:
    """A stand-in for a machine, which must be as before within a second after the test."""
    # Its own /run, whose lock says who acts on a machine.
    stage.check_output("mount -t tmpfs run /run")
    stage.check_output("mount --make-private /dev/shm && domainname before && ipcmk -Q")
    before, alone = look(stage), processes(stage)
    yield stage
    deadline = time.monotonic() + time_to_go()
    while processes(stage) != alone and time.monotonic() < deadline:
        continue

    assert processes(stage) == alone
    assert look(stage) == before


def command(machine: Stage, project: Project, *options: str) -> list[str]:
    """The command line of a session on the stand-in: nsenter(1) leaves the working directory."""
    there = ["sh", "-c", 'cd "$0" && exec "$@"', str(project.folder)]
    return machine.enter([*there, *project.command("--stage=machine", *options)])


class Session(NamedTuple):
    """A session on the stand-in, on a terminal of its own, that waits with the machine spoiled."""

    process: subprocess.Popen[bytes]
    terminal: int
    pid: int
    """The PID of pytest: the process itself is nsenter, which only waits for it."""

    def end(self) -> None:
        """Wait for the end."""
        descriptor = os.pidfd_open(self.process.pid)
        assert readable(descriptor, LIMIT), "the session does not end"
        os.close(descriptor)
        self.process.wait()


@pytest.fixture
def session(machine: Stage, project: Project) -> Iterator[Session]:
    """A session that has spoiled the machine and waits for its end."""
    project.experiment(WAITS)
    terminal, inner = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", *command(machine, project, "-s")],
        cwd=project.folder,
        env=project.environment(TMPDIR=MEMORY),
        stdin=inner,
        stdout=inner,
        stderr=inner,
    )
    os.close(inner)
    shown = b""
    while b"spoiled" not in shown:
        assert readable(terminal, LIMIT), shown
        shown += os.read(terminal, 4096)
    try:
        yield Session(process, terminal, children(process.pid)[0])
    finally:
        process.kill()
        process.wait()


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def run(machine: Stage, project: Project, *options: str) -> subprocess.CompletedProcess[str]:
    """A session on the stand-in, to its end."""
    return subprocess.run(
        command(machine, project, *options),
        cwd=project.folder,
        env=project.environment(TMPDIR=MEMORY),
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def test_session_that_ends_in_order(machine: Stage, project: Project) -> None:
    """A session says in one line what it will do; when it has ended the machine is as before."""
    project.experiment(SPOILS)
    ended = run(machine, project)

    assert ended.returncode == 0, ended.stdout
    assert "nslab: experiments act on this machine itself" in ended.stdout
    assert ended.stderr == ""


def test_session_that_stops_at_a_failure(machine: Stage, project: Project) -> None:
    """With -x a failure leaves nothing behind either."""
    project.experiment(FAILS)
    ended = run(machine, project, "-x")

    assert ended.returncode == 1, ended.stdout
    assert "1 failed" in ended.stdout


def test_second_session_is_refused(session: Session, machine: Stage, project: Project) -> None:
    """Of two sessions that act on one machine the second ends at once, in one line, and does nothing."""
    second = run(machine, project)

    assert second.returncode == 4, second.stdout
    assert second.stderr.strip() == (
        "ERROR: --stage=machine: expected to be alone, and another session acts on the machine itself: "
        "run this when that has ended, or leave --stage=machine out"
    )
    assert machine.check_output("hostname") == "spoiled", "control: the first one goes on"
    os.kill(session.pid, signal.SIGINT)
    session.end()


def test_next_session_waits_until_the_machine_is_put_back(
    session: Session, machine: Stage, project: Project
) -> None:
    """A session that begins when another one was killed takes its turn when that one's guardian is done."""
    os.kill(session.pid, signal.SIGKILL)
    project.experiment(SPOILS)
    after = run(machine, project)

    assert after.returncode == 0, after.stdout
    session.end()


@pytest.mark.parametrize(
    ("number", "times"),
    [
        *((signal.SIGINT, times) for times in (1, 2, 3)),
        *((number, times) for number in (signal.SIGTERM, signal.SIGHUP) for times in (1, 2)),
        (signal.SIGQUIT, 1),
    ],
)
def test_session_that_is_told_to_end(session: Session, number: int, times: int) -> None:
    """A signal, also to an impatient person's second and third time, leaves nothing behind."""
    for _ in range(times):
        with contextlib.suppress(ProcessLookupError):
            os.kill(session.pid, number)

    session.end()


def test_ctrl_c_at_the_terminal(session: Session) -> None:
    """Ctrl-C, which every process at the terminal gets, leaves nothing behind."""
    os.write(session.terminal, b"\x03\x03")

    session.end()


def test_terminal_that_is_closed(session: Session) -> None:
    """When the terminal is closed nothing is left behind."""
    os.close(session.terminal)

    session.end()


def test_session_that_is_killed(session: Session) -> None:
    """A session that is killed leaves nothing behind."""
    os.kill(session.pid, signal.SIGKILL)

    session.end()


def test_guardian_that_is_killed(session: Session) -> None:
    """Without its guardian the session puts the machine back itself."""
    started = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children(session.pid)}
    (guardian,) = (pid for pid, argv in started.items() if b"harness.guardian" in argv)
    os.kill(guardian, signal.SIGKILL)
    os.kill(session.pid, signal.SIGINT)

    session.end()


STARTS_GUARDIAN = """
import os, sys
from harness.errors import LabError
from harness.hosts import machine
os.chdir(sys.argv[1])
try:
    machine._guardian(float(sys.argv[2]))
    print("ready")
except LabError as error:
    print(error)
"""


def test_guardian_runs_no_code_of_where_root_stands(machine: Stage, tmp_path: Path) -> None:
    """A package of that name in the working directory is not the harness."""
    (tmp_path / "harness").mkdir()
    (tmp_path / "harness" / "__init__.py").touch()
    (tmp_path / "harness" / "guardian.py").write_text("print('planted', flush=True)")

    assert python(machine.enter([]), STARTS_GUARDIAN, str(tmp_path), "60") == "ready\n"


def test_guardian_that_never_says_that_it_is_ready(machine: Stage, tmp_path: Path) -> None:
    """The wait for it is bounded, and it is ended."""
    (tmp_path / "sitecustomize.py").write_text(
        "import select, sys\nif '-m' in sys.orig_argv: select.select([], [], [])"
    )
    said = python(
        machine.enter(["env", f"PYTHONPATH={ROOT}:{tmp_path}"]), STARTS_GUARDIAN, str(tmp_path), "0.5"
    )

    assert "did not say that it is ready within 0.5 s; it said: nothing" in said
