"""A plain shell script that types the commands of a run again, and asserts nothing."""

from __future__ import annotations

import shlex

from harness.evidence import Record, Run

_STAGE = "unshare --mount --pid --uts --ipc --net --fork --kill-child --propagation private"
_SET_UP = """\
mount -t proc proc /proc
mount -t tmpfs tmpfs /dev/shm
cp -r {carried}/. /dev/shm
mount --make-rshared /"""


def script(run: Run, carried: str) -> str:
    """For each experiment a stage, in it the outside's commands, then the inside's in the isolators' shells.

    ``carried`` is a folder that holds the isolators' programs as the lab carries them to a stage.
    """
    return "\n".join(_experiment(record, carried) for record in run.records if record.observations) + "\n"


def _experiment(record: Record, carried: str) -> str:
    outside = [f"( {seen.command}\n)" for seen in record.observations if seen.side == "outside"]
    lines = [_SET_UP.format(carried=shlex.quote(carried)), *outside, *_shells(record)]
    return f"{_STAGE} sh -c {shlex.quote(chr(10).join(lines))} >/dev/null 2>&1"


def _shells(record: Record) -> list[str]:
    """One isolator and what is typed into its shell; its command line is the first observation of each."""
    shells: list[list[str]] = []
    for seen in record.observations:
        if seen.side == "inside":
            starts = seen.command.startswith(("/dev/shm/", "unshare "))  # noqa: S108 - the stage's own
            if starts:
                shells.append([seen.command])
            else:
                shells[-1].append(seen.command)
    return ["\n".join([f"{started} <<'NSLAB'", *typed, "NSLAB"]) for started, *typed in shells]
