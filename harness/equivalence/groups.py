"""The control group that descriptions may name: the starter's own, or one that is made for its user.

A user may start a process in another control group where it may write that group's ``cgroup.procs`` and the
one of the next group above both (cgroups(7), "Delegation"): so the starter itself is then in a group beside
it. On a stage the groups are the machine's and none is made; a guest has its own.
"""

from __future__ import annotations

import os

_PROCESSES = "cgroup.procs"


class Delegated:
    """A control group that belongs to a user, with one below it to be in and one to go to."""

    def __init__(self, parent: str, user: int) -> None:
        """Make them below another one.

        Raises:
            OSError: it can't be.
        """
        self._top = f"{parent}/equivalence-{os.getpid()}"
        self._home, self.other = f"{self._top}/home", f"{self._top}/other"
        for group in (self._top, self._home, self.other):
            os.mkdir(group)
            for place in (group, f"{group}/{_PROCESSES}"):
                os.chown(place, user, user)

    def enter(self) -> None:
        """Be in one of them, as what this process starts will be."""
        with open(f"{self._home}/{_PROCESSES}", "w", encoding="ascii") as processes:
            processes.write(str(os.getpid()))

    def remove(self) -> None:
        """Remove them, once no process is in them.

        Raises:
            OSError: one is.
        """
        for group in (self.other, self._home, self._top):
            os.rmdir(group)


def own() -> str | None:
    """The folder of this process's cgroup v2; None where there is none."""
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        paths = [line.rstrip("\n")[3:] for line in file if line.startswith("0::")]
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = [line.split() for line in file]
    found = [f"{mount[4]}{paths[0]}" for mount in mounts if " - cgroup2 " in " ".join(mount) and paths]
    return next(filter(os.path.isdir, found), None)
