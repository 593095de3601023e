"""Would the kill tests see what a killed session leaves? Each thing is planted and has to be named."""

from __future__ import annotations

import json
import os
import random
import re
import signal
from pathlib import Path

import pytest
from kills import kill_one, refuted
from sessions import PASSES, PYTHONPATH, Project, python

from harness.hosts.stage import Stage

pytest_plugins = ["stand_ins"]

LEAVES = """
import json, os, socket, subprocess, sys
from pathlib import Path
import kills
from harness.state import Machine
kills.WITHIN = 0
token = "/nslab-token"
def sh(line, **more):
    return subprocess.Popen(["sh", "-ec", line], stdout=subprocess.PIPE, env={**os.environ, **more})
sh("mount -t tmpfs cgroup /sys/fs/cgroup && mkdir /dev/shm/scratch /sys/fs/cgroup/a").wait()
mark = f"{os.environ['PATH']}:{token}"
os.chdir("/dev/shm")
machine = Machine(token)
before = kills.look(machine)
"""
LOOKS = """
print(json.dumps(kills.left_over(machine, before, token, Path("/dev/shm/scratch"))))
"""
PLANTS = {
    "nothing": ("", None),
    "process": (
        "sh('echo >line; exec tail -f line', PATH=mark).stdout.readline()",
        r"process \d+ \(tail\)",
    ),
    "file": ("Path('/dev/shm/scratch/nslab-x').touch()", "/dev/shm/scratch/nslab-x"),
    "IPC object": ("sh('ipcmk --queue').wait()", r"message queue \d+ \(key 0x[0-9a-f]{8}\) appeared"),
    "control group": (
        "Path('/sys/fs/cgroup/a/nslab-1-2-group').mkdir()",
        "/sys/fs/cgroup/a/nslab-1-2-group appeared",
    ),
    "hostname": ("socket.sethostname('left')", "the hostname was '.*' and is 'left'"),
    "mount": ("sh('mount -t tmpfs left /mnt').wait()", r"mount tmpfs left on /mnt \(.*\) appeared"),
}


@pytest.mark.parametrize("name", PLANTS)
def test_what_is_left_is_named(stage: Stage, name: str) -> None:
    """What is planted on a machine's stand-in is told by name, and nothing else is."""
    plant, sentence = PLANTS[name]
    path = os.pathsep.join([PYTHONPATH, str(Path(__file__).parent)])
    left = json.loads(python(stage.enter([]), f"{LEAVES}{plant}\n{LOOKS}", PYTHONPATH=path))

    assert len(left) == (sentence is not None), left
    assert sentence is None or re.fullmatch(sentence, left[0])


LEAKS = '''
import pathlib, subprocess, tempfile

# Before any test begins: the kill comes after the first one's line.
pathlib.Path(tempfile.gettempdir(), "nslab-leak").touch()
left = subprocess.Popen(["sleep", "1000"], stdin=-3, stdout=-3, stderr=-3, start_new_session=True)

def test_leaks(host):
    """It goes on until it is killed; its file has left a process and a file on the machine."""
    host.run("tail -f /dev/null")
'''


def test_a_session_that_leaves_something_is_found(project: Project) -> None:
    """A killed session from which a process and a file escaped is told with both."""
    project.experiment(PASSES + LEAKS)
    kill = kill_one(project, [], "pytest", random.Random(0))  # noqa: S311 - to be repeated, not to be secret
    process, file = kill.left
    pid = re.fullmatch(r"process (\d+) \(sleep\)", process)
    assert pid is not None
    os.kill(int(pid[1]), signal.SIGKILL)

    assert kill.victim == "pytest"
    assert file.endswith("/nslab-leak")


def test_a_refuted_claim_is_found(project: Project) -> None:
    """An experiment that a session tells to have failed is told; one that broke is not."""
    project.experiment(
        "from harness.errors import LabError\n\n"
        'def test_refuted(host):\n    """It fails."""\n    assert host.run("true").rc == 1\n\n'
        'def test_breaks(host):\n    """It breaks."""\n    raise LabError("cut")\n'
    )
    project.run()

    (found,) = refuted(project)
    assert "test_refuted[stage]" in found
