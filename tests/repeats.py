"""Run experiments again and again, in every configuration in turn: what fails, and which facts differ?"""

from __future__ import annotations

import collections
import contextlib
import itertools
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sessions import ROOT

_LIMIT = 900
"""Seconds after which one run counts as hung."""

_GOOD = {"exit status 0", "passed", "skipped"}


class Configuration(NamedTuple):
    """How a run is made."""

    workers: str
    """pytest-xdist's ``-n``."""
    busy: int
    """Cores that are loaded with other work meanwhile."""

    def __str__(self) -> str:
        """As it stands in the summary."""
        return f"-n {self.workers}, {f'{self.busy} cores busy' if self.busy else 'alone'}"


@contextlib.contextmanager
def loaded(cores: int) -> Iterator[None]:
    """Load so many cores with work."""
    loads = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        yield
    finally:
        for load in loads:
            load.kill()
            load.wait()


class Repeats:
    """What was counted, and what was found."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Begin with nothing; every run has this environment."""
        self.environment = environment
        self.counts: dict[Configuration, collections.Counter[str]] = {}
        self.found: list[str] = []
        self._facts: dict[tuple[str, str], Any] = {}

    def repeat(
        self,
        what: Sequence[str],
        configurations: Sequence[Configuration],
        count: int,
        seconds: float,
        reports: Path,
    ) -> None:
        """Run ``what`` up to so often within that time, the configurations taking turns."""
        end = time.monotonic() + seconds
        for _, configuration in zip(range(count), itertools.cycle(configurations), strict=False):
            if time.monotonic() > end:
                break
            with loaded(configuration.busy):
                self._run(what, configuration, reports)
            shutil.rmtree(reports, ignore_errors=True)

    def _run(self, what: Sequence[str], configuration: Configuration, reports: Path) -> None:
        options = ["-q", "-p", "no:cacheprovider", f"-n{configuration.workers}", f"--reports={reports}"]
        counted = self.counts.setdefault(configuration, collections.Counter())
        try:
            ended = subprocess.run(
                [sys.executable, "-m", "pytest", *what, *options],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            counted["hung"] += 1
            self._note(configuration, f"it did not end within {_LIMIT} s")
            return
        status = f"exit status {ended.returncode}"
        counted[status] += 1
        if status not in _GOOD:
            self._note(configuration, f"{status}:\n{ended.stdout.decode(errors='backslashreplace')[-4000:]}")
        for file in reports.glob("*/run.json"):
            for record in json.loads(file.read_text())["records"]:
                counted["known" if record.get("known") else record["outcome"]] += 1
                self._compare(configuration, record)

    def _compare(self, configuration: Configuration, record: dict[str, Any]) -> None:
        for name, value in record.get("facts", {}).items():
            first = self._facts.setdefault((record["test"], name), value)
            if first != value:
                self._note(configuration, f"{record['test']}: fact {name} is {value!r}, was {first!r}")

    def _note(self, configuration: Configuration, finding: str) -> None:
        self.found.append(finding)
        print(f"  {configuration}: {finding}", flush=True)

    def summary(self) -> Iterator[str]:
        """A line for each configuration, and one for the facts."""
        for configuration, counted in self.counts.items():
            runs = sum(number for name, number in counted.items() if name.startswith(("exit", "hung")))
            rest = ", ".join(f"{number} {name}" for name, number in sorted(counted.items()))
            yield f"{configuration}: {runs} runs: {rest}"
        yield f"{len(self._facts)} facts compared, {len(self.found)} findings"
