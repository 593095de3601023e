"""Is every change of a machine named, and undone?

Each violation is planted on a stage, which stands in for the machine.
"""

from __future__ import annotations

import json
import re
import signal

import pytest
from sessions import python

from harness.hosts.stage import Stage

pytest_plugins = ["stand_ins"]

MEMORY = "/dev/shm"
PREAMBLE = """
import ctypes, json, os, socket, subprocess, sys
from harness.environment import TAG
from harness.restore import put_back, set_domainname, set_propagation
from harness.state import Machine, differences
def sh(line, **more):
    subprocess.run(["sh", "-ec", line], check=True, stdout=subprocess.DEVNULL, env={**os.environ, **more})
libc = ctypes.CDLL(None)
"""
SPOIL = """
machine = Machine("spoiler")
before = machine.state()
{plant}
print(json.dumps(differences(before, machine.state())))
print(json.dumps(put_back(machine, before)))
"""

# ruff: noqa: ISC004 - the plants are programs of several lines
MAKES_SEGMENT = (
    "make = 'import ctypes; ctypes.CDLL(None).shmget(0, 1, 0o1600); print(flush=True); input()'\n"
    "child = subprocess.Popen([sys.executable, '-c', make], stdin=subprocess.PIPE,\n"
    "    stdout=subprocess.PIPE, env={**os.environ, TAG: 'spoiler'})\n"
    "child.stdout.readline()\n"
)
SEGMENT = r"shared memory segment \d+ \(key 0x00000000\) appeared"

CANARIES = {
    "hostname": ("socket.sethostname('spoiled')", "the hostname was '.*' and is 'spoiled'"),
    "domain name": ("set_domainname('spoiled')", "the domain name was '.*' and is 'spoiled'"),
    "a hostname that is no text": (
        "socket.sethostname(b'sp\\xff')",
        r"the hostname was '.*' and is 'sp\\udcff'",
    ),
    "mount": (
        "sh('mount -t tmpfs leak /mnt')",
        r"mount tmpfs leak on /mnt \(shared, id \d+ on \d+\) appeared",
    ),
    "message queue": ("sh('ipcmk --queue')", r"message queue \d+ \(key 0x[0-9a-f]{8}\) appeared"),
    "semaphores": ("sh('ipcmk --semaphore 1')", r"semaphore array \d+ \(key 0x[0-9a-f]{8}\) appeared"),
    "shared memory": ("sh('ipcmk --shmem 1')", r"shared memory segment \d+ \(key 0x[0-9a-f]{8}\) appeared"),
    "private shared memory of a living process of the session": (
        MAKES_SEGMENT,
        SEGMENT,
    ),
    "POSIX queue": (
        "sh('mkdir /dev/shm/q && mount -t mqueue mqueue /dev/shm/q && touch /dev/shm/q/leak')",
        "POSIX message queue /leak appeared",
    ),
    "POSIX queue that no mount shows": (
        "sh('unshare --mount sh -ec \"mount -t mqueue mqueue /mnt; touch /mnt/leak\"')",
        "POSIX message queue /leak appeared",
    ),
    "process": (
        "child = subprocess.Popen(['sh', '-c', 'echo; exec tail -f /dev/null'],\n"
        "    stdout=subprocess.PIPE, env={**os.environ, TAG: 'spoiler'}); child.stdout.readline()",
        r"process \d+ \((tail|sh)\) is left",
    ),
    "file": ("sh('mkdir -p /dev/shm/nslab-spoiler/deep')", f"{MEMORY}/nslab-spoiler appeared"),
    "control group": (
        "sh('mkdir -p /sys/fs/cgroup/a/nslab-spoiler-1/b')",
        "/sys/fs/cgroup/a/nslab-spoiler-1 appeared",
    ),
    "namespace, held by a mount": (
        "sh('mount -t tmpfs n /mnt && mount --make-private /mnt')\n"
        "sh('touch /mnt/u && unshare --uts=/mnt/u true')",
        r"mount nsfs nsfs on /mnt/u \(private, id \d+ on \d+\) appeared",
    ),
    "namespace, held by a process": (
        "child = subprocess.Popen(['unshare', '--uts', 'sh', '-c', 'echo; exec tail -f /dev/null'],\n"
        "    stdout=subprocess.PIPE, env={**os.environ, TAG: 'spoiler'}); child.stdout.readline()",
        r"process \d+ \((tail|sh)\) is left",
    ),
    "proc over /proc": ("sh('mount -t proc proc /proc')", "mount proc proc on /proc .* appeared"),
    "a stack of mounts": (
        "sh('mount -t tmpfs one /mnt && mount -t tmpfs two /mnt')\n"
        "sh('mkdir /mnt/x && mount -t tmpfs three /mnt/x')",
        "mount tmpfs three on /mnt/x .* appeared",
    ),
    "a mount that hides another": (
        "sh('mkdir /dev/shm/x && mount -t tmpfs one /dev/shm/x && mount -t tmpfs two /dev/shm')",
        "mount tmpfs two on /dev/shm .* appeared",
    ),
    "a mount point that is no text": (
        "os.mkdir(b'/dev/shm/\\xff\\r'); sh('mount -t tmpfs odd /dev/shm/*')",
        r"mount tmpfs odd on /dev/shm/\\udcff\r .* appeared",
    ),
}


