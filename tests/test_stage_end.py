"""Does the stage end with whoever holds it, and is it told where it has ended?"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from kills import time_to_go
from sessions import LIMIT, PYTHONPATH, ordinary

from harness.errors import LabError, WaitExpiredError
from harness.hosts.base import readable
from harness.hosts.stage import Stage
from harness.notebook import Notebook


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("whom", ["PID 1", "unshare"])
def test_holder_that_is_killed_or_stopped(whom: str, number: int) -> None:
    """Whatever is done to its holder, dropping a stage ends every process on it, also a busy one."""
    stage = Stage(Notebook(), wait=10)
    busy = subprocess.Popen(stage.enter(["sh", "-c", "echo; while :; do :; done"]), stdout=subprocess.PIPE)
    assert busy.stdout is not None
    busy.stdout.readline()
    first = os.pidfd_open(stage.pid)
    os.kill(stage.pid if whom == "PID 1" else stage._holder.pid, number)

    stage.close()

    assert readable(first, 0), "PID 1 has ended, and with it everything on the stage"
    busy.wait(timeout=LIMIT)
    os.close(first)
    busy.stdout.close()


@contextlib.contextmanager
def stopped(stage: Stage) -> Iterator[subprocess.Popen[bytes]]:
    """A stopped process that leads to the stage: until it reaps what it started there, PID 1 can't end."""
    leading = stage.enter(["sh", "-c", "echo; exec tail -f /dev/null"])
    with subprocess.Popen(leading, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        try:
            # Woken by the signal, wait(2) still reaps what has died until then: it must have stopped before.
            os.waitid(os.P_PID, process.pid, os.WSTOPPED)
            yield process
        finally:
            process.send_signal(signal.SIGCONT)


def test_dropping_waits_for_the_end_of_what_was_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It returns when all on the stage has ended, also where that takes its time after the kill."""
    monkeypatch.setattr("harness.hosts.stage._GRACE", 0.1)
    stage = Stage(Notebook(), wait=10)
    first = os.pidfd_open(stage.pid)
    with stopped(stage) as process:
        threading.Timer(1, process.send_signal, [signal.SIGCONT]).start()
        stage.close()

        assert readable(first, 0)
    os.close(first)


def test_dropping_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not end although it was killed is an error that names the stage's PID 1."""
    monkeypatch.setattr("harness.hosts.stage._GRACE", 0.1)
    monkeypatch.setattr("harness.hosts.stage._LONGEST_DEATH", 0.2)
    stage = Stage(Notebook(), wait=10)
    with stopped(stage), pytest.raises(WaitExpiredError, match=rf"0.2 s for .* PID 1 \(here {stage.pid}\)"):
        stage.close()


@pytest.mark.parametrize("whom", ["PID 1", "unshare"])
def test_stage_that_is_gone_is_an_error_of_the_lab(whom: str) -> None:
    """What is asked of a stage that has ended is an error of the lab, never the output of a command."""
    with Stage(Notebook(), wait=10) as stage:
        os.kill(stage.pid if whom == "PID 1" else stage._holder.pid, signal.SIGKILL)
        assert stage._first is not None
        assert readable(stage._first, LIMIT)
        for use in (lambda: stage.run("true"), lambda: stage.enter(["sh"]), lambda: stage.carry("x", {})):
            with pytest.raises(LabError, match="the stage is gone"):
                use()


def test_stage_that_ends_during_a_command() -> None:
    """A command that is killed together with the stage is an error of the lab."""
    with Stage(Notebook(), wait=10) as stage:
        stage.check_output("mkfifo /dev/shm/begun")
        kill = f"read begun </proc/{stage.pid}/root/dev/shm/begun; kill -KILL {stage._holder.pid}"
        killer = subprocess.Popen(["sh", "-c", kill])
        with pytest.raises(LabError, match="the stage is gone"):
            stage.run("echo >/dev/shm/begun; exec tail -f /dev/null")
        killer.wait(timeout=LIMIT)


HOLDS = """
import sys
from harness.hosts.stage import Stage
from harness.notebook import Notebook
stage = Stage(Notebook())
print(stage.pid, flush=True)
input()
"""


@pytest.mark.parametrize("user", ["this one", "an ordinary one"])
def test_stopped_stage_ends_with_the_process_that_made_it(user: str) -> None:
    """A stage whose PID 1 is stopped, and so sees no pipe close, ends when its holder is killed."""
    prefix = ordinary() if user == "an ordinary one" else []
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": PYTHONPATH, "LC_ALL": "C.UTF-8"}
    with subprocess.Popen(
        [*prefix, sys.executable, "-c", HOLDS], stdin=-1, stdout=-1, text=True, env=environment
    ) as holder:
        assert holder.stdout is not None
        pid = int(holder.stdout.readline())
        first = os.pidfd_open(pid)
        os.kill(pid, signal.SIGSTOP)
        os.kill(holder.pid, signal.SIGKILL)

        ended = readable(first, time_to_go())
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(first, signal.SIGKILL)
    os.close(first)
    assert ended, "within a second"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_ends_with_the_process_that_made_it(number: int) -> None:
    """When the process that holds a stage ends, in whatever way, everything on the stage ends."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    first = os.pidfd_open(int(holder.stdout.readline()))
    os.kill(holder.pid, number)

    assert readable(first, time_to_go()), "within a second"
    holder.wait(timeout=LIMIT)
    os.close(first)
    holder.stdout.close()
    holder.stdin.close()
