"""The script that a difference leaves behind: a person who runs it sees the difference."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from broken_port import BrokenPort

from harness import cli
from harness.equivalence.pair import ORDINARY
from harness.equivalence.script import script
from harness.equivalence.starter import CGROUP
from harness.hosts.base import LabHost
from harness.hosts.stage import Stage
from harness.isolators.port import Port
from harness.notebook import Notebook

pytest_plugins = ["stand_ins"]

SCRATCH = "/dev/shm/equivalence"
DROPPED = """
def _fork_exec(program, wanted, made=_fork_exec):
    wanted.setsid = False
    wanted.pdeathsig = wanted.chroot = 0
    return made(program, wanted)
"""


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A host on which the script is run."""
    with Stage(Notebook()) as made:
        yield made


def trial(attributes: Mapping[str, Any], **around: Any) -> dict[str, Any]:
    """A trial with these attributes."""
    description = {"Path": f"{SCRATCH}/probe", "SysProcAttr": attributes}
    return {
        "description": description,
        "terminal": False,
        "without": [],
        "ignored": [],
        "blocked": [],
        **around,
    }


def changed(out: str) -> list[str]:
    """What a diff shows, without its heads."""
    return [line for line in out.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]


def shown(host: LabHost, tried: Mapping[str, Any], user: int = 0, python: str = "") -> str:
    """What the script shows where the port is held against one that drops what makes a session."""
    ports = (Port(), BrokenPort("process", DROPPED))
    commands = [f"{host.carry(port.name, port.programs(python or host.python))}/isolate" for port in ports]
    text = script(tried, SCRATCH, ("python", "broken"), user=user)
    done = host.run("sh -c %s script %s %s", text, *commands)
    # An isolator's own words begin with the date.
    assert not [line for line in done.stderr.splitlines() if line[:2] != "20"]
    assert host.run("test -e %s", SCRATCH).rc == 1, "what it makes is removed"
    return done.stdout


def test_it_shows_what_differs(stage: Stage) -> None:
    """The script starts both, and what differs between the worlds of what they start is all that it shows."""
    out = shown(stage, trial({"Setsid": True}))

    assert changed(out) == [
        "-parent, group, session, terminal, foreground: ISOLATOR PROGRAM PROGRAM 0 -1",
        "+parent, group, session, terminal, foreground: ISOLATOR ISOLATOR ISOLATOR 0 -1",
    ], out


def test_it_shows_what_was_refused(stage: Stage) -> None:
    """Where only one of them starts anything, the other's error is on the page."""
    out = shown(stage, trial({"Chroot": "missing"}))

    assert (
        "-" + '{"Error":"fork/exec /dev/shm/equivalence/probe: no such file or directory","Errno":2}' in out
    )
    assert "+ns/uts: same" in out


def test_it_shows_that_nothing_differs(stage: Stage) -> None:
    """Where both start the same, it says so: also with signals and without capabilities."""
    around = {"without": [0, 33], "ignored": [1, 34], "blocked": [10]}

    out = shown(stage, trial({"Cloneflags": 0x4000000, "UseCgroupFD": True, "CgroupFD": CGROUP}, **around))

    assert out == "no difference\n"


@pytest.mark.usefixtures("as_root")
def test_it_starts_them_as_the_user_did(stage: Stage) -> None:
    """What an ordinary user is refused, the script shows to be refused."""
    # Root's own interpreter may be out of that user's reach.
    python = shutil.which("python3", path="/usr/bin:/bin")
    if not python:
        pytest.skip("no python3 in /usr/bin")

    out = shown(stage, trial({"Setsid": True}), ORDINARY, python)
    assert len(changed(out)) == 2, out
    assert shown(stage, trial({"Cloneflags": 0x4000000}), ORDINARY, python) == "no difference\n"


def test_it_tells_what_differed() -> None:
    """The places that the search found, with both sides, are comments at its head."""
    lines = ["world.job.session: 'own' | 'isolator'", "status: 0 | 1"]

    text = script(trial({}), SCRATCH, ("go-1.27", "port"), lines)

    assert "\n# What differed (go-1.27 | port):\n# " + "\n# ".join(lines) + "\n" in text


def test_the_isolators_can_be_had(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`nslab isolators` puts them where a person can call them; a name that is none is told in a line."""
    assert cli.main(["isolators", str(tmp_path / "made"), "python"]) == 0
    program = Path(capfd.readouterr().out.strip())
    assert subprocess.run([program, "true"], check=False).returncode == 0
    assert subprocess.run([program, "false"], check=False).returncode == 1

    assert cli.main(["isolators", str(tmp_path), "pythn"]) == 2
    assert capfd.readouterr().err.startswith(
        "nslab: no isolator 'pythn': expected one of go, python, unshare"
    )
