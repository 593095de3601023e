"""Does a session notice what a kernel answered otherwise before?"""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest
from sessions import ROOT, Project
from test_compare import run_of

from harness import baseline, cli, differences, known, runs
from harness.compare import compare
from harness.errors import UnmetNeedError
from harness.evidence import KnownDifference, Run

pytest_plugins = ["stand_ins"]

MEASURES = '''
import os

def test_answers(host, fact):
    """It answers."""
    fact("uts.x_longest", int(os.environ.get("ANSWER", 64)))
    fact("free", os.environ.get("ANSWER", "64"))
    assert os.environ.get("HOLDS", "yes") == "yes"

def test_other(host):
    """It holds."""
'''
KEPT = sorted((ROOT / "reports" / "baselines").glob("*.json"))


def test_session_against_a_run(project: Project) -> None:
    """A refuted claim and a broken promise are regressions and set the exit status; a free value is told."""
    project.experiment(MEASURES)
    project.run()
    (earlier,) = project.reports.glob("*/")

    same = project.run(f"--baseline={earlier}", "-k", "answers")
    assert same.status == 0
    assert "3 verdicts and facts are as they were" in same.output

    other = project.run(f"--baseline={earlier}", environment=project.environment(ANSWER="65"))
    assert other.status == 1
    assert "1 regressed, 1 otherwise changed, of 4" in other.output
    assert "regressed: uts.x_longest: 64, now 65" in other.output
    assert "changed: free: 64, now 65" in other.output
    assert project.runs()[-1]["exit_status"] == 1

    refuted = project.run(f"--baseline={earlier}", "-n2", environment=project.environment(HOLDS="no"))
    assert "regressed: experiments/test_it.py::test_answers: passed, now failed" in refuted.output


def test_session_against_what_is_kept_for_its_kernel(project: Project) -> None:
    """A kernel's baseline is found by its release; where there is none, the session says so and no more."""
    project.experiment(MEASURES)
    none = project.run("--baseline=kernel")
    assert none.status == 0
    assert f"no baseline of stage, kernel {os.uname().release}, in " in none.output

    (run,) = project.reports.glob("*/")
    kept = project.reports / baseline.FOLDER
    assert cli.main(["baseline", str(run), f"--folder={kept}"]) == 0
    assert [file.name for file in kept.iterdir()] == [f"{os.uname().release}.json"]

    found = project.run("--baseline=kernel", environment=project.environment(ANSWER="65"))
    assert found.status == 1
    assert "regressed: uts.x_longest: 64, now 65" in found.output


def test_another_build_of_the_version_stands_in(tmp_path: Path) -> None:
    """Where the release has no baseline, another build of the version may have one."""
    for release in ("6.18.44-fc-v657", "6.18.44-fc-v600", "6.18.4-fc-v657", "6.18.445", "6.1.0-56-amd64"):
        (tmp_path / f"{release}.json").touch()

    assert baseline.kept(tmp_path, "6.18.44-fc-v600") == tmp_path / "6.18.44-fc-v600.json"
    assert baseline.kept(tmp_path, "6.18.44-other") == tmp_path / "6.18.44-fc-v657.json"
    assert baseline.kept(tmp_path, "6.18.44") == tmp_path / "6.18.44-fc-v657.json"
    for without in ("6.18.45-fc-v657", "6.18-rc1", "6.1.0-57-amd64", "unknown"):
        assert baseline.kept(tmp_path, without) is None


@pytest.mark.parametrize("content", [None, "{}"])
def test_baseline_that_is_none(project: Project, content: str | None) -> None:
    """What can't be compared with is refused in one line before anything runs."""
    file = project.folder / "base.json"
    if content:
        file.write_text(content)
    project.experiment(MEASURES)

    ended = project.run(f"--baseline={file}")

    assert ended.status == 4
    assert ended.lines[-1].startswith(f"ERROR: --baseline={file}: ")
    assert not project.reports.exists()


