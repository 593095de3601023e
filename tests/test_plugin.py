"""Is the lab pytest as people know it?"""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import msgspec
import pytest
from sessions import LIMIT, PASSES, ROOT, Project

from harness import claims
from harness.report.text import hidden

pytest_plugins = ["stand_ins"]

OUTCOMES = '''
import os, signal
import pytest
from harness.errors import LabError

@pytest.mark.claim(id="uts-1")
def test_passes(host, isolate):
    """It holds."""
    assert isolate("uts").check_output("echo answer") == "answer"

@pytest.mark.claim(id="uts-2")
def test_fails(host):
    """It does not hold."""
    assert host.check_output("echo seen") == "expected"

def test_breaks(host):
    """The lab breaks in the middle."""
    raise LabError("cable cut")

def test_skips(host):
    """It is not possible here."""
    pytest.skip("no such thing here")
'''
WORDS = {"passes": "passed", "fails": "failed", "breaks": "error", "skips": "skipped"}


@pytest.fixture
def outcomes(project: Project) -> Project:
    """A project with one experiment of each outcome."""
    project.experiment(OUTCOMES)
    return project


def test_outcomes(outcomes: Project, tmp_path: Path) -> None:
    """The four outcomes have the same word in the terminal, in JUnit's file and in the run; no warnings."""
    ended = outcomes.run(f"--junitxml={tmp_path}/j.xml", "-rA")

    assert ended.status == 1, ended.output
    assert "1 failed, 1 passed, 1 skipped, 1 error in" in ended.output
    assert "warning" not in ended.output
    assert re.search(r"nslab: host stage \(kernel \S+\), isolators python\n", ended.output)
    assert "ERROR at call of test_breaks[stage]" in ended.output
    (suite,) = ElementTree.parse(tmp_path / "j.xml").getroot()  # noqa: S314 - pytest wrote it
    assert {key: suite.get(key) for key in ("errors", "failures", "skipped", "tests")} == {
        "errors": "1",
        "failures": "1",
        "skipped": "1",
        "tests": "4",
    }
    (run,) = outcomes.runs()
    told = {re.sub(r".*_(\w+)\[.*", r"\1", record["test"]): record["outcome"] for record in run["records"]}
    assert told == WORDS
    assert [record.get("message") for record in run["records"]][2:] == [
        "harness.errors.LabError: cable cut",
        "no such thing here",
    ]
    assert ended.lines[-1] == f"nslab: report: {next(outcomes.reports.glob('*/index.html'))}"


def test_failure_names_promise_source_and_what_was_seen(outcomes: Project) -> None:
    """A refuted claim is shown with its source, what was expected, what was seen, where and how."""
    ended = outcomes.run("--claim=uts-2")
    claim = claims.read()["uts-2"]

    promise = ["the claim", f"uts-2: {claim.claim}", f"  promised by {claim.source}"]
    seen = ["what was done and seen last, in time", "outside [stage]# echo seen", "  seen"]
    shown = [line.strip("- ") if line.startswith("---") else line for line in ended.lines]
    (begin,) = (number for number, line in enumerate(shown) if line == "the claim")
    assert shown[begin : begin + 6] == [*promise, *seen]
    (message,) = (line for line in ended.lines if line.startswith("E ") and "AssertionError" in line)
    assert message.endswith("assert 'seen' == 'expected'")


def test_run_carries_its_sabotages(outcomes: Project) -> None:
    """A run holds what the tests break on purpose, and its page tells below a claim what refutes that."""
    outcomes.run("--claim=uts-2")
    sabotages = msgspec.to_builtins(claims.sabotages())
    refuting = [each["name"] for each in sabotages if "uts-2" in each["refutes"]]
    page = next(outcomes.reports.glob("*/index.html")).read_text()

    assert outcomes.runs()[0]["sabotages"] == sabotages
    assert refuting
    assert f"How do we know? {len(refuting)} sabotage" in page
    assert all(f"<dt><code>{name}</code></dt>" in page for name in refuting)


SEARCHES = """
import hypothesis
from hypothesis import strategies

from harness.errors import LabError

def test_searches(host):
    \"\"\"The lab breaks, and once more in another way.\"\"\"
    asked = []

    @hypothesis.given(strategies.integers())
    def search(number):
        asked.append(number)
        {body}

    search()
"""


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ("if len(asked) > 1: raise LabError('dead')\n        raise LabError('dying')", "error"),
        ("if len(asked) > 1: raise LabError('dead')\n        assert number", "failed"),
    ],
    ids=["lab", "lab-and-claim"],
)
def test_group_of_lab_errors_is_an_error(project: Project, body: str, outcome: str) -> None:
    """A search in which nothing but the lab broke is an error, in however many ways that was."""
    project.experiment(SEARCHES.format(body=body))

    project.run()

    (run,) = project.runs()
    assert [record["outcome"] for record in run["records"]] == [outcome]


BETWEEN_HOSTS = """
def test_two(pair):
    \"\"\"Two hosts answer.\"\"\"
    assert [host.check_output("echo answer") for host in pair] == ["answer", "answer"]
"""


def test_pairs_are_skipped_unless_asked_for(project: Project) -> None:
    """What holds two hosts against each other is skipped without --differential; the reason is the remedy."""
    project.experiment(BETWEEN_HOSTS)
    ended = project.run("-rs")

    assert ended.status == 0, ended.output
    assert "1 skipped" in ended.output
    assert "say --differential, and --kernels=6.12,local or --hosts" in ended.output
    (run,) = project.runs()
    assert run["records"] == []


HIDDEN = """
import pytest

@pytest.fixture
def pair(host):
    return "two things that are no hosts"

def test_two(pair):
    \"\"\"Two things.\"\"\"
"""


