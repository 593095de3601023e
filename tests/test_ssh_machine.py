"""``--stage=machine`` over ssh: experiments act on the other machine itself, which is put back."""

from __future__ import annotations

import ast
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from remote import NAME, ORDINARY, Remote, await_same, left_there, remote
from sessions import LIMIT, PASSES, SPOILS, Ended, Project

from harness import guardian
from harness.hosts.ssh_machine import PARTS

pytest_plugins = ["stand_ins"]

IS_THE_MACHINE = """
    assert host.check_output("cat /proc/1/comm") == "sshd", "not a stage's PID 1"
    assert host.check_output("echo $NSLAB_SESSION") == host.session
"""
WAITS = SPOILS + "    print('spoiled', flush=True)\n    host.run('tail -f /dev/null')\n"
LOSES = (
    SPOILS
    + '''    host._link.connection.kill()
    host.check_output("true")

def test_after(host):
    """The machine was put back when the connection had died, and can be reached again."""
    assert host.check_output("hostname") == "faraway"
    assert host.run("ps -ef").rc == 0
'''
)
GUARDIAN_KILLED = '''
def test_kills(host):
    """What would put the machine back is gone."""
    host.check_output("hostname spoiled")
    host.run("kill -9 $(pgrep -f [g]uardian.pyz)")

def test_next(host):
    """Nothing more is done there."""
'''


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    """A machine that is put back each time."""
    with remote(tmp_path_factory.mktemp("machine") / "it") as booted:
        booted.run("mount --make-private /dev/shm && domainname before && ipcmk -Q")
        yield booted


def looks(machine: Remote) -> str:
    """What a machine is, to the propagation of each mount; peer groups have other numbers afterwards."""
    named = machine.run("domainname; ipcs; ps -ef | grep -c '[t]ail'; :")
    mounts = machine.run("sed -E 's/(shared|master):[0-9]+/\\1/' /proc/self/mountinfo")
    return left_there(machine) + named + mounts


def run(project: Project, machine: Remote, *options: str) -> Ended:
    """A session that acts on the machine itself."""
    return project.run(*machine.options, "--stage=machine", *options)


def outcomes(project: Project) -> list[str]:
    """The outcomes of the newest run, in the order of its experiments."""
    return [record["outcome"] for record in project.runs()[-1]["records"]]


def test_machine_itself_is_the_host(project: Project, machine: Remote) -> None:
    """A session says in one line what it will do, acts on the machine itself, and leaves it as it was.

    Of several workers, one alone acts on it.
    """
    before = looks(machine)
    project.experiment(SPOILS.replace("    host.check_output", IS_THE_MACHINE + "    host.check_output", 1))
    ended = run(project, machine, "--isolator=python,unshare", "-n2")

    assert ended.status == 0, ended.output
    assert f"nslab: ssh://{NAME}: experiments act on this machine itself" in ended.output
    assert outcomes(project) == ["passed", "passed"]
    assert project.runs()[-1]["hosts"][f"ssh://{NAME}"]["kind"] == "machine"
    assert looks(machine) == before


def test_connection_that_dies(project: Project, machine: Remote) -> None:
    """When the connection dies the machine is put back there, without anybody's help from here."""
    before = looks(machine)
    project.experiment(LOSES)
    ended = run(project, machine)

    assert outcomes(project) == ["error", "passed"], ended.output
    assert f"ssh://{NAME} was lost" in ended.output
    assert looks(machine) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_session(project: Project, machine: Remote, number: signal.Signals) -> None:
    """After Ctrl-C or kill -9 of the session the machine is as before; while it acts, others wait in vain."""
    before, there = looks(machine), left_there(machine)
    project.experiment(WAITS)
    with project.start(*machine.options, "--stage=machine", "-s") as session:
        assert session.stdout is not None
        assert any(b"spoiled" in line for line in session.stdout)
        assert machine.run("hostname") == "spoiled\n", "control"
        if number == signal.SIGINT:
            project.experiment(PASSES)
            other = run(project, machine, "--wait=5", f"--reports={project.folder}/others")
            assert "another session acts on the machine itself" in other.output
        session.send_signal(number)
        session.stdout.read()
        session.wait(timeout=LIMIT)

    await_same(machine, there)
    assert looks(machine) == before


def test_guardian_that_is_killed(project: Project, tmp_path: Path) -> None:
    """An experiment that ends the guardian is an error, and the last one there."""
    project.experiment(GUARDIAN_KILLED)
    with remote(tmp_path / "harmed") as harmed:
        ended = run(project, harmed)

    assert ended.status == 1
    assert outcomes(project) == ["error", "error"], ended.output
    assert f"ssh://{NAME} was changed by an experiment: its guardian ended with status" in ended.output
    assert "no more experiments there" in ended.output


def test_ordinary_user(project: Project, machine: Remote) -> None:
    """Who may not act on the machine is told so in one line, and nothing is done there."""
    project.experiment(PASSES)
    ended = project.run(f"--hosts=ssh://{ORDINARY}", f"--ssh-config={machine.config}", "--stage=machine")

    assert ended.status == 1
    assert outcomes(project) == ["error"]
    assert f"ssh://{ORDINARY} itself: log in there as root, or add --sudo" in ended.output


@pytest.mark.parametrize("part", PARTS)
def test_guardian_has_the_grammar_of_python_3_8(part: str) -> None:
    """What is carried to a machine is written in the grammar of Python 3.8."""
    ast.parse(Path(guardian.__file__).with_name(f"{part}.py").read_text(), feature_version=(3, 8))


def test_machine_without_python(project: Project, tmp_path: Path) -> None:
    """Where nothing could put the machine back, nothing is done."""
    project.experiment(PASSES)
    with remote(tmp_path / "bare", lacks="python3 python") as bare:
        ended = run(project, bare, "--isolator=unshare")

    assert ended.status == 1
    assert outcomes(project) == ["error"]
    assert f"ssh://{NAME} is put back by Python 3.8 or later: install python3 there" in ended.output
