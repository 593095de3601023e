"""Kill a session's processes at random moments, and see what is left of it."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sessions import LIMIT, Project

from harness.hosts.base import readable
from harness.state import Machine, State, differences

WITHIN = 1.0
"""Seconds after which nothing of a killed session may be left."""

_EARLY = 0.1
"""The part of the kills that hits sessions before their first experiment."""

KILLED = """
import pytest

@pytest.mark.parametrize("_", range(3))
def test_shells(host, isolate, _):
    \"\"\"Shells answer, whatever happens beside them.\"\"\"
    for program in ("uts", "ipc", "pid", "mount"):
        shell = isolate(program)
        assert shell.check_output("hostname inside; echo answer") == "answer"
        assert host.check_output("ipcmk -Q >/dev/null; echo seen") == "seen"
"""


class Kill(NamedTuple):
    """One kill and what came of it."""

    victim: str
    left: list[str]
    """What of the session was still there, or had changed on the machine."""
    refuted: list[str]
    """Experiments that were told to have failed: a kill refutes nothing."""


def started_by(token: str) -> dict[int, str]:
    """The living processes of a session, by the word that stands in the ``PATH`` of each."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if token.encode() in (entry / "environ").read_bytes():
                found[int(entry.name)] = (entry / "comm").read_text().strip()
    return found


def kill_one(project: Project, options: list[str], chance: random.Random) -> Kill:
    """Start a session, kill one of its processes at a random moment and see what is left."""
    token = f"/nslab-soak-{secrets.token_hex(8)}"
    scratch = Path(tempfile.mkdtemp(prefix="soak-"))
    environment = project.environment(PATH=f"{os.environ['PATH']}:{token}", TMPDIR=str(scratch))
    machine = Machine(token)
    before = machine.state()
    session = subprocess.Popen(
        project.command("-v", *options),
        cwd=project.folder,
        env=environment,
        stdin=-3,
        stdout=subprocess.PIPE,
        stderr=-2,
    )
    if chance.random() > _EARLY:
        _await_first_test(session)
    victim = _kill_after(session, chance.uniform(0, 0.5), token, chance)
    try:
        session.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        session.kill()
        session.communicate()
        return Kill(victim, ["the session itself: it hangs"], [])
    left = left_over(machine, before, token, scratch)
    machine.close()
    shutil.rmtree(scratch)
    return Kill(victim, left, _refuted(project))


def _await_first_test(session: subprocess.Popen[bytes]) -> None:
    assert session.stdout is not None
    while b"::test_" not in (line := session.stdout.readline()) and line:
        continue


def _kill_after(session: subprocess.Popen[bytes], seconds: float, token: str, chance: random.Random) -> str:
    ended = os.pidfd_open(session.pid)
    victims: list[tuple[int, str]] = []
    try:
        while not victims:
            if readable(ended, seconds):
                return "nobody: the session had ended"
            # None are found while a process is between fork and exec, or on its way out.
            victims, seconds = sorted(started_by(token).items()), 0.01
        # By name first: of some there are many, and pytest lives longest.
        name = chance.choice(sorted({name for _, name in victims}))
        pid = chance.choice([pid for pid, other in victims if other == name])
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    finally:
        os.close(ended)
    return "pytest" if pid == session.pid else name


@functools.cache
def reaping() -> float:
    """Seconds that the machine's init may take to reap orphans, until when a PID namespace can't end.

    An init that looks for them now and then needs two looks: for what entered a stage, and for the stage.
    """
    _reap_one()
    return 2 * _reap_one()


def _reap_one() -> float:
    orphan = int(subprocess.check_output(["sh", "-c", "(: & echo $!) ; exec true"], timeout=LIMIT))
    began = time.monotonic()
    while Path(f"/proc/{orphan}").exists() and time.monotonic() - began < LIMIT:
        continue
    return time.monotonic() - began


def left_over(machine: Machine, before: State, token: str, scratch: Path) -> list[str]:
    """What is left of a session, once the time that it has to go is over."""
    deadline = time.monotonic() + WITHIN + reaping()
    while (processes := started_by(token)) and time.monotonic() < deadline:
        continue
    files = [str(path) for path in scratch.glob("nslab-*")]
    return [
        *(f"process {pid} ({name})" for pid, name in processes.items()),
        *files,
        *differences(before, machine.state()),
    ]


def _refuted(project: Project) -> list[str]:
    return [
        f"{each['test']}: {each['message']}\n{each['details']}"
        for run in project.runs()[-1:]
        for each in run["records"]
        if each["outcome"] == "failed"
    ]


def kills(project: Project, count: int, seconds: float, seed: int) -> Iterator[Kill]:
    """Kill up to so many sessions within that time; each second one has workers."""
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    end = time.monotonic() + seconds
    for number in range(count):
        if time.monotonic() > end:
            break
        yield kill_one(project, ["-n2"] if number % 2 else [], chance)
