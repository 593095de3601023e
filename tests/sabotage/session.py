"""Runs the whole document against a sabotage, in a session of its own, and reads what it refuted."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from harness import runs

from .declared import HOSTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.evidence import Outcome, Record, Run

ROOT = Path(__file__).parent.parent.parent
CONTROL = "python"
"""The isolator that the sabotages are made from, and that must refute nothing."""

DOCUMENT = [f"experiments/test_{question}.py" for question in ("uts", "ipc", "pid", "mount", "flags")]
"""The experiments about isolators; the facts are about the kernel, and have controls of their own."""

_LIMIT = 120
"""Seconds for each sabotage after which its session is given up; one takes a few."""

_TOGETHER = 8
"""Isolators that share a session."""

_WAIT = 20
"""The session's own longest wait for one prompt or command."""


class Verdicts(NamedTuple):
    """The claims by what became of them; the rest held."""

    refuted: frozenset[str]
    broken: frozenset[str]
    untested: frozenset[str]
    """Every experiment was skipped, for this machine lacks something."""


def run(names: Sequence[str], reports: Path, processes: int = 0) -> Run:
    """A session with sabotaged isolators, or with one sabotaged host, spread over pytest-xdist's processes.

    Raises:
        AssertionError: the session did not come to its end; shows what it printed.
    """
    hosts = [f"--stage={name}" for name in names if name in HOSTS]
    asked = [*hosts, f"--isolator={CONTROL if hosts else ','.join(names)}"]
    command = [sys.executable, "-m", "pytest", *DOCUMENT, "-p", "tests.sabotage.plugin", *asked]
    options = ["-p", "no:cacheprovider", "-q", f"-n{processes}", f"--wait={_WAIT}", f"--reports={reports}"]
    limit = _LIMIT * len(names)
    ran = subprocess.run(
        [*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=limit, check=False
    )
    assert ran.returncode in {0, 1}, f"the session with {names} was cut short:\n{ran.stdout}{ran.stderr}"
    (folder,) = runs.folders(reports)
    return runs.read(folder / runs.FILE)


def groups(names: Iterable[str]) -> list[list[str]]:
    """Which sabotages share a session: isolators do, for what is about the host alone then runs once."""
    hosts = [[name] for name in names if name in HOSTS]
    isolators = [name for name in names if name not in HOSTS]
    return [*(isolators[start : start + _TOGETHER] for start in range(0, len(isolators), _TOGETHER)), *hosts]


def part(run: Run, name: str) -> Run:
    """What a run tells of one sabotage."""
    records = [record for record in run.records if name in HOSTS or record.isolator in {None, name}]
    return msgspec.structs.replace(run, records=records)


def verdicts(run: Run) -> Verdicts:
    """What became of each claim: a failure outweighs an error, an error whatever held."""
    outcomes: dict[str, set[Outcome]] = {}
    for record in run.records:
        for claim in claims_of(record):
            outcomes.setdefault(claim, set()).add(record.outcome)
    refuted = {claim for claim, seen in outcomes.items() if "failed" in seen}
    broken = {claim for claim, seen in outcomes.items() if "error" in seen} - refuted
    untested = {claim for claim, seen in outcomes.items() if seen == {"skipped"}}
    return Verdicts(frozenset(refuted), frozenset(broken), frozenset(untested))


def claims_of(record: Record) -> list[str]:
    """An experiment's claims; where it has none, its file's topic: ``flags`` for ``test_flags.py``."""
    return record.claims or [Path(record.test.partition("::")[0]).stem.removeprefix("test_")]


def experiment(record: Record) -> str:
    """An experiment's name with its parameters, though without host and isolator."""
    file, _, test = record.test.partition("::")
    name, _, parameters = test.removesuffix("]").partition("[")
    own = parameters.removeprefix(record.host).removeprefix(f"-{record.isolator}").strip("-")
    return f"{file}::{name}[{own}]"


class Line(NamedTuple):
    """A line of an experiment."""

    file: str
    number: int


def failing_line(record: Record) -> Line | None:
    """The assertion that failed, by the last line of pytest's report."""
    found = re.findall(r"^experiments/(\w+\.py):(\d+): AssertionError$", record.details, re.MULTILINE)
    return Line(found[-1][0], int(found[-1][1])) if found else None
