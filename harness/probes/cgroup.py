"""Control group namespaces: the root that paths are told from."""

from __future__ import annotations

import os

from harness.probes.children import clone3, held, read
from harness.probes.mounts import table, workspace
from harness.probes.registry import Unmeasured, fact
from harness.probes.syscalls import NEWCGROUP, mount, outcome, unshare

INTO_CGROUP = 1 << 33


def _paths(process: object = "self") -> list[str]:
    return sorted({line.split(":", 2)[2] for line in read(f"/proc/{process}/cgroup").splitlines()})


@fact("cgroup.paths_in_new")
def paths_in_new() -> list[str]:
    """The paths in /proc/self/cgroup of a process in a new namespace. Source: cgroup_namespaces(7)."""
    unshare(NEWCGROUP)
    return _paths()


@fact("cgroup.paths_of_parent_namespace_seen_inside")
def paths_of_parent_namespace_seen_inside() -> list[str]:
    """The paths of a process in the same group but the parent namespace, as seen from the new one.

    Source: cgroup_namespaces(7).
    """
    with held() as pid:
        unshare(NEWCGROUP)
        return _paths(pid)


def _hierarchy() -> None:
    """Mount the cgroup2 hierarchy of this namespace in the workspace.

    Raises:
        Unmeasured: it can't be had.
    """
    workspace()
    os.mkdir("cgroup")
    failure = outcome(mount, "none", "cgroup", "cgroup2")
    if failure != "ok":
        raise Unmeasured(f"cgroup2 can't be mounted: {failure}")


@fact("cgroup.root_in_mountinfo")
def root_in_mountinfo() -> str:
    """The root field of mountinfo for cgroup2 mounted in a new namespace. Source: cgroup_namespaces(7)."""
    _hierarchy()
    return next(found.root for found in table() if found.point.endswith("/cgroup"))


@fact("cgroup.root_in_mountinfo_of_later_namespace")
def root_in_mountinfo_of_later_namespace() -> str:
    """The same field, seen from a namespace made after the mount. Source: cgroup_namespaces(7)."""
    _hierarchy()
    unshare(NEWCGROUP)
    return next(found.root for found in table() if found.point.endswith("/cgroup"))


@fact("cgroup.make_group_without_delegation")
def make_group_without_delegation() -> str:
    """What mkdir(2) says to root of a namespace whose group is the host's. Source: cgroup_namespaces(7)."""
    _hierarchy()
    # Two sessions that ask at once must not meet, and one that is killed here is known by its mark.
    group = f"cgroup/nslab-{os.environ.get('NSLAB_SESSION', 'probe')}-group"
    said = outcome(os.mkdir, group)
    if said == "ok":
        # The user's control group is delegated, as by systemd: this is a group of the machine's.
        os.rmdir(group)
    return said


@fact("cgroup.clone_into_hosts_group")
def clone_into_hosts_group() -> str:
    """What clone3 with CLONE_INTO_CGROUP says where the group is the host's.

    Source: clone(2), CLONE_INTO_CGROUP.
    """
    _hierarchy()
    return _clone_into("cgroup")


@fact("cgroup.clone_into_no_group")
def clone_into_no_group() -> str:
    """What clone3 with CLONE_INTO_CGROUP says to a directory that is no group.

    Source: clone(2), CLONE_INTO_CGROUP.
    """
    workspace()
    return _clone_into(".")


def _clone_into(folder: str) -> str:
    group = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    def clone() -> None:
        if clone3(88, flags=INTO_CGROUP, cgroup=group) == 0:
            os._exit(0)

    return outcome(clone)


@fact("cgroup.versions", place="host")
def versions() -> list[str]:
    """The types of control group file systems that the kernel has.

    Source: cgroups(7); proc_filesystems(5).
    """
    return sorted(line.split()[-1] for line in read("/proc/filesystems").splitlines() if "cgroup" in line)
