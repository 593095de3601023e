"""Why a stage can't be made here: the settings that forbid namespaces, and what to do about each."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NamedTuple

from harness.probes import syscalls

_SYSCTLS = Path("/proc/sys")


class Obstacle(NamedTuple):
    """A sysctl, the value with which it forbids, whom, and the remedy."""

    sysctl: str
    forbids: str
    root_too: bool
    source: str

    @property
    def path(self) -> Path:
        """The sysctl's file."""
        return _SYSCTLS / self.sysctl.replace(".", "/")


OBSTACLES = [
    Obstacle("kernel.unprivileged_userns_clone", "0", root_too=False, source="Debian's kernels"),
    Obstacle("kernel.apparmor_restrict_unprivileged_userns", "1", root_too=False, source="Ubuntu's AppArmor"),
    *(
        Obstacle(f"user.max_{kind}_namespaces", "0", root_too=kind != "user", source="namespaces(7)")
        for kind in ("user", "mnt", "pid", "uts", "ipc", "net")
    ),
]


_CLONED = {"mount": syscalls.NEWNS, "UTS": syscalls.NEWUTS, "IPC": syscalls.NEWIPC, "PID": syscalls.NEWPID}


def find_clone_refusal() -> str:
    """One clause that says how clone(2) is forbidden to make namespaces here; empty where it is not.

    Nothing is made: a thread with signal handlers of its own is invalid (clone(2), EINVAL), and the kernel
    finds that before it asks for permissions. Any other answer is a filter's (seccomp(2)), which sees the
    flags first.
    """
    for kind, flag in _CLONED.items():
        try:
            answer = syscalls.call("clone", flag | syscalls.THREAD, 0, 0, 0, 0)
        except LookupError:
            return ""
        except OSError as error:
            if error.errno == errno.EINVAL:
                continue
            return f"a filter answers clone(2) for a new {kind} namespace with '{error.strerror}'"
        if answer == 0:
            os._exit(0)
    return ""


def find_obstacle() -> str:
    """One clause that names the setting that forbids a stage, or the likely causes where none is found."""
    root = os.geteuid() == 0
    for obstacle in OBSTACLES:
        if root and not obstacle.root_too:
            continue
        try:
            value = obstacle.path.read_text().strip()
        except OSError:
            continue
        if value == obstacle.forbids:
            other = "1" if obstacle.forbids == "0" else "0"
            other = "15000" if obstacle.sysctl.startswith("user.") else other
            return (
                f"{obstacle.sysctl} is {value} ({obstacle.source}): allow it with "
                f"'sysctl {obstacle.sysctl}={other}'" + ("" if root else " as root, or run the lab as root")
            )
    if root:
        return (
            "root here lacks CAP_SYS_ADMIN or a container's filter forbids it: run the lab on a machine or VM"
        )
    return "a container, chroot or security module may forbid user namespaces: run the lab as root or in a VM"
