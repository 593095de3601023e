"""Whether this machine lets a session start as many processes as an experiment needs at once."""

from __future__ import annotations

import os
import subprocess

from harness.errors import UnmetNeedError

NEEDED = 32
"""More than any experiment has at once on this machine's side and on its stage together."""


def must_have_room() -> None:
    """Start so many processes, and end them.

    A shell that cannot fork prints nothing, which reads like a refuted claim: it has to be known apart.

    Raises:
        UnmetNeedError: the machine refuses one (``EAGAIN``, fork(2)); names the limits that it may be.
    """
    held, holding = os.pipe()
    started: list[subprocess.Popen[bytes]] = []
    try:
        while len(started) < NEEDED:
            started.append(subprocess.Popen(["cat"], stdin=held, stdout=subprocess.DEVNULL))
    except OSError as error:
        raise UnmetNeedError(
            f"an experiment needs room for {NEEDED} processes, number {len(started) + 1} cannot be started: "
            f"{error.strerror}; raise the limit (ulimit -u, pids.max of the control group, kernel.pid_max)"
        ) from error
    finally:
        os.close(holding)
        os.close(held)
        for process in started:
            process.wait()
