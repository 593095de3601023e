"""Is whose a shared memory segment is told also by the look at another machine? A stage plays the machine."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from sessions import LIMIT

from harness.environment import TAG
from harness.hosts.remote_state import look, parse_state
from harness.hosts.stage import Stage
from harness.state import State, differences

pytest_plugins = ["stand_ins"]

MAKES_SEGMENT = "import ctypes, os; ctypes.CDLL(None).shmget(0, 1, 0o1600); print(os.getpid(), flush=True)"
WAITS = f"import signal; {MAKES_SEGMENT}; signal.pause()"
IS_KILLED_UNREAPED = f"""
import os, signal
child = os.fork()
if child == 0:
    {MAKES_SEGMENT}
    signal.raise_signal(signal.SIGKILL)
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
print("killed", flush=True)
signal.pause()
"""

KILLS_FIRST = """\
#!/bin/sh
exec 2>/dev/null
kill -9 %s
while [ -e /proc/%s ]; do :; done
exec %s "$@"
"""
"""In place of grep(1): by the time it looks the process has ended."""


def remote_look(machine: Stage, path: str = os.environ["PATH"]) -> State:
    """The machine as a session sees it whose mark is ``ours``."""
    command = machine.enter(["sh", "-c", look("ours")], {})
    shown = subprocess.run(
        command, env={"PATH": path, "TMPDIR": "/dev/shm"}, stdout=-1, check=False, timeout=LIMIT
    )
    return parse_state(shown.stdout.decode())


def start(machine: Stage, program: str, session: str, lines: int = 1) -> str:
    """Start a Python program that an orphan of the session becomes; its first line."""
    script = f'({sys.executable} -c "$0" & ) | head -n {lines}'
    command = machine.enter(["sh", "-c", script, program])
    environment = {"PATH": os.environ["PATH"], TAG: session}
    return subprocess.run(
        command, env=environment, text=True, stdout=-1, check=True, timeout=LIMIT
    ).stdout.split()[0]


def segments(before: State, after: State) -> int:
    """How many segments are told to have come."""
    return len(
        [line for line in differences(before, after) if "shared memory" in line and "appeared" in line]
    )


@pytest.mark.parametrize(("session", "told"), [("ours", 1), ("another", 0)])
def test_segment_of_a_living_process_is_told_if_it_is_ours(stage: Stage, session: str, told: int) -> None:
    """A living creator's mark says whose a segment is."""
    before = remote_look(stage)
    start(stage, WAITS, session)

    assert segments(before, remote_look(stage)) == told


def test_segment_of_a_killed_process_that_is_not_yet_reaped(stage: Stage) -> None:
    """The dead have no mark any more: what they made is told."""
    before = remote_look(stage)
    start(stage, IS_KILLED_UNREAPED, "ours", lines=2)

    assert segments(before, remote_look(stage)) == 1


def test_segment_of_a_process_that_ends_during_the_look(stage: Stage) -> None:
    """One of ours that ends between two parts of the look is not taken for somebody else's."""
    before = remote_look(stage)
    pid = start(stage, WAITS, "ours")
    grep = stage.check_output("command -v grep")
    folder = stage.carry("first", {"grep": (KILLS_FIRST % (pid, pid, grep)).encode()})

    assert segments(before, remote_look(stage, f"{folder}:{os.environ['PATH']}")) == 1


def test_segment_whose_foreign_creator_ends(stage: Stage) -> None:
    """A segment that was there before is not new because its creator has ended."""
    pid = start(stage, WAITS, "another")
    before = remote_look(stage)
    stage.check_output("kill -9 %s; while [ -e /proc/%s ]; do :; done", pid, pid)
    after = remote_look(stage)

    assert segments(before, after) == 0
    assert after.ipc, "control: it is still there"
