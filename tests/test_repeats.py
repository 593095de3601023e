"""Would the soak's repeated runs tell a run that failed, or a fact that differs from the run before?"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from repeats import Configuration, Repeats

STEADY = '{"test": "test_it", "outcome": "passed", "facts": {"uts.longest": 64}}'
RUNS = {
    "alike": ([STEADY, STEADY], 0, ""),
    "one fact differs": (
        [STEADY, STEADY.replace("64", "63")],
        0,
        "test_it: fact uts.longest is 63, was 64",
    ),
    "another experiment's fact": ([STEADY, STEADY.replace("test_it", "other").replace("64", "63")], 0, ""),
    "a run fails": ([STEADY, STEADY.replace("passed", "failed")], 1, "exit status 1:\nwhat it printed\n"),
}
"""What is repeated to the record of each run, the last one's exit status, and what has to be found."""

STANDS_IN = """#!/bin/sh
for word; do case $word in --reports=*) reports=${{word#*=}};; esac; done
mkdir -p "$reports/run"
next=$(ls {folder}/*.json | head -n 1)
echo "{{\\"records\\": [$(cat "$next")]}}" >"$reports/run/run.json"
rm "$next"
echo what it printed
[ "$(echo {folder}/*.json)" != '{folder}/*.json' ] || exit {status}
"""
"""Instead of Python with pytest: each call writes one more of the prepared records."""


@pytest.mark.parametrize("name", RUNS)
def test_what_differs_between_runs_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """A failed run and a fact that differs are each found once, and runs that are alike are not."""
    records, status, sentence = RUNS[name]
    for number, record in enumerate(records):
        (tmp_path / f"{number}.json").write_text(record)
    program = tmp_path / "python"
    program.write_text(STANDS_IN.format(folder=tmp_path, status=status))
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    repeats = Repeats(os.environ)
    repeats.repeat(["experiments"], [Configuration("0", 0)], len(records), 60, tmp_path / "reports")

    assert repeats.found == ([sentence] if sentence else [])
    counts, facts = repeats.summary()
    assert counts.startswith("-n 0, alone: 2 runs: ")
    assert facts.endswith(f"{len(repeats.found)} findings")


def test_a_run_that_hangs_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A run that does not end within its time is found as hung."""
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexec tail -f /dev/null\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr("repeats._LIMIT", 0.1)
    repeats = Repeats(os.environ)
    repeats.repeat(["experiments"], [Configuration("4", 0)], 1, 60, tmp_path / "reports")

    assert repeats.found == ["it did not end within 0.1 s"]
    assert list(repeats.summary()) == ["-n 4, alone: 1 runs: 1 hung", "0 facts compared, 1 findings"]
