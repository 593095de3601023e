"""What does a mount namespace isolate, and what leaks through it?

Rule (mount_namespaces(7)): a new mount namespace is a copy of the caller's, and each mount in it is a peer of
the one that it was copied from where that one is shared: mounts below it then travel both ways. Only private
mounts stay apart.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import NamedTuple

import pytest

from harness import mountinfo
from harness.evidence import Value
from harness.hosts.base import LabHost
from harness.isolate import Isolate
from harness.namespaces import Identity
from harness.shell import Shell


def processes(side: LabHost | Shell) -> set[str]:
    """The PIDs that a listing of ``/proc`` shows, among them that of the ``ls`` itself."""
    return {name for name in side.check_output("ls /proc").split() if name.isdigit()}


def commands(listing: str) -> list[tuple[str, str]]:
    """PID and command of each row of ``ps -ef``."""
    rows = [line.split(None, 7) for line in listing.splitlines()[1:]]
    return [(row[1], row[7].strip()) for row in rows]


def mount_namespace(side: LabHost | Shell) -> Identity:
    """The mount namespace of a side's processes."""
    return Identity.parse(side.check_output("readlink /proc/self/ns/mnt"))


@pytest.mark.claim(id="mnt-1")
def test_new_proc_shows_only_the_inside(isolate: Isolate) -> None:
    """After mounting proc inside, only the shell and the command itself are seen; before, the host's are."""
    inside = isolate("mount")
    assert len(processes(inside)) > 2, "control: before the mount, the host's processes are listed"

    inside.check_output("mount -t proc proc /proc")

    assert [command for _, command in commands(inside.check_output("ps -ef"))] == ["sh", "ps -ef"]
    assert inside.check_output("ps -p 1 -o tty=") != "?", "the shell has the terminal that was handed through"
    assert "1" in processes(inside)
    assert len(processes(inside)) == 2


@pytest.mark.claim(id="mnt-2")
def test_shared_root_lets_the_mount_out(
    host: LabHost, isolate: Isolate, fact: Callable[[str, Value], None]
) -> None:
    """Where `/` is shared, proc mounted inside covers the host's `/proc` and breaks it there."""
    inside = isolate("mount")
    assert host.run("ps -ef").rc == 0, "control: before the mount, the host's ps works"
    assert host.run("ls -l /proc/self /proc/thread-self").rc == 0

    inside.check_output("mount -t proc proc /proc")

    broken = host.run("ps -ef")
    fact("procps.broken_proc.status", broken.rc)
    fact("procps.broken_proc.message", (broken.stdout + broken.stderr).strip().partition("\n")[0])
    assert broken.rc != 0
    # Without -l, ls does not notice that a link dangles.
    assert host.run("ls -l /proc/self").rc != 0
    assert host.run("ls -l /proc/thread-self").rc != 0
    assert processes(host) == {"1"}


@pytest.mark.claim(id="mnt-3")
def test_without_a_mount_namespace_the_hosts_is_shared(host: LabHost, isolate: Isolate) -> None:
    """The shell of `uts` is in the host's mount namespace."""
    assert mount_namespace(isolate("uts")) == mount_namespace(host)


@pytest.mark.claim(id="mnt-4")
def test_the_namespace_is_there_although_mounts_leak(host: LabHost, isolate: Isolate) -> None:
    """The shell of `mount` has a mount namespace of its own, and its mounts reach the host all the same."""
    inside = isolate("mount")
    point = f"{host.scratch}/leak"

    assert mount_namespace(inside) != mount_namespace(host)

    inside.check_output("mkdir %s && mount -t tmpfs leak %s", point, point)
    assert sees(host, point), "the shared subtree is the cause: it lets the mount out"


