"""Print what the lab costs, as ratios within one run, since machines are noisy and differ.

Needs root: the plain script makes its stages as root does.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks import DOCUMENT
from benchmarks.clock import seconds
from benchmarks.propagation import search
from benchmarks.replay import script
from benchmarks.starts import starts
from harness import runs
from harness.hosts.base import write_programs
from harness.hosts.stage import Stage
from harness.isolate import Isolate
from harness.isolators import ISOLATORS
from harness.notebook import Notebook

ROUNDS = 30
DOCUMENT_ROUNDS = 3


def stage() -> None:
    """How long it takes to make a stage and to drop it."""
    made: list[float] = []
    dropped: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        stage = Stage(Notebook())
        made.append(time.perf_counter() - began)
        dropped.append(seconds(stage.close))
    print(f"stage: made in {median(made) * 1000:.1f} ms, dropped in {median(dropped) * 1000:.1f} ms")


def first_prompt() -> None:
    """How long a shell's first prompt takes against the same isolator running true without a terminal."""
    for name, factory in ISOLATORS.items():
        isolator = factory()
        isolator.prepare()
        with Stage(Notebook()) as host:
            pairs = [_prompt_and_true(Isolate(host, isolator)) for _ in range(ROUNDS)]
        prompt, true = (median(times) * 1000 for times in zip(*pairs, strict=True))
        ratio = median(prompt / true for prompt, true in pairs)
        print(f"first prompt, {name}: {prompt:.1f} ms, true {true:.1f} ms, ratio {ratio:.2f} (goal: 2)")


def _prompt_and_true(isolate: Isolate) -> tuple[float, float]:
    bare = isolate.host.enter(isolate.command("mount", "true"))
    return seconds(lambda: isolate.shell("mount")), seconds(lambda: subprocess.run(bare, check=True))


def document() -> None:
    """How long the whole document takes, report included, against a script of the same commands."""
    with tempfile.TemporaryDirectory(prefix="nslab-benchmark-") as name:
        folder = Path(name)
        carried = _carried(folder)
        pairs = [_lab_and_plain(folder, carried) for _ in range(DOCUMENT_ROUNDS)]
        records = runs.read(runs.folders(folder)[0] / runs.FILE).records
    whole, plain = (median(times) for times in zip(*pairs, strict=True))
    each = median(record.seconds for record in records)
    print(
        f"document: {len(records)} experiments (median {each * 1000:.0f} ms), report and all {whole:.1f} s, "
        f"plain script {plain:.1f} s, ratio {median(lab / script for lab, script in pairs):.2f} (goal: 3)"
    )


def _carried(folder: Path) -> Path:
    """The isolators' programs as they are carried to a stage."""
    carried = folder / "carried"
    carried.mkdir()
    for name, factory in ISOLATORS.items():
        isolator = factory()
        isolator.prepare()
        write_programs(carried / name, isolator.programs(Stage.python))
    return carried


def _lab_and_plain(reports: Path, carried: Path) -> tuple[float, float]:
    lab = [
        sys.executable,
        "-m",
        "pytest",
        *DOCUMENT,
        "-q",
        "-p",
        "no:cacheprovider",
        f"--reports={reports}",
    ]
    whole = seconds(lambda: subprocess.run(lab, check=True, stdout=subprocess.DEVNULL))
    plain = reports / "plain.sh"
    plain.write_text(script(runs.read(runs.folders(reports)[0] / runs.FILE), str(carried)))
    return whole, seconds(lambda: subprocess.run(["sh", plain], check=False))


if __name__ == "__main__":
    stage()
    first_prompt()
    starts()
    document()
    search()
