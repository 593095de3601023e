"""Whether a process is stopped: to who is not its parent, only /proc tells it (proc_pid_status(5))."""

from __future__ import annotations

import time

_PAUSE = 0.001
"""Seconds between two looks: nothing tells of the moment in which a signal has come."""


def is_stopped(pid: int, seconds: float) -> bool:
    """Whether a process is stopped, once the signals that were sent to it have come; the dead are not.

    Raises:
        TimeoutError: it was not stopped, and signals had not come to it, for so many seconds.
    """
    deadline = time.monotonic() + seconds
    while True:
        status = _status(pid)
        # Its state is told before what waits for it: it may have stopped in between.
        if not int(status["ShdPnd"], 16):
            status = _status(pid)
        if status["State"] in "TXZ":
            return status["State"] == "T"
        if not int(status["ShdPnd"], 16):
            return False
        if time.monotonic() > deadline:
            raise TimeoutError(f"signals {status['ShdPnd']} had not come to process {pid} in {seconds:g} s")
        time.sleep(_PAUSE)


def _status(pid: int) -> dict[str, str]:
    """The first word of each line; of who is no more, what the dead have."""
    try:
        with open(f"/proc/{pid}/status") as status:
            lines = (line.partition(":") for line in status)
            return {name: (rest.split() or [""])[0] for name, _, rest in lines}
    except (FileNotFoundError, ProcessLookupError):
        return {"State": "X", "ShdPnd": "0"}
