"""The guardian of a machine that experiments act on itself: it puts the machine back, whatever happens.

Run as ``python -m harness.guardian SESSION`` it reads the state, answers ``ready`` and puts everything back
when its input ends, which happens however the session ends. Carried to another machine as an archive it also
prepares that for an experiment, when nobody else acts on it; its input then ends with the connection too.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import sys
import tempfile
from pathlib import Path

from harness.errors import LabError
from harness.restore import put_back, set_propagation
from harness.state import Machine, State, mark

READY = "ready"
"""The answer when the machine is guarded, before the folder for scratch files where one was asked for."""

TAKEN = "another session acts on the machine itself"
"""The answer where that has to be waited for."""

PREPARE = "prepare"
"""The argument that asks for what :func:`prepare` does."""

LOCK = "/run"
"""The folder whose lock (flock(2)) has who acts on the machine: nothing is left there."""


def prepare(machine: Machine, before: State) -> str:
    """Make every mount shared as systemd does, and a folder for scratch files, whose path is returned.

    Raises:
        LabError: the system refused; names what.
    """
    folder = Path(tempfile.gettempdir(), mark(machine.session))
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise LabError(f"cannot make the scratch folder {folder}: {error.strerror}") from error
    for mount in before.mounts:
        if "shared" not in mount.propagation:
            set_propagation(machine, mount, "shared")
    return str(folder)


def guard(session: str, *, preparing: bool) -> int:
    """Wait for the end of the session, then put the machine back.

    Returns:
        The exit status: 1 if something could not be put back; standard error says what, a line each.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    if preparing:
        _wait_for_turn()
    machine = Machine(session)
    before = machine.state()
    with contextlib.suppress(BrokenPipeError):
        _serve(machine, before, preparing=preparing)
    left = put_back(machine, before)
    for difference in left:
        print(f"nslab: could not be put back: {difference}", file=sys.stderr)
    return int(bool(left))


def _serve(machine: Machine, before: State, *, preparing: bool) -> None:
    """Say that the machine is guarded, and wait for the end of the input."""
    if select.select([sys.stdin], [], [], 0)[0]:
        # Who asked has not waited.
        return
    try:
        print(READY, prepare(machine, before) if preparing else "", flush=True)
    except LabError as error:
        print(error, flush=True)
    sys.stdin.buffer.read()


def _wait_for_turn() -> None:
    folder = os.open(LOCK, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(TAKEN, flush=True)
        fcntl.flock(folder, fcntl.LOCK_EX)


def main() -> None:
    """Guard the session that the first argument names."""
    sys.exit(guard(sys.argv[1], preparing=PREPARE in sys.argv[2:]))


if __name__ == "__main__":
    main()
