"""However a session on a stage is told to end: nothing is left, and what was finished is kept."""

from __future__ import annotations

import contextlib
import os
import pty
import secrets
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from kills import left_over, look
from sessions import LIMIT, PASSES, Project

from harness.hosts.base import readable
from harness.state import Machine, State

pytest_plugins = ["stand_ins"]

WAITS = (
    PASSES
    + """

def test_waits(host, isolate):
    \"\"\"It never ends.\"\"\"
    isolate("mount").check_output("mount -t proc proc /proc; hostname inside")
    host.check_output("hostname outside; ipcmk -Q")
    print("waiting", flush=True)
    host.run("tail -f /dev/null")
"""
)


IMPATIENT = """
pytest_plugins = ["harness.plugin"]

def pytest_keyboard_interrupt():
    raise KeyboardInterrupt
"""
"""A project whose second interruption comes while pytest tells of the first."""

INTERRUPTS = (
    PASSES
    + """

def test_interrupts(host, request):
    \"\"\"Somebody types Ctrl-C at the session, in whichever process this is.\"\"\"
    import os, signal
    os.kill(os.getppid() if hasattr(request.config, "workerinput") else os.getpid(), signal.SIGINT)
    host.run("tail -f /dev/null")

def test_never_begun(host):
    \"\"\"It comes too late.\"\"\"
    assert host.check_output("echo seen") == "seen"
"""
)


class Session(NamedTuple):
    """A session on a terminal of its own that waits in its second experiment."""

    project: Project
    process: subprocess.Popen[bytes]
    terminal: int
    token: str
    """A word in the environment of everything that it has started."""
    scratch: Path
    machine: Machine
    before: State

    def must_leave_nothing(self) -> None:
        """Wait for its end, look at the machine, and run another session."""
        descriptor = os.pidfd_open(self.process.pid)
        assert readable(descriptor, LIMIT), "the session does not end"
        os.close(descriptor)
        self.process.wait()
        assert not left_over(self.machine, self.before, self.token, self.scratch)

        self.project.experiment(PASSES)
        assert self.project.run().status == 0
        interrupted, whole = self.project.runs()
        assert interrupted["finished"] is None
        assert interrupted["records"][0]["outcome"] == "passed"
        assert not [record for record in interrupted["records"] if record["outcome"] == "failed"]
        assert whole["finished"]
        assert "incomplete" in (self.project.reports / "index.html").read_text()


@pytest.fixture
def session(project: Project, tmp_path: Path) -> Iterator[Session]:
    """A session that waits for a signal."""
    project.experiment(WAITS)
    token = f"/nslab-signals-{secrets.token_hex(8)}"
    machine = Machine(token)
    before = look(machine)
    terminal, inner = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", *project.command("-s")],
        cwd=project.folder,
        env=project.environment(PATH=f"{os.environ['PATH']}:{token}", TMPDIR=str(tmp_path)),
        stdin=inner,
        stdout=inner,
        stderr=inner,
    )
    os.close(inner)
    shown = b""
    while b"waiting" not in shown:
        assert readable(terminal, LIMIT), shown
        shown += os.read(terminal, 4096)
    try:
        # What this very process holds is not what the session left.
        yield Session(
            project,
            process,
            terminal,
            token,
            tmp_path,
            machine,
            machine.state()._replace(
                **{name: getattr(before, name) for name in ("mounts", "ipc", "queues", "files", "processes")}
            ),
        )
    finally:
        process.kill()
        process.wait()
        machine.close()
        with contextlib.suppress(OSError):
            os.close(terminal)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL]
)
def test_session_that_is_told_to_end(session: Session, number: int, times: int) -> None:
    """A signal, also to an impatient person's second time, leaves nothing and loses nothing."""
    for _ in range(times):
        with contextlib.suppress(ProcessLookupError):
            os.kill(session.process.pid, number)

    session.must_leave_nothing()


def test_ctrl_c_at_the_terminal(session: Session) -> None:
    """Ctrl-C twice at the terminal, which every process there gets, leaves nothing."""
    os.write(session.terminal, b"\x03\x03")

    session.must_leave_nothing()


def test_terminal_that_is_closed(session: Session) -> None:
    """When the terminal is closed nothing is left."""
    os.close(session.terminal)

    session.must_leave_nothing()


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_second_interruption_while_the_first_is_told(project: Project, workers: str) -> None:
    """An impatient person's run is incomplete, also where pytest's own end was cut short."""
    project.experiment(INTERRUPTS)
    (project.folder / "conftest.py").write_text(IMPATIENT)
    ended = project.run(workers)

    (run,) = project.runs()
    assert ended.status != 0
    assert [record["outcome"] for record in run["records"]][:1] == ["passed"]
    assert run["finished"] is None
    assert run["exit_status"] is None
    assert "incomplete" in (project.reports / "index.html").read_text()
