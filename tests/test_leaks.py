"""Does a session stop, and name it, where a host lets anything through to the machine?

A stage plays the machine; the host that leaks is a stage on it.
"""

from __future__ import annotations

import re

import pytest
from sessions import Project

from harness.hosts.stage import Stage

pytest_plugins = ["stand_ins"]

LEAKY = '''
import os, socket, subprocess, tempfile
from harness import hosts
from harness.environment import SESSION, environment
from harness.hosts.stage import Stage
from harness.state import mark

kept = []

def run(*argv):
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)

class Leaky(Stage):
    """Does something to the machine, once an experiment has begun."""

    def drop(self):
        super().drop()
        if kept:
            {leak}

hosts.HOSTS["disposable"] = Leaky

def test_leaks(host):
    """It leaks."""
    kept.append("begun")

def test_never_runs(host):
    """It is not reached."""
'''

LEAKS = {
    "file": (
        "open(f'{tempfile.gettempdir()}/{mark(SESSION)}-leak', 'w').close()",
        r"/dev/shm/nslab-\S+-leak appeared",
    ),
    "hostname": ("socket.sethostname('leaked')", "the hostname was '.*' and is 'leaked'"),
    "IPC object": ("run('ipcmk', '--queue')", r"message queue \d+ \(key 0x[0-9a-f]{8}\) appeared"),
    "mount": (
        "os.mkdir('/dev/shm/m'), run('mount', '-t', 'tmpfs', 'leak', '/dev/shm/m')",
        r"mount tmpfs leak on /dev/shm/m \(.*\) appeared",
    ),
    "process": (
        "kept.append(subprocess.Popen(['tail', '-f', '/dev/null'], stdout=-3, stderr=-3, env=environment()))",
        r"process \d+ \(tail\) is left",
    ),
    "held terminal": (
        "kept.extend(os.openpty())",
        r"terminal /dev/pts/\d+ \(descriptor \d+\) is still held by this process",
    ),
    "held namespace": (
        "kept.append(os.open('/proc/self/ns/uts', os.O_RDONLY))",
        r"namespace uts:\[\d+\] \(descriptor \d+\) is still held by this process",
    ),
}
"""What a host does to the machine to the program that does it and the words that tell of it."""


@pytest.mark.parametrize("name", LEAKS)
def test_machine_that_was_changed_stops_the_session(stage: Stage, project: Project, name: str) -> None:
    """A host that lets something through is an error that names it and nothing else; the session stops."""
    leak, sentence = LEAKS[name]
    project.experiment(LEAKY.replace("{leak}", leak))
    there = stage.enter(["sh", "-c", 'cd "$0" && exec "$@"', str(project.folder)])
    ended = project.run(prefix=there, environment=project.environment(TMPDIR=stage.scratch))

    assert ended.status == 2, ended.output
    assert "1 passed, 1 error" in ended.output
    (run,) = project.runs()
    (record,) = run["records"]
    assert (record["outcome"], run["finished"]) == ("error", None)
    told = r"\S+MachineChangedError: test_leaks\[stage\] left this machine changed: "
    assert re.fullmatch(told + sentence, record["message"]), record["message"]


def test_machine_that_was_changed_before_the_first_experiment(stage: Stage, project: Project) -> None:
    """A host that lets something through when it is only asked what it is runs no experiment."""
    leak, sentence = LEAKS["hostname"]
    project.experiment(LEAKY.replace("if kept", "if True").replace("{leak}", leak))
    there = stage.enter(["sh", "-c", 'cd "$0" && exec "$@"', str(project.folder)])
    ended = project.run(prefix=there, environment=project.environment(TMPDIR=stage.scratch))

    assert ended.status == 4, ended.output
    assert re.search(f"ERROR: asking the stage left this machine changed: {sentence}", ended.output)
    assert not project.runs()


def test_machine_that_was_not_changed_lets_the_session_go_on(stage: Stage, project: Project) -> None:
    """Control: without a leak the same session on the same machine comes to its end."""
    project.experiment(LEAKY.replace("{leak}", "run('true')"))
    there = stage.enter(["sh", "-c", 'cd "$0" && exec "$@"', str(project.folder)])
    ended = project.run(prefix=there, environment=project.environment(TMPDIR=stage.scratch))

    assert ended.status == 0, ended.output
    assert "2 passed" in ended.output