@pytest.mark.claim(id="mnt-5")
def test_private_root_keeps_the_mount_in(
    host: LabHost, isolate: Isolate, fact: Callable[[str, Value], None]
) -> None:
    """After `mount --make-rprivate /`, proc mounted inside shows the inside, and the host is whole."""
    before = commands(host.check_output("ps -ef"))
    inside = isolate("mount")
    inside.check_output("mount --make-rprivate /")
    inside.check_output("mount -t proc proc /proc")

    assert [command for _, command in commands(inside.check_output("ps -ef"))] == ["sh", "ps -ef"]
    assert len(processes(inside)) == 2

    after = commands(host.check_output("ps -ef"))
    assert after[0] == before[0]
    assert after[0][0] == "1"
    shells = [command for _, command in after].count("sh") - [command for _, command in before].count("sh")
    assert shells == 1, "the isolated shell is listed on the host, which kernel threads come to and go from"
    fact("host.kernel_threads_seen", ("2", "[kthreadd]") in before)
    assert (("2", "[kthreadd]") in after) == (("2", "[kthreadd]") in before)
    assert host.run("ls -l /proc/self").rc == 0


class Crossed(NamedTuple):
    """Which way a mount crossed the boundary."""

    outward: bool  # made inside, seen outside
    inward: bool  # made outside, seen inside


CROSSED = {
    "shared": Crossed(outward=True, inward=True),
    "slave": Crossed(outward=False, inward=True),
    "private": Crossed(outward=False, inward=False),
    "unbindable": Crossed(outward=False, inward=False),
}


def sees(side: LabHost | Shell, point: str) -> bool:
    """Whether something is mounted at a place, as a side's own mount table has it."""
    return mountinfo.at(mountinfo.parse(side.check_output("cat /proc/self/mountinfo")), point) is not None


@pytest.mark.claim(id="mnt-6")
@pytest.mark.parametrize("propagation", CROSSED)
def test_only_private_mounts_keep_both_sides_apart(host: LabHost, isolate: Isolate, propagation: str) -> None:
    """Mounts cross both ways while `/` is shared, only inward where it is a slave, never where private."""
    inside = isolate("mount")
    outer, inner = f"{host.scratch}/outer", f"{host.scratch}/inner"
    inside.check_output("mount --make-r%s /", propagation)
    host.check_output("mkdir %s %s", outer, inner)
    host.check_output("mount -t tmpfs outer %s", outer)
    inside.check_output("mount -t tmpfs inner %s", inner)
    assert sees(host, outer), "control: each side sees its own"
    assert sees(inside, inner), "control: each side sees its own"

    assert Crossed(outward=sees(host, inner), inward=sees(inside, outer)) == CROSSED[propagation]


@pytest.mark.claim(id="mnt-6")
def test_unbindable_mount_cannot_be_bound(host: LabHost, isolate: Isolate) -> None:
    """An unbindable mount is private and cannot be the source of a bind mount; a private one can."""
    inside = isolate("mount")
    source, target = f"{host.scratch}/source", f"{host.scratch}/target"
    inside.check_output("mkdir %s %s && mount -t tmpfs source %s", source, target, source)

    inside.check_output("mount --make-unbindable %s", source)

    assert inside.run("mount --bind %s %s", source, target).rc != 0
    inside.check_output("mount --make-private %s", source)
    assert inside.run("mount --bind %s %s", source, target).rc == 0, "control: a private mount can be bound"


@pytest.mark.claim(id="mnt-6")
@pytest.mark.parametrize("propagation", ["shared", "private"])
def test_mount_made_shared_again_lets_mounts_out(host: LabHost, isolate: Isolate, propagation: str) -> None:
    """What a shell within the shell mounts comes out where the mount above was made shared, else not."""
    inside = isolate("mount")
    parent, below = f"{host.scratch}/parent", f"{host.scratch}/parent/below"
    inside.check_output("mount --make-rprivate / && mkdir %s && mount -t tmpfs parent %s", parent, parent)
    inside.check_output("mount --make-%s %s && mkdir %s", propagation, parent, below)

    inside.check_output(shlex.join(isolate.command("mount", "mount", "-t", "tmpfs", "below", below)))

    assert sees(inside, below) == (propagation == "shared")
    assert not sees(host, below)
