"""Kill a session's processes at random moments, and see what is left of it."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import random
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
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


ON_STAGE = " on the stage"
"""Behind the name of a process that is in a PID namespace of the session's."""

NOBODY = "nobody: the session had ended"

AIMS: dict[str, Callable[[str], bool]] = {
    "pytest": lambda name: name == "pytest",
    "the stage": lambda name: name.endswith(ON_STAGE),
    "anything": lambda _: True,
}
"""Whom kills are aimed at, in turn, to whether a process of that name is meant."""

SESSIONS = [
    [f"--isolator={isolator}", *workers] for isolator in ("python", "unshare") for workers in ([], ["-n2"])
]
"""Options of the sessions that are killed, in turn."""


class Kill(NamedTuple):
    """One kill and what came of it."""

    victim: str
    """The name of the process, or :data:`NOBODY`."""
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


def look(machine: Machine) -> State:
    """The machine now, with every session's control groups: one that was killed did not tell its mark."""
    groups = (
        f"{parent}/{group}"
        for parent, inner, _ in os.walk("/sys/fs/cgroup")
        for group in inner
        if group.startswith("nslab-")
    )
    return machine.state()._replace(files=frozenset(groups))


def kill_one(project: Project, options: list[str], aim: str, chance: random.Random) -> Kill:
    """Start a session, kill one of its processes at a random moment and see what is left."""
    token = f"/nslab-soak-{secrets.token_hex(8)}"
    scratch = Path(tempfile.mkdtemp(prefix="soak-"))
    environment = project.environment(PATH=f"{os.environ['PATH']}:{token}", TMPDIR=str(scratch))
    machine = Machine(token)
    before = look(machine)
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
    victim = _kill_after(session, chance.uniform(0, 0.5), token, aim, chance)
    try:
        session.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        session.kill()
        session.communicate()
        return Kill(victim, ["the session itself: it hangs"], [])
    left = left_over(machine, before, token, scratch)
    machine.close()
    shutil.rmtree(scratch)
    return Kill(victim, left, refuted(project))


def _await_first_test(session: subprocess.Popen[bytes]) -> None:
    assert session.stdout is not None
    while b"::test_" not in (line := session.stdout.readline()) and line:
        continue


def _kill_after(
    session: subprocess.Popen[bytes], seconds: float, token: str, aim: str, chance: random.Random
) -> str:
    """Kill somebody after that time, or as soon as there is anybody to aim at; tell whom."""
    ended = os.pidfd_open(session.pid)
    try:
        while not readable(ended, seconds):
            victim = _choose(session.pid, token, aim, chance)
            if victim is not None and _kill(victim.pid, token):
                return victim.name
            # None are found while a process is between fork and exec, or on its way out.
            seconds = 0.01
        return NOBODY
    finally:
        os.close(ended)


class _Victim(NamedTuple):
    pid: int
    name: str


def _choose(pytest: int, token: str, aim: str, chance: random.Random) -> _Victim | None:
    """One of a session's processes, by name first: of some there are many, and pytest lives longest."""
    found: dict[str, list[int]] = {}
    for pid, comm in started_by(token).items():
        name = "pytest" if pid == pytest else comm + ON_STAGE * _is_on_stage(pid)
        if AIMS[aim](name):
            found.setdefault(name, []).append(pid)
    if not found:
        return None
    name = chance.choice(sorted(found))
    return _Victim(chance.choice(found[name]), name)


def _is_on_stage(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/ns/pid").readlink() != Path("/proc/self/ns/pid").readlink()
    return False


def _kill(pid: int, token: str) -> bool:
    """Kill the session's process, and no other that has its PID by now; whether there was one."""
    with contextlib.suppress(OSError):
        process = os.pidfd_open(pid)
        try:
            if token.encode() in Path(f"/proc/{pid}/environ").read_bytes():
                signal.pidfd_send_signal(process, signal.SIGKILL)
                return True
        finally:
            os.close(process)
    return False


@functools.cache
def reaping() -> float:
    """Seconds that the machine's init may take to reap orphans, until when a PID namespace can't end.

    An init that looks for them now and then needs two looks: for what entered a stage, and for the stage.
    """
    _reap_one()
    return 2 * _reap_one()


def time_to_go() -> float:
    """Seconds after which nothing may be left of what was killed or has ended."""
    return WITHIN + reaping()


def _reap_one() -> float:
    orphan = int(subprocess.check_output(["sh", "-c", "(: & echo $!) ; exec true"], timeout=LIMIT))
    began = time.monotonic()
    while Path(f"/proc/{orphan}").exists() and time.monotonic() - began < LIMIT:
        continue
    return time.monotonic() - began


def left_over(machine: Machine, before: State, token: str, scratch: Path) -> list[str]:
    """What is left of a session, once the time that it has to go is over."""
    deadline = time.monotonic() + time_to_go()
    while True:
        # Asked before the look: what a look finds may be gone when it is over.
        late = time.monotonic() >= deadline
        left = [*_left(machine, before, token, scratch)]
        if late or not left:
            return left


def _left(machine: Machine, before: State, token: str, scratch: Path) -> Iterator[str]:
    yield from (f"process {pid} ({name})" for pid, name in started_by(token).items())
    yield from map(str, scratch.glob("nslab-*"))
    yield from differences(before, look(machine))


def refuted(project: Project) -> list[str]:
    """The claims that the newest run tells to be refuted."""
    return [
        f"{each['test']}: {each['message']}\n{each['details']}"
        for run in project.runs()[-1:]
        for each in run["records"]
        if each["outcome"] == "failed"
    ]


def kills(project: Project, count: int, seconds: float, seed: int) -> Iterator[Kill]:
    """Kill so many sessions, up to that time; aims and options take turns, moments are random.

    A session that had ended before is told too, and does not count.
    """
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    end = time.monotonic() + seconds
    turns = itertools.cycle(itertools.product(SESSIONS, AIMS))
    options, aim = next(turns)
    while count and time.monotonic() < end:
        kill = kill_one(project, options, aim, chance)
        if kill.victim != NOBODY:
            options, aim = next(turns)
            count -= 1
        yield kill
