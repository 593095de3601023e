"""What the files of /proc show of namespaces."""

from __future__ import annotations

import os

from harness.probes.children import held, identity, in_child, in_new_user_namespace, read
from harness.probes.credentials import become_ordinary
from harness.probes.mounts import workspace
from harness.probes.registry import fact, facts
from harness.probes.syscalls import NEWNS, NEWPID, NEWUSER, mount, outcome


@fact("proc.ns_links", place="host")
def ns_links() -> list[str]:
    """The links under /proc/PID/ns. Source: namespaces(7), The /proc/pid/ns/ directory."""
    return sorted(os.listdir("/proc/self/ns"))


@fact("proc.user_limits", place="host")
def user_limits() -> list[str]:
    """The files under /proc/sys/user. Source: namespaces(7), The /proc/sys/user directory."""
    return sorted(os.listdir("/proc/sys/user"))


@fact("proc.status_fields", place="host")
def status_fields() -> list[str]:
    """The fields of /proc/PID/status, in their order. Source: proc_pid_status(5)."""
    return [line.split(":")[0] for line in read("/proc/self/status").splitlines()]


@fact("proc.fdinfo_fields_of_namespace")
def fdinfo_fields_of_namespace() -> list[str]:
    """The fields of /proc/PID/fdinfo for a namespace's descriptor. Source: proc_pid_fdinfo(5)."""
    descriptor = os.open("/proc/self/ns/uts", os.O_RDONLY)
    return [line.split(":")[0] for line in read(f"/proc/self/fdinfo/{descriptor}").splitlines()]


STATUS = {name: name for name in ("NStgid", "NSpid", "NSpgid", "NSsid")}


@facts("proc.status_{}_of_nested", STATUS)
def status_of_nested(field: str) -> int:
    """How many numbers {} has of a process one PID namespace below that of /proc.

    Source: proc_pid_status(5).
    """
    with held(NEWPID) as pid:
        lines = dict(line.split(":", 1) for line in read(f"/proc/{pid}/status").splitlines())
        return len(lines[field].split())


FILES = {
    name.replace("/", "_"): name
    for name in (
        "ns/uts",
        "ns/user",
        "root",
        "exe",
        "environ",
        "mountinfo",
        "status",
        "uid_map",
        "timens_offsets",
    )
}


@facts("proc.{}_of_root_seen_by_ordinary_user", FILES)
def of_root_seen_by_ordinary_user(name: str) -> str:
    """What opening /proc/PID/{} of a process of root's says to a user without capabilities.

    Source: proc(5); ptrace(2), Ptrace access mode checking.
    """
    with held() as pid:
        become_ordinary()
        if name.startswith("ns/"):
            return outcome(os.readlink, f"/proc/{pid}/{name}")
        return outcome(os.open, f"/proc/{pid}/{name}", os.O_RDONLY)


@fact("proc.uid_map_of_nested")
def uid_map_of_nested() -> list[str]:
    """The user ID map that maps root to root, as a child namespace reads it. Source: user_namespaces(7)."""
    return [" ".join(line.split()) for line in in_new_user_namespace(read, "/proc/self/uid_map").splitlines()]


@fact("proc.uid_map_of_parent_seen_inside")
def uid_map_of_parent_seen_inside() -> str:
    """The second field of this namespace's map of root as a child namespace, which maps only root, reads it.

    Source: user_namespaces(7), User and group ID mappings: uid_map and gid_map.
    """
    with held() as pid:
        return str(in_new_user_namespace(read, f"/proc/{pid}/uid_map").split()[1])


MOUNTS = {"in_own_pid_namespace": NEWPID, "in_parents_pid_namespace": 0}


@facts("proc.mounted_{}", MOUNTS)
def mounted(flags: int) -> str:
    """What mount(2) says to root of a new user namespace who mounts proc {words}.

    Source: user_namespaces(7), Effect of capabilities; mount_namespaces(7).
    """
    workspace()

    def act() -> None:
        in_child(mount, "proc", "/proc", "proc", flags=flags)

    return outcome(in_new_user_namespace, act, flags=NEWNS)


@fact("proc.mounted_while_covered")
def mounted_while_covered() -> str:
    """What mount(2) says to the same where a part of the present /proc is covered.

    Source: user_namespaces(7).
    """
    mount("none", "/proc/sys", "tmpfs")

    def act() -> None:
        in_child(mount, "proc", "/proc", "proc", flags=NEWPID)

    return outcome(in_new_user_namespace, act, flags=NEWNS)


@fact("proc.processes_in_new")
def processes_in_new() -> list[str]:
    """The processes that a proc mounted in a new PID namespace lists. Source: pid_namespaces(7), /proc."""
    return [str(number) for number in in_child(_processes, flags=NEWPID | NEWNS)]


def _processes() -> list[int]:
    mount("proc", "/proc", "proc")
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


@fact("proc.self_under_foreign_proc")
def self_under_foreign_proc() -> str:
    """What readlink(2) of /proc/self says where proc belongs to a PID namespace below the caller's.

    Source: pid_namespaces(7), /proc and PID namespaces.
    """
    with held(NEWPID, lambda: mount("proc", "/proc", "proc")):
        return outcome(os.readlink, "/proc/self")


@fact("proc.link_after_namespace_ended")
def link_after_namespace_ended() -> str:
    """Whether a descriptor keeps a namespace whose processes have ended: `kept`.

    Source: namespaces(7), lifetime.
    """
    with held(NEWUSER) as pid:
        before = identity("user", pid)
        descriptor = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY)
    return "kept" if os.readlink(f"/proc/self/fd/{descriptor}") == before else "gone"
