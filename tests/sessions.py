"""Sessions of the lab in processes of their own, in a small project and under arranged circumstances."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent

PYTHONPATH = os.pathsep.join([str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]).rstrip(
    os.pathsep
)
"""With the harness in front of what was there."""

ORDINARY = 65533
"""A user id that no account has: what works for it leans on no account."""

LIMIT = 60.0
"""Seconds after which any process that a test has started is killed and the test fails."""

_CONFTEST = 'pytest_plugins = ["harness.plugin"]\n'
_INI = """\
[pytest]
addopts = --strict-markers --strict-config
xfail_strict = true
filterwarnings = error
"""

PASSES = '''
def test_passes(host, isolate):
    """A shell answers."""
    assert isolate("uts").check_output("echo answer") == "answer"
'''

SPOILS = '''
def test_spoils(host, isolate):
    """Everything that a machine has is changed."""
    host.check_output("hostname spoiled && domainname spoiled && ipcmk -Q && ipcmk -M 1 && ipcmk -S 1")
    host.check_output("mount --make-private /dev/shm && mkdir %s/m", host.scratch)
    host.check_output("mount -t mqueue q %s/m && touch %s/m/queue", host.scratch, host.scratch)
    host.run("setsid tail -f /dev/null >/dev/null 2>&1 &")
    isolate("mount").check_output("mount -t proc proc /proc")
    assert host.run("ps -ef").rc != 0
'''
"""What only a machine to throw away is for."""


class Ended(NamedTuple):
    """A session that has ended."""

    status: int
    output: str
    """Standard output and standard error."""

    @property
    def lines(self) -> list[str]:
        """The lines that are not empty."""
        return [line for line in self.output.splitlines() if line.strip()]


class Project(NamedTuple):
    """A folder with experiments."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Project:
        """Switch the lab on in an empty folder."""
        (folder / "experiments").mkdir()
        (folder / "conftest.py").write_text(_CONFTEST)
        (folder / "pytest.ini").write_text(_INI)
        return cls(folder)

    @property
    def reports(self) -> Path:
        """Where the sessions write, unless told otherwise."""
        return self.folder / "reports"

    def experiment(self, source: str, name: str = "test_it.py") -> None:
        """Write a file of experiments."""
        (self.folder / "experiments" / name).write_text(source)

    def run(
        self, *options: str, prefix: Sequence[str] = (), environment: dict[str, str] | None = None
    ) -> Ended:
        """Run a session behind a command-line prefix, and wait for its end."""
        ended = subprocess.run(
            [*prefix, *self.command(*options)],
            cwd=self.folder,
            env=environment if environment is not None else self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LIMIT,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout.decode(errors="replace"))

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """Begin a session with a process group of its own; what it shows can be read as it comes."""
        return subprocess.Popen(
            self.command(*options),
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def command(self, *options: str) -> list[str]:
        """A session's command line; the port and unshare need nothing to be built."""
        given = " ".join(options)
        isolators = [] if "--isolator" in given else ["--isolator=python"]
        reports = [] if "--reports" in given else [f"--reports={self.reports}"]
        return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *isolators, *reports, *options]

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a session: this one's, without what the outer session has put there."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        return {**kept, "PYTHONPATH": PYTHONPATH, "PYTHONDONTWRITEBYTECODE": "1", **more}

    def runs(self) -> list[dict[str, Any]]:
        """Every run in the reports, oldest first."""
        return [json.loads(file.read_text()) for file in sorted(self.reports.glob("*/run.json"))]

    def outcomes(self) -> dict[str, str]:
        """The outcome of each experiment of the only run."""
        (run,) = self.runs()
        return {record["test"].partition("::")[2]: record["outcome"] for record in run["records"]}

    def give_away(self) -> None:
        """Let the ordinary user write into the project."""
        for path in [self.folder, *self.folder.rglob("*")]:
            os.chown(path, ORDINARY, ORDINARY)


def ordinary() -> list[str]:
    """The prefix under which a command is an ordinary user's; none where this process is one's already."""
    if os.geteuid() != 0:
        return []
    ids = [f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups"]
    # The interpreter or the project may lie where only root can read; that one right goes along.
    reading = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return ["setpriv", *ids, *reading, "env", "--unset=HOME"]


def python(host_prefix: Sequence[str], code: str, *arguments: str, **more: str) -> str:
    """What a piece of Python prints, run behind a prefix with the harness at hand."""
    ran = subprocess.run(
        [*host_prefix, sys.executable, "-c", code, *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": PYTHONPATH, "LC_ALL": "C.UTF-8", **more},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert ran.returncode == 0, f"exit status {ran.returncode} of:\n{code}\n{ran.stderr}"
    return ran.stdout
