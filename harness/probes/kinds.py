"""Each kind of namespace: is it there, what makes it, what enters it, how many there may be."""

from __future__ import annotations

import os
import signal
from typing import Callable

from harness.probes.children import clone3, held, identity, in_child, namespace, read, write
from harness.probes.credentials import drop_capabilities
from harness.probes.mounts import BIND, workspace
from harness.probes.registry import facts
from harness.probes.syscalls import KINDS, NEWTIME, call, mount, outcome, setns, unshare, word

KIND = {kind: kind for kind in KINDS}
FLAG = {kind: (kind, flag) for kind, flag in KINDS.items()}
_FIRST_DYNAMIC = 0xF0000000
_LIMITS = {kind: f"max_{kind}_namespaces" for kind in KINDS}


@facts("{}.is_there", KIND, place="host", alone=False)
def is_there(kind: str) -> bool:
    """Whether the kernel knows namespaces of the kind {}.

    Source: namespaces(7), The /proc/pid/ns/ directory.
    """
    return os.path.exists(f"/proc/self/ns/{kind}")


@facts("{}.initial_inode", KIND, place="host", alone=False)
def initial_inode(kind: str) -> str:
    """The number of the host's {} namespace if it is one of the kernel's constants, else `dynamic`.

    Source: include/linux/proc_ns.h, PROC_*_INIT_INO.
    """
    number = int(identity(kind).split("[")[1].rstrip("]"))
    return str(number) if number < _FIRST_DYNAMIC else "dynamic"


@facts("{}.new_by_unshare", FLAG, alone=False)
def new_by_unshare(kind: str, flag: int) -> str:
    """Whether a child made after unshare(2) with the flag of {} is in a new one: `new`, `same` or an errno.

    Source: unshare(2), DESCRIPTION.
    """
    before = identity(kind)

    def inside() -> str:
        unshare(flag)
        return str(in_child(_compare, before, kind))

    return word(in_child, inside)


@facts("{}.new_by_clone", FLAG, alone=False)
def new_by_clone(kind: str, flag: int) -> str:
    """Whether the child of clone(2) with the flag of {} is in a new one; `same` where the bits mean a signal.

    Source: clone(2), The flags mask; time_namespaces(7).
    """
    # CLONE_NEWTIME lies within the bits of the exit signal, so it is not combined with one.
    exit_signal = 0 if flag == NEWTIME else signal.SIGCHLD
    return word(_child_of, kind, lambda: call("clone", flag | exit_signal, 0, 0, 0, 0))


@facts("{}.new_by_clone3", FLAG, alone=False)
def new_by_clone3(kind: str, flag: int) -> str:
    """Whether the child of clone3(2) with the flag of {} is in a new one: `new`, `same` or an errno.

    Source: clone(2), The clone3() system call; time_namespaces(7).
    """
    return word(_child_of, kind, lambda: clone3(flags=flag))


def _child_of(kind: str, clone: Callable[[], int]) -> str:
    """Compare the namespace of the child that a function clones with this one."""
    before = identity(kind)
    reading, writing = os.pipe()
    if clone() == 0:
        os.write(writing, _compare(before, kind).encode())
        os._exit(0)
    os.close(writing)
    return os.read(reading, 100).decode()


def _compare(before: str, kind: str) -> str:
    return "same" if identity(kind) == before else "new"


@facts("{}.made_without_capabilities", FLAG)
def made_without_capabilities(kind: str, flag: int) -> str:
    """What unshare(2) with the flag of {} says to a user without capabilities.

    Source: unshare(2), ERRORS.
    """
    drop_capabilities()
    return outcome(unshare, flag)


@facts("{}.setns_own", FLAG)
def setns_own(kind: str, flag: int) -> str:
    """What setns(2) says when a process enters the {} namespace in which it is. Source: setns(2), ERRORS."""

    def enter_own() -> None:
        with namespace(kind) as descriptor:
            setns(descriptor, flag)

    # In namespaces of its own a process is privileged; only a child is in every kind of new one.
    unshare(flag)
    return outcome(in_child, enter_own)


@facts("{}.setns_wrong_type", FLAG, alone=False)
def setns_wrong_type(kind: str, flag: int) -> str:
    """What setns(2) says to a descriptor of a namespace of the kind {} and another kind's flag.

    Source: setns(2), ERRORS.
    """
    other = next(another for another in KINDS.values() if another != flag)
    with namespace(kind) as descriptor:
        return outcome(setns, descriptor, other)


@facts("{}.setns_by_pidfd", FLAG, alone=False)
def setns_by_pidfd(kind: str, flag: int) -> str:
    """What setns(2) says to a PID file descriptor of a child with a new {} namespace, and that flag.

    Source: setns(2), pidfd.
    """
    with held(KINDS[kind]) as pid:
        target = call("pidfd_open", pid, 0)
        return outcome(in_child, setns, target, flag)


@facts("{}.setns_without_capabilities", FLAG)
def setns_without_capabilities(kind: str, flag: int) -> str:
    """What setns(2) says to a user without capabilities who enters a new {} namespace of root's.

    Source: setns(2), ERRORS.
    """
    with held(KINDS[kind]) as pid, namespace(kind, pid) as descriptor:
        drop_capabilities()
        return outcome(setns, descriptor, flag)


@facts("{}.count_in_new_user_namespace", KIND, alone=False)
def count_in_new_user_namespace(kind: str) -> int:
    """The limit on {} namespaces in a new user namespace.

    Source: namespaces(7), The /proc/sys/user directory.
    """
    return int(read(f"/proc/sys/user/{_LIMITS[kind]}"))


@facts("{}.one_too_many", FLAG)
def one_too_many(kind: str, flag: int) -> str:
    """What unshare(2) says where the user namespace's limit on {} namespaces is 0.

    Source: namespaces(7), The /proc/sys/user directory; unshare(2), ERRORS.
    """
    write(f"/proc/sys/user/{_LIMITS[kind]}", "0")
    return outcome(unshare, flag)


@facts("{}.kept_by_bind_mount", KIND)
def kept_by_bind_mount(kind: str) -> str:
    """What mount(2) says when the file of a child's new {} namespace is bound to keep that namespace.

    Source: namespaces(7), The /proc/pid/ns/ directory.
    """
    workspace()
    os.close(os.open("kept", os.O_CREAT | os.O_WRONLY))
    with held(KINDS[kind]) as pid:
        return outcome(mount, f"/proc/{pid}/ns/{kind}", "kept", "", BIND)
