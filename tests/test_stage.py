"""What is the stage?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sessions import LIMIT, ordinary, python

from harness.hosts.stage import Stage
from harness.namespaces import Identity
from harness.state import Machine, differences

pytest_plugins = ["stand_ins"]

NEW = {"mnt", "pid", "uts", "ipc", "net"}


def namespaces(host_prefix: list[str]) -> dict[str, int]:
    """The namespaces behind a prefix; the children's are those of what is started."""
    command = [*host_prefix, "sh", "-c", "readlink /proc/self/ns/*"]
    links = subprocess.check_output(command, text=True, timeout=LIMIT)
    return dict(Identity.parse(line) for line in links.split())


def test_namespaces(stage: Stage) -> None:
    """Mount, PID, UTS, IPC and network namespace are new, for an ordinary user the user namespace too."""
    here, there = namespaces([]), namespaces(stage.enter([]))

    assert {kind for kind in here if here[kind] != there[kind]} == NEW | (
        set() if os.geteuid() == 0 else {"user"}
    )


def test_processes_are_its_own(stage: Stage) -> None:
    """Its /proc shows its own processes only, the first of which is the one that holds it."""
    pids = stage.check_output("ls /proc").split()

    assert stage.check_output("cat /proc/1/comm") == "cat"
    assert str(stage.pid) not in pids or stage.pid < 100
    assert len([pid for pid in pids if pid.isdigit()]) == 3, "cat, sh and ls"


def test_mounts_inside_are_shared_and_private_towards_the_machine(stage: Stage) -> None:
    """`/` is shared on the stage, and has no peer and no master on the machine."""
    root = [line for line in stage.check_output("cat /proc/self/mountinfo").splitlines() if " / / " in line]

    assert root
    for line in root:
        assert "shared:" in line
        assert "master:" not in line


def test_nothing_gets_out(stage: Stage) -> None:
    """What is done on the stage changes nothing on the machine."""
    machine = Machine()
    before = machine.state()
    stage.check_output("hostname spoiled && domainname spoiled && ipcmk -Q && mount -t tmpfs x /mnt")
    stage.check_output("mount --make-rprivate / && mount --make-rshared /")

    assert not [line for line in differences(before, machine.state()) if "process" not in line]
    machine.close()


def test_nothing_gets_in(stage: Stage) -> None:
    """A mount that the machine makes later is not seen on the stage."""
    code = """
import os, subprocess, sys
from harness.hosts.stage import Stage
from harness.notebook import Notebook
subprocess.run(["mount", "--make-rshared", "/"], check=True)
with Stage(Notebook()) as stage:
    subprocess.run(["mount", "-t", "tmpfs", "late", "/mnt"], check=True)
    print(stage.run("grep late /proc/self/mountinfo").rc)
"""
    assert python(stage.enter([]), code) == "1\n"


def test_orphans_are_reaped(stage: Stage) -> None:
    """A process whose parent has gone leaves no zombie behind: PID 1 ignores SIGCHLD (wait(2), NOTES)."""
    ignored = int(stage.check_output("grep SigIgn /proc/1/status").split()[1], 16)
    assert ignored >> (signal.SIGCHLD - 1) & 1

    stage.check_output("sh -c 'true & exec true'; sh -c '(sleep 0 &) ; true'")
    waited = stage.run("while pgrep sleep >/dev/null; do :; done; ps -eo stat= | grep Z")

    assert waited.stdout == ""


LISTENS = """
import os, socket
listener = socket.create_server(("0.0.0.0", 7))
listener.set_inheritable(True)
child = os.fork() or os.execvp("tail", ["tail", "-f", "/dev/null"])
while open(f"/proc/{child}/comm").read() != "tail\\n":
    pass
"""


def test_what_testinfra_asks_it_sees_on_the_stage(stage: Stage) -> None:
    """Testinfra's process, file, socket, mount_point and run all look at the stage."""
    stage.check_output("mount -t tmpfs it /mnt && echo text >/mnt/file")
    subprocess.run(stage.enter([sys.executable, "-c", LISTENS]), timeout=LIMIT, check=True)

    assert [process.pid for process in stage.process.filter(comm="cat")] == [1]
    assert len(stage.process.filter(comm="tail")) == 1
    assert stage.file("/mnt/file").content_string == "text\n"
    assert stage.mount_point("/mnt").filesystem == "tmpfs"
    assert stage.run("exit 3").rc == 3
    if not stage.exists("ss"):
        pytest.skip("no ss here: install the package iproute2")
    assert stage.socket("tcp://0.0.0.0:7").is_listening
    assert not stage.socket("tcp://0.0.0.0:8").is_listening


def test_scratch_files_die_with_the_stage(stage: Stage) -> None:
    """Programs are carried into the stage's own memory, under a folder that the machine does not see."""
    place = stage.carry("tools", {"tool": b"#!/bin/sh\necho run\n", "same": b"#!/bin/sh\necho run\n"})

    assert stage.check_output(f"{place}/tool") == "run"
    assert not Path(place).exists()


USES = """
from harness.hosts.stage import Stage
from harness.isolate import Isolate
from harness.isolators import ISOLATORS
from harness.notebook import Notebook
with Stage(Notebook()) as stage:
    shell = Isolate(stage, ISOLATORS["unshare"]())("mount")
    print(stage.check_output("id -u"), shell.check_output("hostname inside && hostname"), stage.user)
"""


def test_ordinary_user_without_an_account() -> None:
    """A user that has no account and no home gets a stage too, and is root on it."""
    uid, name, user = python(ordinary(), USES).split(maxsplit=2)

    assert (uid, name) == ("0", "inside")
    assert user.endswith("root in a user namespace of its own\n")
