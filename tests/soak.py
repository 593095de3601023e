"""Soak: kill sessions at random, or repeat the document, and see what is left and what differs.

Run by hand, as root and as an ordinary user; bounded in count and in time:

    python tests/soak.py --kills 200 --seconds 600
    python tests/soak.py --runs 200 --workers 0,4 --busy
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sessions import LIMIT, ROOT, Project

from harness.hosts.base import readable
from harness.state import Machine, State, differences

WITHIN = 1.0
"""Seconds after which nothing of a killed session may be left."""

KILLED = """
def test_shells(host, isolate):
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
    victim = _kill_after(session, chance.uniform(0, 2.0), token, chance)
    try:
        session.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        session.kill()
        session.communicate()
        return Kill(victim, ["the session itself: it hangs"], [])
    left = _left(machine, before, token, scratch)
    machine.close()
    shutil.rmtree(scratch)
    return Kill(victim, left, _refuted(project))


def _kill_after(session: subprocess.Popen[bytes], seconds: float, token: str, chance: random.Random) -> str:
    ended = os.pidfd_open(session.pid)
    try:
        if readable(ended, seconds):
            return "nobody: the session had ended"
        pid, name = chance.choice(sorted(started_by(token).items()))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    finally:
        os.close(ended)
    return "pytest" if pid == session.pid else name


def _left(machine: Machine, before: State, token: str, scratch: Path) -> list[str]:
    """What is left of a session, once the time that it has to go is over."""
    deadline = time.monotonic() + WITHIN
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
        each["test"] for run in project.runs()[-1:] for each in run["records"] if each["outcome"] == "failed"
    ]


def kills(project: Project, count: int, seconds: float, seed: int) -> list[Kill]:
    """Kill up to so many sessions within that time; each second one has workers."""
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    end = time.monotonic() + seconds
    done = []
    for number in range(count):
        if time.monotonic() > end:
            break
        done.append(kill_one(project, ["-n2"] if number % 2 else [], chance))
    return done


@contextlib.contextmanager
def busy(cores: int) -> Iterator[None]:
    """Load so many cores with work."""
    loads = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        yield
    finally:
        for load in loads:
            load.kill()
            load.wait()


def repeat(
    count: int, seconds: float, workers: list[str], reports: Path
) -> tuple[collections.Counter[str], list[str]]:
    """Run the whole document so often; count outcomes, and name facts that differ between runs."""
    outcomes: collections.Counter[str] = collections.Counter()
    facts: dict[tuple[str, str], Any] = {}
    differ = []
    end = time.monotonic() + seconds
    for number in range(count):
        if time.monotonic() > end:
            break
        folder = reports / str(number)
        options = [
            "-q",
            "-p",
            "no:cacheprovider",
            f"-n{workers[number % len(workers)]}",
            f"--reports={folder}",
        ]
        command = [sys.executable, "-m", "pytest", "experiments", *options]
        ended = subprocess.run(command, cwd=ROOT, stdout=-3, timeout=600, check=False)
        outcomes[f"exit status {ended.returncode}"] += 1
        for record in json.loads(next(folder.glob("*/run.json")).read_text())["records"]:
            outcomes[record["outcome"]] += 1
            for name, value in record.get("facts", {}).items():
                if facts.setdefault((record["test"], name), value) != value:
                    differ.append(
                        f"{record['test']}: {name} is {value!r}, was {facts[record['test'], name]!r}"
                    )
        shutil.rmtree(folder)
    return outcomes, differ


def main() -> int:
    """Run what was asked for.

    Returns:
        The exit status: 1 if anything was left, refuted, failed or different.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=0, metavar="N", help="kill so many sessions")
    parser.add_argument("--runs", type=int, default=0, metavar="N", help="run the document so often")
    parser.add_argument(
        "--seconds", type=float, default=600, help="stop after that time (default: %(default)g)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the kills' moments and victims")
    parser.add_argument("--workers", default="0,4", help="-n of the runs, in turn (default: %(default)s)")
    parser.add_argument("--busy", action="store_true", help="load every core with other work meanwhile")
    options = parser.parse_args()
    bad = False
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, busy((os.cpu_count() or 1) * options.busy):
        if options.kills:
            project = Project.make(Path(folder))
            project.experiment(KILLED)
            done = kills(project, options.kills, options.seconds, options.seed)
            print(f"{len(done)} kills:", dict(collections.Counter(kill.victim for kill in done)))
            for kill in done:
                if kill.left or kill.refuted:
                    bad = True
                    print(f"  {kill.victim}: left {kill.left}, refuted {kill.refuted}")
        if options.runs:
            outcomes, differ = repeat(options.runs, options.seconds, options.workers.split(","), Path(folder))
            bad |= bool(differ) or not outcomes.keys() <= {"exit status 0", "passed", "skipped"}
            print(f"{options.runs} runs:", dict(outcomes), *differ, sep="\n  ")
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
