"""User namespaces: capabilities, credentials and what they are worth."""

from __future__ import annotations

import os
from typing import Any

from harness.probes.children import (
    held,
    in_child,
    in_new_user_namespace,
    map_root,
    namespace,
    read,
)
from harness.probes.credentials import capabilities, set_capabilities
from harness.probes.mounts import workspace
from harness.probes.programs import output_of
from harness.probes.registry import fact, facts
from harness.probes.syscalls import (
    NEWNS,
    NEWPID,
    NEWUSER,
    NEWUTS,
    call,
    mount,
    outcome,
    prctl,
    sethostname,
    setns,
    unshare,
    word,
)

PR_GET_SECUREBITS, PR_SET_SECUREBITS, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS = 27, 28, 38, 39
PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_CAP_AMBIENT = 23, 24, 47
_SYS_CHROOT, _SECBIT_NOROOT = 18, 1

_EFFECTIVE = 'while read -r name value; do [ "$name" != CapEff: ] || echo "$value"; done </proc/$$/status'
"""A shell's own effective set, as its process status shows it."""


def _known() -> int:
    """All capabilities that the kernel knows, as a set."""
    return int((1 << (int(read("/proc/sys/kernel/cap_last_cap")) + 1)) - 1)


def _portion(capability_set: int) -> str:
    return {0: "none", _known(): "all"}.get(capability_set, "some")


@fact("user.capabilities_known", place="host")
def capabilities_known() -> int:
    """How many capabilities the kernel knows. Source: capabilities(7), /proc/sys/kernel/cap_last_cap."""
    return int(read("/proc/sys/kernel/cap_last_cap")) + 1


SETS = {"effective": 0, "permitted": 1, "inheritable": 2}


@facts("user.capabilities_{}", SETS)
def capabilities_in_new(position: int) -> str:
    """How much of the {} capabilities a process without any has in a new user namespace: none, some or all.

    Source: user_namespaces(7), Capabilities.
    """
    set_capabilities(0, 0, 0)
    unshare(NEWUSER)
    return _portion(capabilities()[position])


@fact("user.capabilities_bounding")
def capabilities_bounding() -> bool:
    """Whether a capability dropped from the bounding set is back in a new user namespace.

    Source: user_namespaces(7), Capabilities; capabilities(7), Capability bounding set.
    """
    prctl(PR_CAPBSET_DROP, _SYS_CHROOT)
    unshare(NEWUSER)
    return bool(prctl(PR_CAPBSET_READ, _SYS_CHROOT))


@fact("user.capabilities_ambient")
def capabilities_ambient() -> bool:
    """Whether an ambient capability stays in a new user namespace. Source: capabilities(7), Ambient."""
    set_capabilities(_known(), _known(), _known())
    prctl(PR_CAP_AMBIENT, 2, _SYS_CHROOT)
    unshare(NEWUSER)
    return bool(prctl(PR_CAP_AMBIENT, 1, _SYS_CHROOT))


@facts("user.capabilities_after_exec_{}", {"unmapped": False, "mapped": True})
def capabilities_after_exec(mapped: bool) -> str:
    """How much of the effective capabilities is left after execve(2) of a user that is {words}.

    Source: user_namespaces(7), Capabilities.
    """

    def prepare() -> None:
        unshare(NEWUSER)
        if mapped:
            map_root()

    return _portion(int(output_of(["sh", "-c", _EFFECTIVE], prepare), 16))


@fact("user.securebits")
def securebits() -> str:
    """Whether securebits are `reset` or `inherited` in a new user namespace.

    Source: user_namespaces(7), Capabilities.
    """
    prctl(PR_SET_SECUREBITS, _SECBIT_NOROOT)
    unshare(NEWUSER)
    return "inherited" if prctl(PR_GET_SECUREBITS) else "reset"


@fact("user.no_new_privs")
def no_new_privs() -> str:
    """Whether no_new_privs is `reset` or `inherited` in a new user namespace.

    Source: prctl(2), PR_SET_NO_NEW_PRIVS.
    """
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    unshare(NEWUSER)
    return "inherited" if prctl(PR_GET_NO_NEW_PRIVS) else "reset"


@fact("user.session_keyring")
def session_keyring() -> str:
    """Whether a process in a new user namespace still has its session keyring, by keyctl(2)'s answer.

    Source: session-keyring(7); user_namespaces(7).
    """
    get, join, session = 0, 1, -3

    def compare() -> str:
        before = call("keyctl", join, 0)
        unshare(NEWUSER)
        return "inherited" if call("keyctl", get, session, 0) == before else "reset"

    return word(compare)


_UNPRIVILEGED: dict[str, tuple[Any, ...]] = {
    "sethostname": (sethostname, b"x"),
    "mount": (mount, "none", "/tmp", "tmpfs"),
    "chroot": (os.chroot, "/"),
    "unshare_uts": (unshare, NEWUTS),
    "nice": (os.nice, -20),
    "mknod": (os.mknod, "/tmp/node", 0o20600, os.makedev(1, 3)),
    "setuid_unmapped": (os.setuid, 5),
}


@facts("user.root_may_{}", {name: (case,) for name, case in _UNPRIVILEGED.items()})
def root_may(case: tuple[Any, ...]) -> str:
    """What the kernel says to root of a new user namespace that has no other new one: {words}.

    Source: user_namespaces(7), Effect of capabilities within a user namespace.
    """
    workspace()
    return outcome(in_new_user_namespace, *case)


@fact("user.unshare_in_chroot")
def unshare_in_chroot() -> str:
    """What unshare(CLONE_NEWUSER) says to a process whose root is not its mount namespace's.

    Source: unshare(2), ERRORS.
    """
    workspace()
    os.chroot(".")
    return outcome(unshare, NEWUSER)


@fact("user.setns_parent")
def setns_parent() -> str:
    """What setns(2) says to the parent user namespace. Source: setns(2), ERRORS; user_namespaces(7)."""
    with namespace("user") as descriptor:
        return outcome(in_new_user_namespace, setns, descriptor, NEWUSER)


@fact("user.setns_child_capabilities")
def setns_child_capabilities() -> str:
    """How much of the capabilities a process has after setns(2) to a child user namespace.

    Source: user_namespaces(7), Capabilities.
    """
    with held(NEWUSER) as pid, namespace("user", pid) as descriptor:
        setns(descriptor, NEWUSER)
    return _portion(capabilities()[0])


MOUNTABLE = {
    name: name
    for name in (
        "tmpfs",
        "ramfs",
        "proc",
        "sysfs",
        "mqueue",
        "devpts",
        "cgroup2",
        "cgroup",
        "overlay",
        "binfmt_misc",
        "bpf",
        "debugfs",
        "tracefs",
        "securityfs",
        "devtmpfs",
        "pstore",
        "nsfs",
    )
}


@facts("user.mountable_{}", MOUNTABLE)
def mountable(kind: str) -> str:
    """What mount(2) says when root of a user namespace mounts {} (`ENODEV`: this kernel has none loaded).

    Source: user_namespaces(7), Effect of capabilities within a user namespace; mount(2), ERRORS.
    """
    workspace()
    loaded = [line.split()[-1] for line in read("/proc/filesystems").splitlines()]
    if kind not in loaded:
        # Asking would make the host load a module.
        return "ENODEV"
    for folder in ("lower", "upper", "work", "point"):
        os.mkdir(folder)
    data = "lowerdir=lower,upperdir=upper,workdir=work" if kind == "overlay" else ""
    return outcome(in_child, mount, kind, "point", kind, 0, data, flags=NEWPID | NEWNS)
