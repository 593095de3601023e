"""Is a run on disk whole at every moment, and read back whatever has happened to it?"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sessions import ORDINARY, PASSES, ROOT, Project

from harness import claims, cli, publish, runs
from harness.errors import LabError, UnmetNeedError
from harness.evidence import SCHEMA, HostDescription, Observation, Record, Run
from harness.notebook import Notebook, now
from harness.runs import RunWriter, UnreadableRunError

pytest_plugins = ["stand_ins"]

HOST = HostDescription(
    name="stage",
    kind="stage",
    kernel="6",
    distribution="D",
    architecture="x",
    user="root",
    tools={"sh": "dash"},
)
SCHEMA_FILE = ROOT / "docs" / "run.schema.json"


def run(id_: str = "a-run") -> Run:
    """A run without records."""
    return Run(schema=SCHEMA, id=id_, nslab="0", command=["pytest"], started=now(), isolators={"go": "go1"})


def record(name: str, output: str = "") -> Record:
    """A record with one observation."""
    seen = Observation(side="inside", where="go uts", command="c", output=output, status=0, at=0, seconds=0)
    return Record(
        test=name,
        title=name,
        claims=["uts-1"],
        host="stage",
        outcome="passed",
        observations=[seen],
        started=now(),
        seconds=0,
    )


def test_published_schema() -> None:
    """The schema in docs/ is what `nslab schema` prints."""
    assert SCHEMA_FILE.read_text() == cli.schema_text()


def test_real_run_is_valid(project: Project) -> None:
    """What a session writes follows the published schema."""
    project.experiment(
        PASSES
        + "\n\ndef test_fails(host, fact):\n    fact('n', [])\n    assert host.run('false').rc == 0\n\n"
        "def test_skips(host):\n    import pytest\n    pytest.skip('why')\n"
    )
    project.run("-n2", "--isolator=python,unshare")
    (seen,) = project.runs()

    jsonschema.validate(seen, json.loads(SCHEMA_FILE.read_text()))
    assert sorted(each["outcome"] for each in seen["records"]) == ["failed", "passed", "passed", "skipped"]
    assert seen["finished"]
    assert seen["exit_status"] == 1


def test_file_is_whole_after_every_record(tmp_path: Path) -> None:
    """At any moment the file is valid JSON with all that was finished; only the end makes it complete."""
    writer = RunWriter(tmp_path, run())
    writer.describe_host(HOST)
    for number in range(3):
        read = json.loads((writer.folder / runs.FILE).read_text())
        assert (len(read["records"]), read["finished"]) == (number, None)
        writer.append(record(str(number), "x" * 1000 * (3 - number)))
    writer.finish("2026-01-01T00:00:00Z", 1)

    read = runs.read(writer.folder / runs.FILE)
    assert [each.test for each in read.records] == ["0", "1", "2"]
    assert (read.hosts, read.exit_status) == ({"stage": HOST}, 1)


def test_every_cut_keeps_whole_records(tmp_path: Path) -> None:
    """However a file is cut after its head, it gives every record that is whole."""
    writer = RunWriter(tmp_path, run())
    for number in range(3):
        writer.append(record(str(number), 'a "quoted"\n\u2028 é'))
    writer.finish(now(), 0)
    file = writer.folder / runs.FILE
    content = file.read_bytes()
    ends = [content.index(b"\n", content.index(b'"test":"%d"' % number)) - 1 for number in range(3)]
    head = content.index(b'"records":[') + len(b'"records":[') - 1
    cut = tmp_path / "cut"

    for length in range(len(content)):
        cut.write_bytes(content[:length])
        found = 0
        # In the head there is no record to be lost yet.
        with contextlib.suppress(*[UnreadableRunError] * (length <= head)):
            found = len(runs.read(cut).records)
        assert found >= sum(end < length for end in ends)


@given(st.binary(max_size=60), st.integers(0, 500), st.integers(0, 60))
def test_any_damage(tmp_path_factory: pytest.TempPathFactory, noise: bytes, place: int, length: int) -> None:
    """Whatever bytes stand in a file, reading it raises nothing but that it can't be read."""
    writer = RunWriter(tmp_path_factory.mktemp("runs"), run())
    writer.append(record("a"))
    writer.finish(now(), 0)
    file = writer.folder / runs.FILE
    content = file.read_bytes()
    file.write_bytes(content[:place] + noise + content[place + length :])

    with contextlib.suppress(UnreadableRunError):
        runs.read(file)