ANOTHERS_SEGMENT = MAKES_SEGMENT.replace("TAG: 'spoiler'", "TAG: 'another'")


def spoil(stage: Stage, plant: str, prepare: str = "") -> tuple[list[str], list[str]]:
    """What is told of a planted change, and what is still told after it was put back."""
    # A hierarchy of directories stands in for the control groups, which are the real machine's.
    prepare = "sh('mount -t tmpfs cgroup /sys/fs/cgroup')\n" + prepare
    code = PREAMBLE + prepare + SPOIL.format(plant=plant)
    told, left = python(stage.enter([]), code, TMPDIR=MEMORY).splitlines()
    return json.loads(told), json.loads(left)


@pytest.mark.parametrize("name", CANARIES)
def test_change_is_named_and_put_back(stage: Stage, name: str) -> None:
    """Each planted change is told by its name, and undone."""
    plant, sentence = CANARIES[name]
    told, left = spoil(stage, plant)

    assert [line for line in told if re.search(sentence, line)], told
    assert not left


LISTED = """
import harness.restore
machine = Machine("spoiler")
before = machine.state()
child = subprocess.Popen(["sh", "-c", "echo; exec tail -f /dev/null"], stdout=subprocess.PIPE,
    env={{**os.environ, TAG: "{owner}"}})
child.stdout.readline()
lists = [[(child.pid, "tail")]]
machine.processes = lambda: lists.pop() if lists else []
harness.restore._kill(machine, before)
child.terminate()
print(child.wait(), lists)
"""


@pytest.mark.parametrize(("owner", "ended_by"), [("spoiler", "SIGKILL"), ("another", "SIGTERM")])
def test_only_the_sessions_own_processes_are_killed(stage: Stage, owner: str, ended_by: str) -> None:
    """A PID that was the session's in the list, but by now is another's process, gets no signal."""
    told = python(stage.enter([]), PREAMBLE + LISTED.format(owner=owner))

    assert told == f"{-signal.Signals[ended_by]} []\n"


HELD = {
    "terminal": ("os.openpty()", r"terminal /dev/pts/\d+ \(descriptor \d+\) is still held by this process"),
    "namespace": (
        "reading, writing = os.pipe()\n"
        "child = subprocess.Popen(['unshare', '--uts', 'sh', '-c', 'echo up; exec cat'], stdin=reading,\n"
        "    stdout=subprocess.PIPE); child.stdout.readline()\n"
        "kept = os.open(f'/proc/{child.pid}/ns/uts', os.O_RDONLY); os.close(writing); child.wait()",
        r"namespace uts:\[\d+\] \(descriptor \d+\) is still held by this process",
    ),
}


@pytest.mark.parametrize("name", HELD)
def test_what_only_a_descriptor_holds_is_named(stage: Stage, name: str) -> None:
    """A terminal or a namespace that this process still holds is told, and not taken away from it."""
    plant, sentence = HELD[name]
    told, left = spoil(stage, plant)

    assert len(told) == 1
    assert re.fullmatch(sentence, told[0])
    assert not left


def test_queues_are_seen_where_none_can_be_mounted(stage: Stage) -> None:
    """On kernels before 5.2, and for who may not mount, queues are seen where they are mounted already."""
    prepare = "from harness import queues\nqueues._detached = lambda: None\n"
    told, left = spoil(stage, CANARIES["POSIX queue"][0], prepare)

    assert "POSIX message queue /leak appeared" in told
    assert not left


AS_ON_6_1 = """
read_environment = Machine._environment
def empty_of_zombies(self, pid):
    try:
        return read_environment(self, pid)
    except ProcessLookupError:
        return b""
Machine._environment = empty_of_zombies
"""


