"""Soak: kill sessions at random, or repeat experiments, and see what is left and what differs.

Run by hand, bounded in count and in time; `--user` makes root run it as an ordinary user:

    python tests/soak.py --kills 200 --seconds 3600 [--user]
    python tests/soak.py --runs 200 --seconds 7200 --workers 0,4 --load alone,busy [--user]

An ordinary user needs a checkout and a Python that everybody can read.
"""

from __future__ import annotations

import argparse
import collections
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import NoReturn

from kills import KILLED, NOBODY, kills
from repeats import Configuration, Repeats
from sessions import ORDINARY, Project

CORES = os.cpu_count() or 1


def options() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--kills", type=int, default=0, metavar="N", help="kill so many sessions")
    add("--runs", type=int, default=0, metavar="N", help="run the experiments so often")
    add("--seconds", type=float, default=600, help="begin nothing new after that time (default: %(default)g)")
    add("--seed", type=int, default=0, help="of the kills' moments and victims")
    add("--workers", default="0,4", help="-n of the runs, in turn (default: %(default)s)")
    add("--load", default="alone", help="alone, busy or both, in turn: with every core loaded by other work")
    add("--what", nargs="+", default=["experiments"], help="the experiments (default: all)")
    add("--user", action="store_true", help="as an ordinary user, where this is root")
    return parser.parse_args()


def become_ordinary() -> NoReturn:
    """The same as a user without any right, who has to be able to run and read all this."""
    ids = [f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups"]
    command = [sys.executable, *(word for word in sys.argv if word != "--user")]
    os.execvp("setpriv", ["setpriv", *ids, "env", "--unset=HOME", *command])  # noqa: S606 - setpriv(1) executes this program again


def soak_kills(count: int, seconds: float, seed: int, folder: Path) -> bool:
    """Kill sessions; whether nothing was left, hung or refuted."""
    project = Project.make(folder)
    project.experiment(KILLED)
    try:
        unharmed = project.run()
    except subprocess.TimeoutExpired as expired:
        print(f"control: a session that nobody kills has to end: {expired}")
        return False
    if unharmed.status != 0:
        print(f"control: a session that nobody kills has to pass:\n{unharmed.output}")
        return False
    victims: collections.Counter[str] = collections.Counter()
    bad = 0
    try:
        for kill in kills(project, count, seconds, seed):
            victims[kill.victim] += 1
            if kill.left or kill.refuted:
                bad += 1
                print(f"  {kill.victim}: left {kill.left}, refuted {kill.refuted}", flush=True)
    finally:
        found = f"{bad} with something left or refuted"
        late = f"; {missed} sessions had ended before" if (missed := victims.pop(NOBODY, 0)) else ""
        print(f"{victims.total()} kills, {found}; victims: {dict(victims)}{late}", flush=True)
    return not bad


def soak_runs(asked: argparse.Namespace, folder: Path) -> bool:
    """Repeat runs; whether every one ended well and no fact differed."""
    loads = [CORES * (load == "busy") for load in asked.load.split(",")]
    configurations = [Configuration(*each) for each in product(asked.workers.split(","), loads)]
    # A go isolator that is built once, also for who has no home.
    repeats = Repeats({**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONDONTWRITEBYTECODE": "1"})
    try:
        repeats.repeat(asked.what, configurations, asked.runs, asked.seconds, folder / "reports")
    finally:
        print(*repeats.summary(), sep="\n", flush=True)
    return not repeats.found


def main() -> int:
    """Run what was asked for.

    Returns:
        The exit status: 1 if anything was left, refuted, failed or different.
    """
    asked = options()
    # Also in the background, where a shell has SIGINT ignored: what was counted so far is told.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    if asked.user and os.geteuid() == 0:
        become_ordinary()
    print(
        f"uid {os.geteuid()}, {CORES} cores: {shlex.join([Path(sys.executable).name, *sys.argv])}", flush=True
    )
    began, good = time.monotonic(), True
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        for part in ("kills", "runs"):
            (Path(folder) / part).mkdir()
        if asked.kills:
            good &= soak_kills(asked.kills, asked.seconds, asked.seed, Path(folder, "kills"))
        if asked.runs:
            good &= soak_runs(asked, Path(folder, "runs"))
    print(f"{time.monotonic() - began:.0f} s: {'nothing found' if good else 'see above'}")
    return int(not good)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
