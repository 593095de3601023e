"""Is it told in one line, and never as a refuted claim, where the machine has no more of something?"""

from __future__ import annotations

import os
import re

import pytest
from arranged import arranged, by_python
from sessions import PASSES, Project, ordinary

from harness import runs

pytest_plugins = ["stand_ins"]


@pytest.mark.parametrize("limit", [1, 6, 30])
def test_no_more_processes(project: Project, limit: int) -> None:
    """Where too few processes can be started, a line says so before anything is tried."""
    project.experiment(PASSES)
    if os.geteuid() == 0:
        project.give_away()
    ended = project.run("--isolator=unshare", prefix=[*ordinary(), "prlimit", f"--nproc={limit}"])

    assert ended.status == 4, ended.output
    assert "Traceback" not in ended.output
    assert "Resource temporarily unavailable; raise the limit (ulimit -u" in ended.output


EXHAUSTED = """
import resource
import pytest

def limit(soft):
    resource.setrlimit(resource.RLIMIT_NPROC, (soft, resource.getrlimit(resource.RLIMIT_NPROC)[1]))

@pytest.fixture(autouse=True)
def room():
    \"\"\"Each experiment begins with room.\"\"\"
    limit(resource.getrlimit(resource.RLIMIT_NPROC)[1])

def test_exhausted(host):
    \"\"\"What an experiment sees where nothing can be started refutes nothing.\"\"\"
    seen = host.run("echo seen").stdout
    limit(0)
    assert seen == "expected"

def test_refuted(host):
    \"\"\"Control: where there is room a refuted claim is one.\"\"\"
    assert host.run("echo seen").stdout == "expected"
"""


def test_processes_that_run_out_in_the_middle(project: Project) -> None:
    """A claim is not refuted where the machine refuses processes: that is an error, which names the limit."""
    project.experiment(EXHAUSTED)
    if os.geteuid() == 0:
        project.give_away()
    ended = project.run("--isolator=unshare", prefix=ordinary())

    assert ended.status == 1, ended.output
    assert "1 failed, 1 error" in ended.output
    assert "an experiment needs room for 32 processes, number 1 cannot be started" in ended.output
    assert [record["outcome"] for record in project.runs()[0]["records"]] == ["error", "failed"]


def test_no_more_terminals(project: Project) -> None:
    """Where no terminal is left the experiment is an error of the lab that says so."""
    project.experiment(PASSES)
    one = "mount -t devpts -o newinstance,max=1,ptmxmode=666 devpts /dev/pts"
    one += " && mount --bind /dev/pts/ptmx /dev/ptmx"
    taken = by_python("[os.set_inheritable(end, True) for end in os.openpty()]")
    ended = project.run(prefix=[*arranged(one), *taken])

    assert ended.status == 1, ended.output
    assert "1 error" in ended.output
    assert re.search("LabError: cannot start 'nsenter': .*no terminal is left: No space left", ended.output)


def test_reports_on_a_read_only_file_system(project: Project) -> None:
    """Where reports cannot be written, a line says so before anything runs, and what to name instead."""
    project.experiment(PASSES)
    project.reports.mkdir()
    ended = project.run(prefix=arranged(f"mount -t tmpfs -o ro tmpfs {project.reports}"))

    assert ended.status == 4, ended.output
    assert "Traceback" not in ended.output
    assert re.search(r"cannot write reports to \S+: Read-only file system.*--reports=DIR", ended.output)


FILLS = '''
import pytest

@pytest.mark.parametrize("n", range(30))
def test_fills(host, n):
    """It shows much."""
    host.check_output("seq 1000")
'''


@pytest.mark.parametrize("workers", ["0", "2"])
def test_disk_that_is_full(project: Project, workers: str) -> None:
    """When the disk is full the session ends with one line, and what was finished is readable."""
    project.experiment(FILLS)
    project.reports.mkdir()
    (project.folder / "kept").mkdir()
    keep = f'"$@"; status=$?; cp -r {project.reports}/. {project.folder}/kept; exit $status'
    small = arranged(f"mount -t tmpfs -o size=96k tmpfs {project.reports}")
    prefix = [word.replace('exec "$@"', keep).replace("-ec", "-c") for word in small]
    ended = project.run(f"-n{workers}", prefix=prefix)

    assert ended.status == 2, ended.output
    assert "Traceback" not in ended.output
    assert (
        len([line for line in ended.lines if "run.json: No space left on device; what was finished" in line])
        == 1
    )
    assert "nslab: no report: cannot write the page: No space left on device" in ended.lines[-1]
    (file,) = (project.folder / "kept").glob("*/run.json")
    run = runs.read(file)
    assert run.finished is None
    assert 5 < len(run.records) < 30
