"""Does the lab work, or say in one line why not, in whatever surroundings it is started?"""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest
from arranged import arranged, by_python
from sessions import PASSES, Project, ordinary

pytest_plugins = ["stand_ins"]

WORKS = {
    "SIGCHLD ignored": by_python("signal.signal(signal.SIGCHLD, signal.SIG_IGN)"),
    "signals blocked": by_python("signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))"),
    "SIGINT and SIGHUP ignored": by_python(
        "[signal.signal(s, signal.SIG_IGN) for s in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)]"
    ),
    "a thousand descriptors": by_python(
        "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, [4096, 4096])\n"
        "[os.set_inheritable(os.open('/dev/null', 0), True) for _ in range(1100)]"
    ),
    "no standard input": by_python("os.close(0)"),
    "read-only root": arranged("mount -t tmpfs tmpfs /var/tmp && mount -o remount,ro,bind /"),
    "noexec temporary directory": arranged(
        "mount -t tmpfs -o noexec tmpfs /var/tmp && export TMPDIR=/var/tmp"
    ),
}
"""What is arranged to the prefix that arranges it."""

SETTINGS: dict[str, dict[str, str | None]] = {
    "C locale without UTF-8": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "missing locale": {"LC_ALL": "xx_XX.UTF-8", "LANG": "xx_XX"},
    "empty TERM": {"TERM": ""},
    "no TERM, no locale": {"TERM": None, "LANG": None, "LC_ALL": None, "LC_CTYPE": None},
    "narrow": {"COLUMNS": "1", "LINES": "1"},
}

STATUS = '''

def test_status(host):
    """Exit statuses are told."""
    assert host.run("exit 3").rc == 3
    assert host.run("kill -TERM $$").rc in (-15, 143)
'''


def fitting(project: Project, name: str) -> tuple[list[str], dict[str, str]]:
    """Options and environment for a session whose surroundings may lack a writable project."""
    if name != "read-only root":
        return [], project.environment()
    # pytest itself needs a temporary directory, and the run a folder.
    return ["--reports=/var/tmp/reports"], project.environment(TMPDIR="/var/tmp")


@pytest.mark.parametrize("name", WORKS)
def test_odd_surroundings(project: Project, name: str) -> None:
    """A session in odd surroundings has the same verdicts as in ordinary ones."""
    project.experiment(PASSES + STATUS)
    options, environment = fitting(project, name)
    ended = project.run(*options, prefix=WORKS[name], environment=environment)

    assert ended.status == 0, ended.output
    assert "2 passed" in ended.output


@pytest.mark.parametrize("name", SETTINGS)
def test_odd_settings(project: Project, name: str) -> None:
    """A session with odd settings has the same verdicts as with ordinary ones, and its page is UTF-8."""
    project.experiment(
        PASSES
        + "\n\ndef test_odd(host):\n"
        + "    assert host.check_output(\"printf 'h\\\\303\\\\251'\") == 'h\\u00e9'\n"
    )
    settings = {**project.environment(), **SETTINGS[name]}
    environment = {key: value for key, value in settings.items() if value is not None}
    ended = project.run(environment=environment)

    assert ended.status == 0, ended.output
    assert "hé" in next(project.reports.glob("*/index.html")).read_text(encoding="utf-8")


ENVIRONMENTS = '''
import os
from harness.environment import SESSION

PROMISED = {"LC_ALL": "C", "TERM": "dumb", "HOME": "/", "NSLAB_SESSION": SESSION}

def told(by):
    """The variables, without those that every sh sets itself and those that are the lab's prompt."""
    seen = dict(line.split("=", 1) for line in by.check_output("env").splitlines())
    return {name: seen[name] for name in seen.keys() - {"PWD", "OLDPWD", "SHLVL", "_", "PS1", "PS2"}}

def test_environment(host, isolate):
    """Programs have the promised variables and no others."""
    path = os.environ["PATH"].split(":")
    for seen in told(host), told(isolate("uts")):
        assert seen.pop("PATH").split(":")[: len(path)] == path
        assert seen == PROMISED
'''


