"""What is refused is refused in one line that names the input and the next step, before anything has run."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from sessions import PASSES, Ended, Project

from harness.errors import UnmetNeedError
from harness.hosts.stage import Stage
from harness.notebook import Notebook

pytest_plugins = ["stand_ins"]

REFUSALS = {
    "unknown isolator": (
        ["--isolator=jail"],
        "--isolator=jail: no such isolator; choose from go, python, unshare",
    ),
    "no isolator": (["--isolator="], "--isolator=: no such isolator; choose from"),
    "unknown stage": (["--stage=moon"], "invalid choice: 'moon'"),
    "no wait": (["--wait=0"], "--wait=0: expected a number of seconds above 0"),
    "a wait that is no number": (["--wait=nan"], "--wait=nan: expected a number of seconds above 0"),
    "a wait without end": (["--wait=inf"], "--wait=inf: expected a number of seconds above 0"),
    "a wait that is a word": (["--wait=long"], "invalid float value: 'long'"),
    "one host to be held against": (
        ["--differential"],
        "--differential: holds hosts against each other, and this session has one, stage; name another",
    ),
    "unknown claim": (["--claim=uts-99"], "--claim uts-99: no such claim; there are uts-1, "),
    "unknown claim for workers": (["--claim=uts-99", "-n2"], "--claim uts-99: no such claim"),
    "a claim that nothing here tests": (["--claim=uts-1"], "--claim uts-1: no collected experiment tests it"),
    "the machine for many": (["--stage=machine", "-n2"], "--stage=machine with -n: there is one machine"),
    "reports that are a file": (
        ["--reports=pytest.ini"],
        "cannot write reports to .*pytest.ini: File exists",
    ),
    "reports nowhere": (
        ["--reports=no/such"],
        "cannot write reports to .*no/such: No such file or directory",
    ),
}


def assert_refused(ended: Ended, sentence: str, *, lines: int = 1) -> None:
    """The session ended with exit status 4 and one line that says why."""
    said = [line for line in ended.lines if re.search(sentence, line)]
    assert ended.status == 4, ended.output
    assert len(said) == lines, ended.output
    assert "Traceback" not in ended.output
    assert "INTERNALERROR" not in ended.output
    assert "1 passed" not in ended.output


@pytest.mark.parametrize("name", REFUSALS)
def test_usage_error(project: Project, name: str) -> None:
    """An option that can't be used ends the session with exit status 4 and one line."""
    options, sentence = REFUSALS[name]
    project.experiment(PASSES)

    assert_refused(project.run(*options), sentence)
    assert not project.runs()


def test_claim_without_keyword(project: Project) -> None:
    """A claim that is not named by keyword is refused with the experiment's name."""
    project.experiment("import pytest\n\n@pytest.mark.claim('uts-1')\ndef test_it(host):\n    pass\n")

    assert_refused(project.run(), r"experiments/test_it.py::test_it\[stage\]: name the claim by keyword")


def test_reports_that_are_read_only(project: Project) -> None:
    """A folder that can't be written to is named, with another one as the way out."""
    project.experiment(PASSES)
    if os.geteuid() == 0:
        reports = "/proc/sys/kernel"
    else:
        project.reports.mkdir(mode=0o500)
        reports = str(project.reports)

    assert_refused(project.run(f"--reports={reports}"), f"cannot write reports to {reports}: .*--reports=DIR")


def test_isolators_that_are_repeated(project: Project) -> None:
    """An isolator that is named twice runs once."""
    project.experiment(PASSES)

    assert "1 passed" in project.run("--isolator=python,python").output


def test_program_that_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without util-linux there is no stage, and the line says what to install."""
    monkeypatch.setattr("harness.environment._SYSTEM_PATH", ())
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(
        UnmetNeedError, match="cannot start setpriv: No such file or directory; install util-linux"
    ):
        Stage(Notebook())


def fake_sh(project: Project, script: str) -> dict[str, str]:
    """An environment in which another ``sh`` is found first."""
    (project.folder / "bin").mkdir()
    program = project.folder / "bin" / "sh"
    program.write_text(f"#!/bin/bash\n{script}\n")
    program.chmod(0o755)
    return project.environment(PATH=f"{project.folder}/bin:{os.environ['PATH']}")


def test_sh_that_never_prompts(project: Project) -> None:
    """An inner sh that never prompts is an error that says what was awaited, and the session goes on."""
    project.experiment(PASSES + "\n\ndef test_other(host):\n    assert host.run('true').rc == 0\n")
    environment = fake_sh(
        project, 'case $# in 0) echo silent; exec tail -f /dev/null;; *) exec /bin/sh "$@";; esac'
    )
    ended = project.run("--wait=10", environment=environment)

    assert ended.status == 1
    assert "waited 10 s for the first prompt of python uts; last seen: 'silent" in ended.output
    assert "1 passed, 1 error" in ended.output


def test_sh_that_does_nothing(project: Project) -> None:
    """A host on which no shell works is told in one line."""
    project.experiment(PASSES)

    assert_refused(
        project.run(environment=fake_sh(project, "exit 9")),
        "the stage cannot be made: it ended at once",
    )


def test_sh_that_hangs(project: Project) -> None:
    """A shell that hangs while the stage is made is an expired wait."""
    project.experiment(PASSES)
    ended = project.run("--wait=1", environment=fake_sh(project, "exec tail -f /dev/null"))

    assert_refused(ended, "waited 1 s for the stage to be ready")


def test_run_of_a_newer_schema_beside(project: Project) -> None:
    """Runs that can't be read are listed with their problem, and do not disturb a session."""
    project.experiment(PASSES)
    for name, content in {"newer": '{"schema": 99}', "torn": "", "other": "[]"}.items():
        (project.reports / name).mkdir(parents=True)
        (project.reports / name / "run.json").write_text(content)
    ended = project.run()

    assert ended.status == 0, ended.output
    index = (project.reports / "index.html").read_text()
    assert "has schema 99, this nslab reads up to 1" in index
    assert "torn" in index


def test_old_run_without_a_page_gets_one(project: Project) -> None:
    """A run whose session died before its page was written gets it from the next session."""
    project.experiment(PASSES)
    assert project.run().status == 0
    (old,) = project.reports.glob("*/index.html")
    old.unlink()

    assert project.run().status == 0
    assert old.exists()


def test_session_with_errors_of_collection(project: Project) -> None:
    """A file that can't be imported is pytest's usual error, and nothing is recorded."""
    project.experiment(PASSES)
    project.experiment("import no_such_module\n", "test_broken.py")
    ended = project.run()

    assert ended.status == 2
    assert not project.runs()
    assert project.run("--continue-on-collection-errors").status == 1
    assert [len(run["records"]) for run in project.runs()] == [1]


def test_fact_that_no_record_can_hold(project: Project) -> None:
    """A fact of another type fails its own experiment only, in words; odd text is kept as escapes."""
    project.experiment(
        "def test_bad(host, fact):\n    fact('a', b'bytes')\n\n"
        "def test_odd(host, fact):\n    fact('\\udcff', '\\udcff')\n    fact('big', 2 ** 80)\n"
        "    assert '\\udcff' == 'a \\udcfe'\n\n"
        "def test_hostless(fact):\n    fact('x', 1)\n"
    )
    ended = project.run()

    assert "fact 'a' is b'bytes': expected text" in ended.output
    assert "2 failed, 1 passed" in ended.output
    (run,) = project.runs()
    assert run["records"][1]["facts"] == {"\\udcff": "\\udcff", "big": 2**80}
    assert json.dumps(run)