UNREADABLE = {
    "newer": (
        b'{"schema": 2, "anything": []}',
        "has schema 2, this nslab reads up to 1: read it with a newer nslab",
    ),
    "no JSON": (b"hello", "is not a run of nslab: expected a JSON object with a number as 'schema'"),
    "empty": (b"", "is not a run of nslab"),
    "no schema": (b'{"id": "x"}', "is not a run of nslab"),
    "schema in words": (b'{"schema": "1"}', "is not a run of nslab"),
    "schema below the first": (b'{"schema": 0, "id": "x"}', "is not a run of nslab"),
    "wrong types": (b'{"schema": 1, "id": 7}', "is not a run of nslab: Expected `str`, got `int`"),
    "fields missing": (b'{"schema": 1}', "is not a run of nslab: Object missing required field"),
    "deep": (b'{"schema": 1, "id": ' + b"[" * 100_000, "is (not a run|damaged)"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_unreadable_run(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is no run is refused in one line that names it, by the command with exit status 2."""
    content, sentence = UNREADABLE[name]
    file = tmp_path / runs.FILE
    file.write_bytes(content)

    with pytest.raises(UnreadableRunError, match=sentence) as problem:
        runs.read(file)
    assert str(file) in str(problem.value)
    assert cli.main(["report", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_missing_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that is not there is refused in one line with what to name instead."""
    assert cli.main(["report", str(tmp_path / "none")]) == 2
    assert "none/run.json: No such file or directory; name a run's folder" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["  ", "\t", None])
def test_run_that_was_formatted_by_another_tool(tmp_path: Path, form: str | None) -> None:
    """White space makes no difference."""
    content = msgspec.json.encode(run())
    (tmp_path / runs.FILE).write_text(json.dumps(json.loads(content), indent=form))

    assert runs.read(tmp_path / runs.FILE).id == "a-run"


def test_run_is_never_overwritten(tmp_path: Path) -> None:
    """A run's folder is never used twice."""
    RunWriter(tmp_path, run()).finish(now(), 0)
    before = (tmp_path / "a-run" / runs.FILE).read_bytes()

    with pytest.raises(UnmetNeedError, match="File exists"):
        RunWriter(tmp_path, run())
    assert (tmp_path / "a-run" / runs.FILE).read_bytes() == before


def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    """Nobody else can write into reports, whatever the umask."""
    old = os.umask(0)
    try:
        writer = RunWriter(tmp_path / "reports", run())
        writer.finish(now(), 0)
        publish.publish(writer.folder)
    finally:
        os.umask(old)

    found = [tmp_path / "reports", *(tmp_path / "reports").rglob("*")]
    assert len(found) == 5
    assert not [path for path in found if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)]


@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root has files that another user can't write: run as root"
)
def test_links_that_another_user_has_planted(tmp_path: Path) -> None:
    """Root renders no other user's run, and follows no link where it writes a page."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    victim.chmod(0o600)
    reports = tmp_path / "reports"
    theirs = RunWriter(reports, msgspec.structs.replace(run(), id="theirs")).folder
    mine = RunWriter(reports, run()).folder
    half = f".{publish.PAGE}.{os.getpid()}"
    for planted in (reports / publish.PAGE, reports / half, theirs / half):
        planted.symlink_to(victim)
    os.chown(theirs, ORDINARY, ORDINARY)

    publish.publish(mine)

    assert (victim.read_text(), stat.S_IMODE(victim.stat().st_mode)) == ("precious", 0o600)
    assert not (theirs / publish.PAGE).exists()
    assert "theirs/run.json" in (reports / publish.PAGE).read_text()
    assert (mine / publish.PAGE).is_file()


def test_disk_that_fills_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that does not fit is an error, and those before it stay readable."""
    writer = RunWriter(tmp_path, run())
    writer.append(record("fits"))
    real, room = os.pwrite, [100]

    def full(file: int, data: bytes, offset: int) -> int:
        if room[0] <= 0:
            room[0] = 10**6
            raise OSError(28, "No space left on device")
        written = real(file, data[: room[0]], offset)
        room[0] -= written
        return written

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(LabError, match=r"cannot write .*run.json: No space left on device"):
        writer.append(record("does not fit", "x" * 1000))
    writer.finish(now(), 2)

    assert [each.test for each in runs.read(writer.folder / runs.FILE).records] == ["fits"]
    assert json.loads((writer.folder / runs.FILE).read_text())["exit_status"] == 2


def test_facts_that_contradict() -> None:
    """A fact has one value in one experiment."""
    notebook = Notebook()
    notebook.fact("n", 1)
    notebook.fact("n", 1)

    with pytest.raises(ValueError, match="fact 'n' is both 1 and 2 in one experiment"):
        notebook.fact("n", 2)


def test_claims_are_read_in_every_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    """The document's observations are the same whatever the locale's encoding."""
    expected = claims.read()
    monkeypatch.setattr("locale.getpreferredencoding", lambda *_: "ascii")

    assert claims.read() == expected
    assert len(expected) == 22