def test_nothing_of_a_persons_language_reaches_the_stage(project: Project) -> None:
    """Programs on a stage have the environment that the lab promises, whatever a person's own settings are.

    So no message is in another language, which only one that is installed could show.
    """
    project.experiment(ENVIRONMENTS)
    hostile = dict.fromkeys(
        ["LANG", "LANGUAGE", "LC_MESSAGES", "LC_CTYPE", "PS1", "ENV", "COLUMNS", "POSIXLY_CORRECT"], "de"
    )
    ended = project.run(environment=project.environment(PROCPS_USERLEN="3", **hostile))

    assert ended.status == 0, ended.output


HIDDEN = '''
from pathlib import Path

def test_hidden(host):
    """Control: the processes of others are hidden from the session, its own are not."""
    assert Path("/proc/self").exists()
    assert not Path("/proc/1").exists()
'''


def test_hidden_processes(project: Project, as_root: None) -> None:
    """Where /proc hides the processes of others, an ordinary user's session has the usual verdicts."""
    project.experiment(HIDDEN + PASSES + STATUS)
    project.give_away()
    # PID 1 stays root's, for the session to have somebody who is hidden from it.
    script = 'mount -t proc -o hidepid=2 proc /proc\n"$@"\nexit'
    hidden = arranged(script, new=["--pid", "--fork", "--kill-child"])
    ended = project.run("--isolator=unshare", prefix=[*hidden, *ordinary()])

    assert ended.status == 0, ended.output
    assert "3 passed" in ended.output


def test_tiny_terminal(project: Project) -> None:
    """On a terminal of one row and one column a session ends as on any other."""
    project.experiment(PASSES)
    controller, inner = pty.openpty()
    session = subprocess.Popen(
        ["setsid", "--ctty", "sh", "-c", 'stty rows 1 cols 1; exec "$@"', "sh", *project.command()],
        cwd=project.folder,
        env=project.environment(),
        stdin=inner,
        stdout=inner,
        stderr=inner,
    )
    os.close(inner)
    shown = b""
    while True:
        try:
            shown += os.read(controller, 65536)
        except OSError:
            break
    os.close(controller)

    assert session.wait() == 0, shown.decode()


def test_ordinary_user(project: Project) -> None:
    """A user without an account and without a home runs experiments like any other."""
    project.experiment(PASSES + STATUS)
    if os.geteuid() == 0:
        project.give_away()
    ended = project.run("--isolator=unshare", prefix=ordinary())

    assert ended.status == 0, ended.output
    assert "2 passed" in ended.output
    assert "root in a user namespace" in project.runs()[0]["hosts"]["stage"]["user"]


def test_project_of_somebody_else(project: Project, as_root: None, tmp_path: Path) -> None:
    """In a folder that belongs to somebody else only the reports have to be elsewhere."""
    project.experiment(PASSES)
    (project.folder / "own").mkdir()
    os.chown(project.folder / "own", 65533, 65533)
    refused = project.run("--isolator=unshare", prefix=ordinary())
    ended = project.run("--isolator=unshare", f"--reports={project.folder}/own/r", prefix=ordinary())

    assert refused.status == 4
    assert "cannot write reports to" in refused.output
    assert ended.status == 0, ended.output


def test_programs_of_where_a_person_stands(project: Project) -> None:
    """Relative directories in ``PATH`` are not searched: root runs nothing that lies about."""
    project.experiment(PASSES)
    for program in ("unshare", "nsenter", "setpriv", "sh", "go"):
        (project.folder / program).write_text(f"#!/bin/sh\necho planted >{project.folder}/ran\n")
        (project.folder / program).chmod(0o755)
    environment = project.environment(PATH=f".::{os.environ['PATH']}")
    ended = project.run("--isolator=unshare,go", environment=environment)

    assert ended.status == 0, ended.output
    assert not (project.folder / "ran").exists()