@pytest.mark.parametrize("kernel", ["", AS_ON_6_1], ids=["this one", "as 6.1"])
def test_shared_memory_of_a_killed_process_that_is_not_yet_reaped(stage: Stage, kernel: str) -> None:
    """It is told and removed; 6.12 refuses to show the environment of the dead, 6.1 shows an empty one."""
    plant = MAKES_SEGMENT + "child.kill(); os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)"
    told, left = spoil(stage, plant, kernel)

    assert [line for line in told if re.search(SEGMENT, line)], told
    assert not left


def test_foreign_shared_memory_is_nobodys_business(stage: Stage) -> None:
    """A segment whose living creator is none of the session's is neither told nor removed."""
    told, left = spoil(stage, ANOTHERS_SEGMENT)

    assert (told, left) == ([], [])
    assert "0x00000000" in stage.check_output("ipcs --shmems")


def test_foreign_shared_memory_stays_when_its_creator_ends(stage: Stage) -> None:
    """A segment that was there before is not new, and not removed, because its living creator has ended."""
    told, left = spoil(stage, "child.kill(); child.wait()", prepare=ANOTHERS_SEGMENT)

    assert (told, left) == ([], [])
    assert "0x00000000" in stage.check_output("ipcs --shmems")


HAS = {
    "private": "mount --make-private /mnt",
    "unbindable": "mount --make-unbindable /mnt",
    "shared": "mount --make-shared /mnt",
    "shared with a peer": "mount --make-shared /mnt && mount --bind /mnt /dev/shm/m",
    "slave": "mount --make-shared /mnt && mount --bind /mnt /dev/shm/m && mount --make-slave /mnt",
    "shared+slave": "mount --make-shared /mnt && mount --bind /mnt /dev/shm/m && mount --make-slave /mnt "
    "&& mount --make-shared /mnt",
}
"""Propagation types to the commands that make them."""

KEPT = [
    *((was, "shared") for was in HAS if was != "shared" and "+" not in was and "peer" not in was),
    *((was, "private") for was in ("unbindable", "shared")),
    *((was, "unbindable") for was in ("private", "shared")),
    ("shared", "slave"),
    ("shared+slave", "slave"),
]
"""Types, and changes that can be undone."""

LOST = [
    *(
        (was, by)
        for was in ("slave", "shared+slave", "shared with a peer")
        for by in ("private", "unbindable")
    ),
    ("shared with a peer", "slave"),
]
"""Types, and changes that lose a master or a peer, to which mount(2) knows no way back."""


def change_propagation(stage: Stage, was: str, by: str) -> tuple[list[str], list[str]]:
    """Spoil the propagation type of a mount."""
    prepare = f"sh('mount -t tmpfs it /mnt && mount --make-private /mnt && mkdir /dev/shm/m && {HAS[was]}')\n"
    return spoil(stage, f"sh('mount --make-{by} /mnt')", prepare)


@pytest.mark.parametrize(("was", "by"), KEPT)
def test_propagation_is_put_back(stage: Stage, was: str, by: str) -> None:
    """A mount gets back the propagation type that it had."""
    told, left = change_propagation(stage, was, by)

    assert [line for line in told if re.search(rf"on /mnt \({re.escape(was)}, .* is gone", line)], told
    assert not left


@pytest.mark.parametrize(("was", "by"), LOST)
def test_lost_peers_are_told(stage: Stage, was: str, by: str) -> None:
    """Where a mount can't come back to its peers or its master, that is told."""
    told, left = change_propagation(stage, was, by)

    assert [line for line in told if "on /mnt" in line]
    assert left


def test_what_is_mounted_in_a_left_folder_is_not_removed(stage: Stage) -> None:
    """A folder is left alone, and told, as long as something is mounted in it: its files are another's."""
    plant = (
        "sh('mkdir -p /dev/shm/nslab-spoiler/x && mount -t tmpfs y /mnt && touch /mnt/precious "
        "&& mount --bind /mnt /dev/shm/nslab-spoiler/x')\n"
        "import harness.restore\n"
        "harness.restore._unmount_new = lambda *_: None"
    )
    told, left = spoil(stage, plant)

    assert f"{MEMORY}/nslab-spoiler appeared" in told
    assert f"{MEMORY}/nslab-spoiler appeared" in left
    assert stage.check_output("ls /mnt") == "precious"
