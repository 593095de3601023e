"""Machines over ssh as hosts: a session against a stand-in, and against ones that break."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from remote import NAME, ORDINARY, Remote, await_same, left_there, remote
from sessions import LIMIT, PASSES, Ended, Project

pytest_plugins = ["stand_ins"]

SEES = '''
from harness.namespaces import Kind

def test_sees(host, isolate, fact):
    """The host has the machine's name, and a mount namespace, PID 1 and a scratch folder of its own."""
    assert host.check_output("hostname") == "faraway"
    assert host.check_output("cat /proc/1/comm") == "cat"
    inside = isolate("pid")
    assert inside.check_output("echo $$") == "1"
    inside.check_output("hostname -b inside")
    assert host.check_output("hostname") == "faraway"
    isolate().check_output("hostname -b changed")
    assert host.check_output("hostname") == "changed", "control"
    host.check_output("ipcmk -Q && touch %s && mount -t tmpfs none /mnt", host.scratch + "/left")
'''

HOLDS = '''
import sys

def test_holds(host, isolate):
    """Goes on until the session is ended."""
    shell = isolate("pid")
    assert host.check_output("true") == ""
    print("holding", file=sys.__stdout__, flush=True)
    shell.run("cat")
'''

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

INVENTORY = """\
[near]
one ansible_host=127.0.0.1 ansible_port={port} ansible_user=root
two ansible_host=127.0.0.1 ansible_port={port} ansible_user={ordinary}

[near:vars]
ansible_ssh_private_key_file={folder}/user
ansible_ssh_common_args='-o UserKnownHostsFile={folder}/known'
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    """A machine that nobody breaks."""
    with remote(tmp_path_factory.mktemp("machine") / "it") as booted:
        yield booted


def outcomes(project: Project) -> dict[str, str]:
    """The outcome of each experiment of the only run."""
    (run,) = project.runs()
    return {record["test"].partition("::")[2]: record["outcome"] for record in run["records"]}


@pytest.mark.parametrize("user", [NAME, ORDINARY])
def test_stage_on_a_machine(project: Project, machine: Remote, user: str) -> None:
    """A user of a machine, root or not, has a stage there; nothing is left of it, or of what was carried."""
    before = left_there(machine)
    project.experiment(SEES)
    ended = project.run(
        f"--hosts=ssh://{user}", f"--ssh-config={machine.config}", "--isolator=python,unshare"
    )

    assert ended.status == 0, ended.output
    assert outcomes(project) == {
        f"test_sees[ssh://{user}-{isolator}]": "passed" for isolator in ("python", "unshare")
    }
    (run,) = project.runs()
    assert run["hosts"][f"ssh://{user}"]["kernel"] == os.uname().release
    assert left_there(machine) == before


def test_user_who_becomes_root(project: Project, machine: Remote) -> None:
    """With --sudo an ordinary user's stage is root's, and nothing is left of it either."""
    if not shutil.which("sudo"):
        pytest.skip("no sudo: install it")
    before = left_there(machine)
    project.experiment(SEES)
    ended = project.run(f"--hosts=ssh://{ORDINARY}", "--sudo", f"--ssh-config={machine.config}")

    assert ended.status == 0, ended.output
    (run,) = project.runs()
    assert run["hosts"][f"ssh://{ORDINARY}"]["user"] == "root"
    assert left_there(machine) == before


def test_beside_the_stage_and_spread(project: Project, machine: Remote) -> None:
    """Machines and the stage here are hosts of one run, also where workers share them out."""
    project.experiment(PASSES)
    ended = project.run(
        f"--hosts=ssh://{NAME},ssh://{ORDINARY},local", f"--ssh-config={machine.config}", "-n2"
    )

    assert ended.status == 0, ended.output
    assert sorted(outcomes(project)) == [
        f"test_passes[{host}-python]" for host in (f"ssh://{NAME}", f"ssh://{ORDINARY}", "stage")
    ]


def test_configuration_that_can_be_read_once(project: Project, machine: Remote) -> None:
    """With --ssh-config=<(…) the configuration is a pipe, which each process of the session needs."""
    project.experiment(PASSES)
    session = shlex.join(project.command(f"--hosts=ssh://{NAME},ssh://{ORDINARY}", "-n2"))
    script = f'{session} --ssh-config=<(cat "$0")'
    ended = project.run(prefix=["bash", "-c", script, str(machine.config)])

    assert ended.status == 0, ended.output
    assert set(outcomes(project).values()) == {"passed"}
    assert len(outcomes(project)) == 2


PAIR = """
def test_pair(pair):
    \"\"\"Each of two hosts is there while the other one is.\"\"\"
    one, other = pair
    assert [host.check_output("echo $((40 + 2))") for host in (one, other, one)] == ["42"] * 3
"""


def test_neighbours_at_once(project: Project, machine: Remote) -> None:
    """With --differential each host is held against the next one, both of them there at once."""
    project.experiment(PAIR)
    project.experiment(PASSES, "test_later.py")
    before = left_there(machine)
    ended = project.run(
        f"--hosts=ssh://{NAME},ssh://{ORDINARY},local", f"--ssh-config={machine.config}", "--differential"
    )

    assert ended.status == 0, ended.output
    names = [f"ssh://{NAME}", f"ssh://{ORDINARY}", "stage"]
    pairs = [f"test_pair[{one}-{other}]" for one, other in pairwise(names)]
    assert sorted(outcomes(project)) == sorted([*pairs, *(f"test_passes[{host}-python]" for host in names)])
    (run,) = project.runs()
    assert {record["host"] for record in run["records"] if "pair" in record["test"]} == {*names[1:]}
    assert left_there(machine) == before


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

    seen = outcomes(project)
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
    assert outcomes(project) == {
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
    assert outcomes(project) == {f"test_passes[ssh://{NAME}-python]": "error"}


def test_machine_that_is_changed(project: Project, tmp_path: Path) -> None:
    """An experiment that reaches through its stage to the machine is an error, and the last one there."""
    project.experiment(CHANGES)
    with remote(tmp_path / "harmed") as harmed:
        ended = project.run(*harmed.options)

    assert ended.status == 1
    assert outcomes(project) == {f"test_{name}[ssh://{NAME}]": "error" for name in ("changes", "next")}
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
    assert outcomes(project) == {
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
    assert outcomes(project) == {
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
    assert outcomes(project) == {
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
    assert outcomes(project) == {f"test_passes[ssh://{NAME}-python]": "error"}


def test_group_of_an_inventory(project: Project, machine: Remote, tmp_path: Path) -> None:
    """The machines of an Ansible inventory's group are hosts, reached as their variables say."""
    pytest.importorskip("ansible", reason="no Ansible: pip install ansible-core")
    project.experiment(PASSES)
    inventory = tmp_path / "hosts.ini"
    inventory.write_text(INVENTORY.format(port=machine.port, ordinary=ORDINARY, folder=machine.folder))
    ended = project.run("--hosts=ansible://near", f"--ansible-inventory={inventory}")
    unknown = project.run("--hosts=ansible://far", f"--ansible-inventory={inventory}")

    assert ended.status == 0, ended.output
    (run,) = project.runs()
    users = {name: host["user"] for name, host in run["hosts"].items()}
    assert users == {
        "ansible://one": "root",
        "ansible://two": "uid 65532, root in a user namespace of its own",
    }
    assert_refused(unknown, "--hosts: ansible://far: the inventory has no such group or host; its groups are")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_session(project: Project, machine: Remote, number: signal.Signals) -> None:
    """After Ctrl-C or kill -9 of the session, nothing of it is left on the machine."""
    before = left_there(machine)
    project.experiment(HOLDS)
    with project.start(*machine.options, "-s") as session:
        assert session.stdout is not None
        for line in session.stdout:
            if b"holding" in line:
                break
        assert "NSLAB" not in before
        assert f"{session.pid}-" in left_there(machine), "control: while it holds, something is there"
        session.send_signal(number)
        session.stdout.read()
        session.wait(timeout=LIMIT)

    await_same(machine, before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--hosts=docker://x"],
            "docker://x names no machine: expected ssh://[USER@]HOST[:PORT], ansible://",
        ),
        (["--hosts=ssh://"], "ssh:// names no machine"),
        (["--hosts=,"], "--hosts: expected ssh://"),
        (["--hosts=ssh://me:secret@x"], "a password in --hosts would be seen by every user"),
        (["--hosts=ssh://x", "--ssh-config=/none"], "--ssh-config=/none does not exist"),
        (["--hosts=ssh://x", "--ssh-identity-file=/none"], "--ssh-identity-file=/none does not exist"),
        (["--hosts=ssh://x", "--ssh-config=BAD"], "ssh refuses its options: "),
        (["--hosts=ansible://x", "--ansible-inventory=/none"], "--ansible-inventory=/none does not exist"),
        (["--hosts=ssh://x,local", "--stage=machine"], "--stage=machine with local among other hosts"),
    ],
)
def test_wrong_input(project: Project, options: list[str], message: str) -> None:
    """What names no machine, or a file that is none, is refused in one line before the session."""
    project.experiment(PASSES)
    (project.folder / "bad").write_text("Nonsense yes\n")
    ended = project.run(*(word.replace("BAD", str(project.folder / "bad")) for word in options))

    assert_refused(ended, message)
    assert "secret" not in ended.output.replace("--hosts=ssh://me:secret@x", "")


def assert_refused(ended: Ended, message: str) -> None:
    """Exit status 4, and one line that holds the message."""
    assert ended.status == 4, ended.output
    assert sum(message in line for line in ended.lines) == 1, ended.output
    assert "Traceback" not in ended.output
