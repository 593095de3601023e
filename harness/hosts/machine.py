"""This very machine as the host, for a VM that can be thrown away; it is put back, also after a crash."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from harness import guardian
from harness.environment import SESSION, absolute
from harness.errors import LabError, UnmetNeedError
from harness.hosts.base import DEFAULT_WAIT, LabHost, readable, write_programs
from harness.notebook import Notebook
from harness.restore import put_back
from harness.state import Machine


class OnMachine(LabHost):
    """The machine itself; between experiments, and at last by a guardian process, it is put back."""

    kind = "machine"
    notice = (
        "experiments act on this machine itself: hostname, mounts and IPC objects change and are put back"
    )

    def __init__(self, notebook: Notebook, wait: float = DEFAULT_WAIT) -> None:
        """Read the state, make every mount shared as systemd does, and make a folder for scratch files.

        Raises:
            UnmetNeedError: this user may not.
        """
        if os.geteuid() != 0:
            raise UnmetNeedError(
                "--stage=machine acts on the machine itself: run it as root, or leave it out"
            )
        super().__init__(notebook, wait)
        _guardian(wait)
        self._machine = Machine()
        self._before = self._machine.state()
        try:
            self.scratch = guardian.prepare(self._machine, self._before)
        except BaseException:
            self.drop()
            raise

    def carry(self, folder: str, files: Mapping[str, bytes]) -> str:
        """Write the files into the scratch folder."""
        target = Path(self.scratch, folder)
        if not target.exists():
            write_programs(target, files)
        return str(target)

    def drop(self) -> None:
        """Put the machine back.

        Raises:
            LabError: something could not be put back; names it.
        """
        left = put_back(self._machine, self._before)
        self._machine.close()
        if left:
            raise LabError(f"this machine could not be put back: {'; '.join(left)}")


_OTHERS_END = 5.0
"""Seconds that the guardian of a session that has ended is given to put the machine back."""


@functools.cache
def turn() -> int:
    """Have this machine for this process, and for its guardian, until both have ended (flock(2)).

    Returns:
        The descriptor that holds the lock.

    Raises:
        UnmetNeedError: another session acts on the machine itself.
    """
    try:
        folder = os.open(guardian.LOCK, os.O_RDONLY | os.O_DIRECTORY)
        waiting = ["flock", "--exclusive", "--timeout", f"{_OTHERS_END:g}", str(folder)]
        taken = subprocess.run(waiting, pass_fds=[folder], check=False).returncode != 0
    except OSError as error:
        raise UnmetNeedError(
            f"--stage=machine: cannot lock {guardian.LOCK}: {error}; it takes flock, of util-linux"
        ) from error
    if taken:
        os.close(folder)
        raise UnmetNeedError(
            f"--stage=machine: expected to be alone, and {guardian.TAKEN}: "
            "run this when that has ended, or leave --stage=machine out"
        )
    return folder


_HOME = Path(__file__).parents[2]
"""Where the harness lies, also in a checkout that nobody has installed."""


@functools.cache
def _guardian(wait: float) -> subprocess.Popen[bytes]:
    """The process that puts the machine back when this one has ended, in whatever way."""
    started = subprocess.Popen(
        [sys.executable, "-m", "harness.guardian", SESSION],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        pass_fds=[turn()],
        # With -m, Python imports from where it is started first: not from where root happens to stand.
        cwd="/",
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_HOME), *absolute("PYTHONPATH")])},
    )
    try:
        await_guarded(started, "this machine", wait)
    except BaseException:
        started.kill()
        started.wait()
        raise
    return started


def await_guarded(guarding: subprocess.Popen[bytes], where: str, wait: float) -> str:
    """Wait until a guardian guards; the path of the folder that it made for scratch files, if it was asked.

    Raises:
        LabError: it did not start, or another session acts on the machine itself.
    """
    assert guarding.stdout is not None
    said = ""
    while readable(guarding.stdout.fileno(), wait):
        said = guarding.stdout.readline().decode("utf-8", "surrogateescape").rstrip("\n")
        word, _, folder = said.partition(" ")
        if word == guardian.READY:
            return folder
        if said != guardian.TAKEN:
            break
    raise LabError(
        f"the guardian that puts {where} back did not say that it is ready within {wait:g} s; "
        f"it said: {said or 'nothing'}"
    )
