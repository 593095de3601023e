"""Machines over ssh as hosts: a session against a stand-in, and against ones that break."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
from itertools import pairwise
from pathlib import Path

import pytest
from remote import NAME, ORDINARY, Remote, await_same, left_there
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

INVENTORY = """\
[near]
one ansible_host=127.0.0.1 ansible_port={port} ansible_user=root
two ansible_host=127.0.0.1 ansible_port={port} ansible_user={ordinary}

[near:vars]
ansible_ssh_private_key_file={folder}/user
ansible_ssh_common_args='-o UserKnownHostsFile={folder}/known'
"""


@pytest.mark.parametrize("user", [NAME, ORDINARY])
def test_stage_on_a_machine(project: Project, machine: Remote, user: str) -> None:
    """A user of a machine, root or not, has a stage there; nothing is left of it, or of what was carried."""
    before = left_there(machine)
    project.experiment(SEES)
    ended = project.run(
        f"--hosts=ssh://{user}", f"--ssh-config={machine.config}", "--isolator=python,unshare"
    )

    assert ended.status == 0, ended.output
    assert project.outcomes() == {
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
    assert sorted(project.outcomes()) == [
        f"test_passes[{host}-python]" for host in (f"ssh://{NAME}", f"ssh://{ORDINARY}", "stage")
    ]


def test_configuration_that_can_be_read_once(project: Project, machine: Remote) -> None:
    """With --ssh-config=<(…) the configuration is a pipe, which each process of the session needs."""
    project.experiment(PASSES)
    session = shlex.join(project.command(f"--hosts=ssh://{NAME},ssh://{ORDINARY}", "-n2"))
    script = f'{session} --ssh-config=<(cat "$0")'
    ended = project.run(prefix=["bash", "-c", script, str(machine.config)])

    assert ended.status == 0, ended.output
    assert set(project.outcomes().values()) == {"passed"}
    assert len(project.outcomes()) == 2


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
    assert sorted(project.outcomes()) == sorted([*pairs, *(f"test_passes[{host}-python]" for host in names)])
    (run,) = project.runs()
    assert {record["host"] for record in run["records"] if "pair" in record["test"]} == {*names[1:]}
    assert left_there(machine) == before


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
