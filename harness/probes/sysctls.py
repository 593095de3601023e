"""Who may write the settings under /proc/sys; opening is asked, nothing is written."""

from __future__ import annotations

import functools
import os

from harness.probes.children import in_child
from harness.probes.credentials import become_ordinary
from harness.probes.registry import facts
from harness.probes.syscalls import NEWNET, outcome, unshare

NAMES = (
    "kernel.hostname",
    "kernel.domainname",
    "kernel.ostype",
    "kernel.osrelease",
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmmax",
    "kernel.shmall",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
    "kernel.msg_next_id",
    "kernel.sem_next_id",
    "kernel.shm_next_id",
    "kernel.auto_msgmni",
    "fs.mqueue.queues_max",
    "fs.mqueue.msg_max",
    "fs.mqueue.msgsize_max",
    "fs.mqueue.msg_default",
    "fs.mqueue.msgsize_default",
    "kernel.pid_max",
    "kernel.ns_last_pid",
    "kernel.cap_last_cap",
    "kernel.threads-max",
    "fs.mount-max",
    "user.max_user_namespaces",
    "user.max_uts_namespaces",
    "net.core.somaxconn",
    "net.core.rmem_max",
    "net.ipv4.ip_forward",
    "net.ipv4.ip_unprivileged_port_start",
    "vm.overcommit_memory",
)
PATHS = {name: "/proc/sys/" + name.replace(".", "/") for name in NAMES}


def _opened(path: str) -> str:
    return outcome(lambda: os.close(os.open(path, os.O_WRONLY)))


@functools.lru_cache(maxsize=None)
def _leave_network() -> None:
    """Own the network namespace too; once is enough for all probes in this child."""
    unshare(NEWNET)


@facts("sysctl.{}_by_namespace_root", PATHS, alone=False)
def by_namespace_root(path: str) -> str:
    """What opening {} for writing says to root of a user namespace who owns the other namespaces too.

    Source: proc_sys(5); ipc_namespaces(7); uts_namespaces(7); pid_namespaces(7); network_namespaces(7).
    """
    _leave_network()
    return _opened(path)


@facts("sysctl.{}_by_ordinary_user", PATHS, alone=False)
def by_ordinary_user(path: str) -> str:
    """What opening {} for writing says to a user without capabilities in such namespaces.

    Source: proc_sys(5).
    """
    _leave_network()
    return str(in_child(_opened_by_ordinary_user, path))


def _opened_by_ordinary_user(path: str) -> str:
    become_ordinary()
    return _opened(path)


@facts("sysctl.{}_by_hosts_user", PATHS, place="host", alone=False)
def by_hosts_user(path: str) -> str:
    """What opening {} for writing says to the user of the host, without any new namespace.

    Source: proc_sys(5).
    """
    return _opened(path)