def test_file_is_small_and_canonical(tmp_path: Path) -> None:
    """Evidence and times are left out; the same answers give the same bytes, in whatever order they came."""
    one, two = (run_of(name, "6.1", {}, {}) for name in "ab")
    records = run_of("x", "6.1", {"t": "passed", "s": "passed"}, {"f": 1, "e": [""]}).records
    one.records.extend(records)
    two.records.extend(msgspec.structs.replace(each, seconds=9, message="m") for each in reversed(records))
    one, two = (msgspec.structs.replace(each, finished="now") for each in (one, two))

    assert baseline.write([one], tmp_path) == {tmp_path / "6.1.json": True}
    assert baseline.write([two], tmp_path) == {tmp_path / "6.1.json": False}
    read = runs.read(tmp_path / "6.1.json")
    assert [(each.test, each.facts, each.seconds) for each in read.records] == [
        ("s", {"e": [""], "f": 1}, 0),
        ("t", {"e": [""], "f": 1}, 0),
    ]


def test_what_gives_no_baseline(tmp_path: Path) -> None:
    """An incomplete run, and two hosts of one kernel, are refused with the reason; errors are not kept."""
    whole = msgspec.structs.replace(run_of("a", "6.1", {"t": "error", "s": "skipped"}), finished="now")
    with pytest.raises(UnmetNeedError, match="run a is incomplete"):
        baseline.write([run_of("a", "6.1", {})], tmp_path)
    two = msgspec.structs.replace(
        whole, hosts={name: msgspec.structs.replace(whole.hosts["stage"], name=name) for name in "xy"}
    )
    with pytest.raises(UnmetNeedError, match=r"hosts x, y have the same kernel 6\.1"):
        baseline.write([two], tmp_path)

    baseline.write([whole], tmp_path)
    assert runs.read(tmp_path / "6.1.json").records == []


@pytest.mark.parametrize("release", ["../../etc/passwd", "a/b", "x\n"])
def test_release_is_no_path(tmp_path: Path, release: str) -> None:
    """A host that calls its kernel like a path writes nowhere else."""
    assert baseline.file_for(tmp_path, release).parent == tmp_path


@pytest.mark.parametrize("file", KEPT, ids=lambda file: file.stem)
def test_kept_baselines_are_canonical(file: Path) -> None:
    """Each kept file is what would be written of it, and lies where its kernel is looked for."""
    run = runs.read(file)
    (host,) = run.hosts.values()

    again = msgspec.structs.replace(baseline.reduced([(run, host)]), nslab=run.nslab)
    assert file.read_text() == baseline.text(again)
    assert file == baseline.file_for(file.parent, host.kernel)
    assert not known.stale(run, known.read().differences)
    assert json.loads(file.read_text())["records"]


@pytest.fixture(scope="module")
def kept() -> list[Run]:
    """The baselines that are kept."""
    return [runs.read(file) for file in KEPT]


def test_kept_kernels_differences_are_explained(kept: list[Run]) -> None:
    """Each fact in which the kept kernels differ is a known difference, or a change with its source."""
    rows = [row for row in compare(kept, known.read()).rows if row.sort == "fact" and row.contradicts]

    assert len(rows) > 100
    assert [row.name for row in rows if not (row.explained or row.known)] == []


@pytest.mark.parametrize("entry", known.read().differences, ids=lambda entry: entry.id)
def test_entries_agree_with_the_kept_kernels(kept: list[Run], entry: KnownDifference) -> None:
    """What an entry says of a build is what that build's baseline holds."""
    for run in kept:
        (host,) = run.hosts.values()
        build = known.build_of(host)
        facts = {name: value for record in run.records for name, value in record.facts.items()}
        deviates = any(known.explains(entry, "facts", name, value) for name, value in facts.items())
        assert build in entry.seen + entry.not_seen or not entry.facts
        assert deviates == (bool(entry.facts) and build in entry.seen)


def test_page_about_differences_is_up_to_date() -> None:
    """The page in docs/ says what the data and the baselines say."""
    written = (ROOT / "docs" / "differences.md").read_text()

    assert written == differences.page(), "run: python -m harness.differences > docs/differences.md"