def test_a_fixture_that_hides_the_plugins_is_refused(project: Project) -> None:
    """An experiment's own fixture of the plugin's name is told of, instead of skipping what uses it."""
    project.experiment(HIDDEN)
    ended = project.run("-rs")

    assert ended.status == 2, ended.output
    assert "::test_two: its fixture pair hides the plugin's: give it another name" in ended.output
    assert "skipped" not in ended.output


def test_same_with_workers(outcomes: Project) -> None:
    """With pytest-xdist the outcomes and the records are the same."""
    ended = outcomes.run("-n2")

    assert "1 failed, 1 passed, 1 skipped, 1 error in" in ended.output
    (run,) = outcomes.runs()
    assert sorted(record["outcome"] for record in run["records"]) == sorted(WORDS.values())


def test_stop_at_the_first(outcomes: Project) -> None:
    """With -x the session ends at the first failure, and what ran before is in the run."""
    ended = outcomes.run("-x")

    assert ended.status == 1
    assert [len(run["records"]) for run in outcomes.runs()] == [2]


@pytest.mark.parametrize("choice", [["--claim=uts-2"], ["-m", "claim(id='uts-2')"], ["-k", "fails"]])
def test_choice(outcomes: Project, choice: list[str]) -> None:
    """Experiments are chosen by claim, marker and name alike."""
    ended = outcomes.run(*choice)

    assert "1 failed, 3 deselected" in ended.output
    assert [record["claims"] for record in outcomes.runs()[0]["records"]] == [["uts-2"]]


def test_collecting_only(outcomes: Project) -> None:
    """--collect-only shows readable ids and writes nothing."""
    ended = outcomes.run("--collect-only", "-q", "--isolator=go,python")

    assert ended.status == 0
    assert "experiments/test_it.py::test_passes[stage-go]\n" in ended.output
    assert "experiments/test_it.py::test_fails[stage]\n" in ended.output
    assert not outcomes.reports.exists()


def test_crashed_worker(project: Project) -> None:
    """An experiment that takes its worker along is an error under its isolator; the others are whole."""
    project.experiment(
        "import os\n\ndef test_crashes(host, isolator):\n"
        "    isolator.name == 'python' and os.kill(os.getpid(), 9)\n\n" + PASSES
    )
    ended = project.run("-n2", "--isolator=python,unshare")

    assert "3 passed, 1 error in" in ended.output
    (run,) = project.runs()
    (error,) = (each for each in run["records"] if each["outcome"] == "error")
    assert error["message"].startswith("worker 'gw")
    assert sorted((each["isolator"], each["outcome"]) for each in run["records"]) == [
        ("python", "error"),
        ("python", "passed"),
        ("unshare", "passed"),
        ("unshare", "passed"),
    ]


def test_two_sessions_at_once(project: Project) -> None:
    """Two sessions that run at once do not disturb each other."""
    project.experiment(PASSES)
    both = [
        subprocess.Popen(
            project.command(), cwd=project.folder, env=project.environment(), stdout=-3, stdin=-3
        )
        for _ in range(2)
    ]

    assert [session.wait(timeout=LIMIT) for session in both] == [0, 0]
    assert [len(run["records"]) for run in project.runs()] == [1, 1]
    assert (project.reports / "index.html").read_text().count("/index.html") >= 2


ODD = """
import pytest

@pytest.mark.parametrize("odd", ["../../../up", "/abs", "<script>alert(1)</script>", "$(id)"])
def test_odd(host, odd):
    \"\"\"<img src=x onerror=alert(1)>\"\"\"
    host.check_output("hostname nslab; echo %s", odd)
"""


def test_names_stay_names(project: Project) -> None:
    """Names with paths and markup in them reach no file name, and the page escaped."""
    project.experiment(ODD)
    ended = project.run()

    assert ended.status == 0, ended.output
    written = sorted(path.name for path in project.reports.rglob("*") if path.is_file())
    assert written == ["index.html", "index.html", "run.json"]
    page = next(project.reports.glob("*/index.html")).read_text()
    assert "<img src=x" not in page
    assert "<script>alert" not in page
    assert "&lt;img src=x" in page


HOSTILE = r'''
import pytest
from harness.errors import LabError

ESCAPES = "printf '\\033]0;title\\007\\033[2J\\a\\r\\b\\302\\233'"

def test_refuted(host):
    """A host prints what a terminal obeys."""
    assert host.run(ESCAPES).stdout == "expected"

def test_refuted_by_status(host):
    """It does so where a command fails."""
    host.check_output(ESCAPES + "; exit 1")

def test_broken(host):
    """It does so where the lab breaks."""
    raise LabError(f"saw {host.run(ESCAPES).stdout}")
'''


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_what_a_host_prints_does_not_act_on_the_terminal(project: Project, workers: str) -> None:
    """Control characters are shown by name in all that is told of a failure; the run keeps them."""
    project.experiment(HOSTILE)
    ended = project.run(workers, "--color=no", "-rA")

    assert "2 failed" in ended.output, ended.output
    assert "1 error" in ended.output
    assert "[ESC]]0;title[BEL]" in ended.output
    assert not [char for char in ended.output if hidden(char)]
    (run,) = project.runs()
    assert all("\x1b]0;title" in record["observations"][0]["output"] for record in run["records"])


def test_experiments_and_tests_are_one_checkout() -> None:
    """`pytest` alone finds both; files of one name would hide each other."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", "-q"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=False)

    assert ended.returncode == 0, ended.stdout
    assert "experiments/test_uts.py::" in ended.stdout
    assert "tests/test_plugin.py::" in ended.stdout
