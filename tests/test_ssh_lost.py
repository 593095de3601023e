"""Does a machine over ssh that breaks, lacks something or can't be reached cost its own experiments alone?"""

from __future__ import annotations

import socket
from pathlib import Path

from remote import NAME, Remote, remote
from sessions import PASSES, Project

pytest_plugins = ["stand_ins"]

SWITCHED_OFF = '''
import os, signal

def test_first(host):
    """The machine is there."""
    assert host.check_output("echo here") == "here"

def test_lost(host):
    """The machine is switched off."""
    os.kill(int(os.environ["MACHINE"]), signal.SIGKILL)
    host.check_output("echo here")

def test_after(host):
    """The machine is needed again."""
    host.check_output("echo here")

def test_after_that(host):
    """And once more."""
    host.check_output("echo here")
'''


CHANGES = """
def test_changes(host):
    host._link.run("hostname changed; ipcmk -Q; mkdir /dev/shm/new; mount -t tmpfs new /dev/shm/new")

def test_next(host):
    assert host.check_output("true") == ""
"""


def test_machine_that_is_lost(project: Project, tmp_path: Path, machine: Remote) -> None:
    """A machine that goes away is an error of its own experiments; the others go on."""
    project.experiment(SWITCHED_OFF)
    with remote(tmp_path / "doomed") as doomed:
        both = tmp_path / "both"
        lines = doomed.config.read_text().replace(f"Host {NAME}", "Host doomed") + machine.config.read_text()
        both.write_text(lines)
        environment = project.environment(MACHINE=str(doomed.process.pid))
        ended = project.run(
            f"--hosts=ssh://doomed,ssh://{NAME}", f"--ssh-config={both}", "-rE", environment=environment
        )

    seen = project.outcomes()
    assert {seen[f"test_{name}[ssh://{NAME}]"] for name in ("first", "after", "after_that")} == {"passed"}
    assert [seen[f"test_{name}[ssh://doomed]"] for name in ("first", "lost", "after", "after_that")] == [
        "passed",
        "error",
        "error",
        "error",
    ], ended.output
    assert "ssh://doomed was lost: " in ended.output
    assert "ssh://doomed can't be reached: " in ended.output


def test_machine_without_python(project: Project, tmp_path: Path) -> None:
    """Where there is no Python, what needs one is skipped with the remedy, and all else runs."""
    project.experiment(PASSES)
    with remote(tmp_path / "bare", lacks="python3 python") as bare:
        ended = project.run(*bare.options, "--isolator=python,unshare", "-rs")

    assert ended.status == 0, ended.output
    assert f"ssh://{NAME} has no Python 3.8 or later: install python3 there" in ended.output
    assert project.outcomes() == {
        f"test_passes[ssh://{NAME}-python]": "skipped",
        f"test_passes[ssh://{NAME}-unshare]": "passed",
    }


def test_machine_without_util_linux(project: Project, tmp_path: Path) -> None:
    """Where the lab's own needs are not met, a line names them, and the machine's experiments are errors."""
    project.experiment(PASSES)
    with remote(tmp_path / "bare", lacks="nsenter") as bare:
        ended = project.run(*bare.options)

    assert ended.status == 1
    assert f"nslab: ssh://{NAME} has no nsenter: install util-linux there, or leave it out" in ended.lines
    assert project.outcomes() == {f"test_passes[ssh://{NAME}-python]": "error"}


def test_machine_that_is_changed(project: Project, tmp_path: Path) -> None:
    """An experiment that reaches through its stage to the machine is an error, and the last one there."""
    project.experiment(CHANGES)
    with remote(tmp_path / "harmed") as harmed:
        ended = project.run(*harmed.options)

    assert ended.status == 1
    assert project.outcomes() == {f"test_{name}[ssh://{NAME}]": "error" for name in ("changes", "next")}
    for change in ("the hostname was 'faraway' and is 'changed'", "message queue 0", "mount", "/dev/shm/new"):
        assert change in ended.output
    assert "no more experiments there" in ended.output


def test_machine_that_cannot_be_reached(project: Project, machine: Remote) -> None:
    """Nobody listens: errors with one clear line, beside another machine's results."""
    project.experiment(PASSES)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"ssh://127.0.0.1:{nobody.getsockname()[1]}"
        ended = project.run(f"--hosts={address},ssh://{NAME}", f"--ssh-config={machine.config}")

    assert ended.status == 1
    assert f"nslab: {address} can't be reached: ssh: connect to host 127.0.0.1" in ended.output
    assert project.outcomes() == {
        f"test_passes[{address}-python]": "error",
        f"test_passes[ssh://{NAME}-python]": "passed",
    }


def test_machine_that_takes_the_connection_and_says_nothing(project: Project, machine: Remote) -> None:
    """The wait for a machine's first word is bounded, and the line says that nothing came."""
    project.experiment(PASSES)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"ssh://127.0.0.1:{silent.getsockname()[1]}"
        ended = project.run(f"--hosts={address},ssh://{NAME}", f"--ssh-config={machine.config}", "--wait=3")

    assert ended.status == 1
    assert f"nslab: {address} can't be reached: Connection timed out" in ended.output
    assert project.outcomes() == {
        f"test_passes[{address}-python]": "error",
        f"test_passes[ssh://{NAME}-python]": "passed",
    }


HANGS = """
def test_hangs(host):
    \"\"\"A command there never ends.\"\"\"
    host.run("echo begun; exec tail -f /dev/null")

def test_next(host):
    \"\"\"The machine answers again.\"\"\"
    assert host.check_output("echo answer") == "answer"
"""


def test_command_that_does_not_end(project: Project, machine: Remote) -> None:
    """The wait for a command there is bounded and names it; the next experiment has the machine again."""
    project.experiment(HANGS)
    ended = project.run(*machine.options, "--wait=3")

    assert ended.status == 1
    awaited = f"waited 3 s for the end of 'echo begun; exec tail -f /dev/null' on ssh://{NAME}"
    assert f"WaitExpiredError: {awaited}; last seen: 'begun" in ended.output
    assert project.outcomes() == {
        f"test_hangs[ssh://{NAME}]": "error",
        f"test_next[ssh://{NAME}]": "passed",
    }


def test_host_key_that_is_not_the_known_one(project: Project, machine: Remote, tmp_path: Path) -> None:
    """A machine whose key is another than the known one is not trusted."""
    project.experiment(PASSES)
    other = (machine.folder / "user.pub").read_text()
    (tmp_path / "known").write_text(f"[127.0.0.1]:{machine.port} {other}")
    config = tmp_path / "config"
    config.write_text(machine.config.read_text().replace(f"{machine.folder}/known", f"{tmp_path}/known"))
    ended = project.run(f"--hosts=ssh://{NAME}", f"--ssh-config={config}")

    assert ended.status == 1
    assert "Host key verification failed" in ended.output
    assert project.outcomes() == {f"test_passes[ssh://{NAME}-python]": "error"}
