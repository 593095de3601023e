"""Is each known difference asked for by some experiment, so that it can be met, and be told to be stale?"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
from sessions import LIMIT, ROOT
from test_compare import run_of
from test_known import difference

from harness import facts, known, promised, runs
from harness.evidence import KnownDifference, Outcome, Run
from harness.probes.registry import load

EXPERIMENTS = known.FILE.parent
DIFFERENCES = known.read().differences

by_id = pytest.mark.parametrize("entry", DIFFERENCES, ids=lambda entry: entry.id)


def marked_rules(module: ModuleType) -> Iterator[str]:
    """The rules for which the experiments of a module ask, by the marks of the functions and their cases."""
    for function in vars(module).values():
        marks = [*getattr(function, "pytestmark", [])]
        cases = [case for mark in marks if mark.name == "parametrize" for case in mark.args[1]]
        marks += [mark for case in cases for mark in getattr(case, "marks", ())]
        yield from (mark.kwargs["name"] for mark in marks if mark.name == "rule")


def asking() -> dict[str, Path]:
    """Each rule for which an experiment asks, and its file."""
    found = {}
    for file in sorted(EXPERIMENTS.glob("test_*.py")):
        spec = importlib.util.spec_from_file_location(f"asking_{file.stem}", file)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found.update(dict.fromkeys(marked_rules(module), file))
    return found


ASKING = asking()


@by_id
def test_each_rule_is_asked_for(entry: KnownDifference) -> None:
    """Some experiment asks the kernel for each rule of an entry."""
    assert [name for name in entry.rules if not any(fnmatchcase(asked, name) for asked in ASKING)] == []


@by_id
def test_each_fact_is_measured_and_promised_otherwise(entry: KnownDifference) -> None:
    """Each fact of an entry has a probe, and what documents promise of it is not what deviates."""
    measured = [probe.name for probe in load(facts.SUBJECTS)]
    for pattern, value in entry.facts.items():
        names = [name for name in measured if fnmatchcase(name, pattern)]

        assert names, f"no fact is named {pattern}"
        assert [name for name in names if promised.kept(name, value)] == []


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run, on this machine, of the experiments that ask for rules."""
    reports = tmp_path_factory.mktemp("reports")
    files = sorted({str(file) for file in ASKING.values()})
    options = ["-q", "-p", "no:cacheprovider", "--isolator=python", f"--reports={reports}"]
    subprocess.run([sys.executable, "-m", "pytest", *files, *options], cwd=ROOT, timeout=LIMIT, check=False)
    (folder,) = runs.folders(reports)
    return runs.read(folder / runs.FILE)


def seen_here(run: Run, entry: KnownDifference) -> bool:
    """Whether a difference by rules is recorded of this machine's kernel, and could be asked for."""
    build = known.build_of(run.hosts["stage"])
    asked = {rule for record in run.records if record.outcome != "skipped" for rule in record.rules}
    return known.window(entry, build) == "seen" and bool(asked & {*entry.rules})


def test_what_this_kernel_has_is_met(run: Run) -> None:
    """Each difference that is recorded of this machine's kernel is met, and told as known."""
    met = {sighting.id for record in run.records for sighting in record.known}

    assert {record.verdict for record in run.records} <= {"passed", "known", "skipped"}
    assert met == {entry.id for entry in DIFFERENCES if seen_here(run, entry)}


@by_id
def test_entry_is_stale_where_its_rule_holds(run: Run, entry: KnownDifference) -> None:
    """Had the experiments found a rule kept, its entry were told to be stale; no entry is as it is."""
    kept = [msgspec.structs.replace(record, outcome="passed", known=[]) for record in run.records]
    stale = {found.id for found in known.stale(msgspec.structs.replace(run, records=kept), DIFFERENCES)}

    assert known.stale(run, [entry]) == []
    if seen_here(run, entry):
        assert entry.id in stale


@pytest.mark.parametrize(("outcome", "stale"), [("passed", True), ("failed", False), ("skipped", False)])
def test_rule_that_holds_makes_an_entry_stale(outcome: Outcome, stale: bool) -> None:
    """An experiment that asks for a rule and passes makes its entry stale; no other outcome does."""
    made = run_of("a", "6.3.1", {"t": outcome})
    made.records[0] = msgspec.structs.replace(made.records[0], rules=["copy"])
    entry = msgspec.structs.replace(difference(), rules={"copy": "lost"})

    assert bool(known.stale(made, [entry])) == stale
    assert known.stale(made, [difference()]) == []
