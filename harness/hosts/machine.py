"""This very machine as the host, for a VM that can be thrown away; it is put back, also after a crash."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from harness.environment import SESSION
from harness.errors import LabError, UnmetNeedError
from harness.hosts.base import DEFAULT_WAIT, LabHost, readable, write_programs
from harness.notebook import Notebook
from harness.restore import put_back, set_propagation
from harness.state import Machine, mark


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
        _guardian()
        self._machine = Machine()
        self._before = self._machine.state()
        try:
            self._prepare()
        except BaseException:
            self.drop()
            raise

    def _prepare(self) -> None:
        folder = Path(tempfile.gettempdir(), mark(SESSION))
        try:
            folder.mkdir(mode=0o700)
        except OSError as error:
            raise LabError(f"cannot make the scratch folder {folder}: {error.strerror}") from error
        self.scratch = str(folder)
        for mount in self._before.mounts:
            if "shared" not in mount.propagation:
                set_propagation(self._machine, mount, "shared")

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


_HOME = Path(__file__).parents[2]
"""Where the harness lies, also in a checkout that nobody has installed."""


def _given_paths() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path.startswith("/")]


@functools.cache
def _guardian() -> subprocess.Popen[bytes]:
    """The process that puts the machine back when this one has ended, in whatever way."""
    guardian = subprocess.Popen(
        [sys.executable, "-m", "harness.restore", SESSION],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        # With -m, Python imports from where it is started first: not from where root happens to stand.
        cwd="/",
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_HOME), *_given_paths()])},
    )
    assert guardian.stdout is not None
    if not readable(guardian.stdout.fileno(), DEFAULT_WAIT) or guardian.stdout.readline() != b"ready\n":
        guardian.kill()
        status = guardian.wait()
        raise LabError(
            "the guardian that puts the machine back did not say that it is ready "
            f"within {DEFAULT_WAIT:g} s (exit status {status})"
        )
    return guardian
