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
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kills import KILLED, kills
from sessions import ROOT, Project


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
            print(f"of {options.runs} runs:", dict(outcomes), *differ, sep="\n  ")
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
