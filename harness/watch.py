"""What the lab, and nobody else, has changed on this machine.

Other programs mount and unmount at any time. A mount that got out of a stage is known by one of two
things: it lies where the lab itself mounts, or it has a peer group in common with the stage, for mounts
travel in no other way (mount_namespaces(7)).
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path

from harness.mountinfo import Mount
from harness.state import Machine, State, differences

PLACES = ("/proc", "/sys/fs/cgroup")
SCRATCH = "/dev/shm"  # noqa: S108 - named, not used
"""Where the lab mounts on a stage: on these places, and anywhere below its scratch folder."""


class Watch:
    """Compares the machine with what it was when the watch began."""

    def __init__(self) -> None:
        """Begin."""
        self._machine = Machine()
        self._before = self._machine.state()

    def close(self) -> None:
        """End the watch."""
        self._machine.close()

    def reached(self, groups: frozenset[str]) -> frozenset[int]:
        """The ids of the machine's mounts that are in peer groups of a stage.

        To be asked while the stage is up: the numbers of groups are given anew when it is gone.
        """
        return frozenset(mount.id for mount in self._machine.mounts() if peer_groups([mount]) & groups)

    def changes(self, reached: Container[int] = ()) -> list[str]:
        """Each change by name; of new mounts only those ``reached`` and those where the lab mounts."""
        return differences(self._before, without_foreign(self._before, self._machine.state(), reached))


def peer_groups(mounts: Iterable[Mount]) -> frozenset[str]:
    """The numbers of the peer groups that mounts belong to or receive from."""
    return frozenset(tag.partition(":")[2] for mount in mounts for tag in mount.tags if ":" in tag)


def without_foreign(before: State, after: State, reached: Container[int]) -> State:
    """The later state as it were if nobody else had mounted or unmounted anything meanwhile."""
    old = {mount.id for mount in before.mounts}
    new = {mount.id for mount in after.mounts}
    kept = [mount for mount in after.mounts if mount.id in old or mount.id in reached or _is_ours(mount)]
    dropped = [mount for mount in before.mounts if mount.id not in new and not _is_ours(mount)]
    return after._replace(mounts=(*kept, *dropped))


def _is_ours(mount: Mount) -> bool:
    return mount.point in PLACES or Path(mount.point).is_relative_to(SCRATCH)
