"""Whose mounts are they?"""

from __future__ import annotations

import pytest

from harness.mountinfo import Mount
from harness.state import State, differences
from harness.watch import Watch, peer_groups, without_foreign


def mount(id_: int, point: str, *tags: str) -> Mount:
    """A tmpfs somewhere."""
    return Mount(id_, 1, "0:1", "/", point, "rw", tags, "tmpfs", "tmpfs")


def state(*mounts: Mount) -> State:
    """A machine with these mounts and nothing else."""
    nothing: frozenset[str] = frozenset()
    return State("h", "d", mounts, frozenset(), nothing, frozenset(), nothing, nothing)


ROOT = mount(1, "/", "shared:1")


@pytest.mark.parametrize("point", ["/proc", "/dev/shm", "/dev/shm/outer", "/sys/fs/cgroup"])
def test_mount_where_the_lab_mounts_is_ours(point: str) -> None:
    """A mount that appears where the lab mounts is reported."""
    after = without_foreign(state(ROOT), state(ROOT, mount(9, point)), ())

    assert len(differences(state(ROOT), after)) == 1


def test_mount_that_a_stage_has_reached_is_ours() -> None:
    """A mount that appears anywhere is reported where it is in a peer group of the stage."""
    after = without_foreign(state(ROOT), state(ROOT, mount(9, "/home", "shared:77")), {9})

    assert len(differences(state(ROOT), after)) == 1


def test_other_mounts_are_foreign() -> None:
    """A mount that another program makes or drops elsewhere is not reported."""
    stick, image = mount(8, "/media/stick", "shared:8"), mount(9, "/proc/sys/fs/binfmt_misc", "shared:9")
    after = without_foreign(state(ROOT, stick), state(ROOT, image), ())

    assert not differences(state(ROOT, stick), after)


def test_changed_propagation_is_ours() -> None:
    """A mount that was there and changes its propagation type is reported."""
    before, after = state(mount(1, "/")), state(ROOT)

    assert differences(before, without_foreign(before, after, ()))


@pytest.mark.parametrize("tag", ["shared:77", "master:77", "propagate_from:77"])
def test_peer_groups_are_those_received_from_too(tag: str) -> None:
    """Whatever ties a mount to a group counts: membership, its master, and the group behind that."""
    assert peer_groups([mount(5, "/x", tag), mount(6, "/y", "unbindable")]) == {"77"}


def test_watch_sees_what_a_stage_could_reach() -> None:
    """Mounts of this machine that are in one of the groups are reached, by their ids."""
    watch = Watch()
    shared = {group for one in watch._machine.mounts() for group in peer_groups([one])}

    assert not watch.reached(frozenset())
    assert bool(watch.reached(frozenset(shared))) == bool(shared)
    watch.close()
