"""What clone(2), clone3 and unshare(2) refuse, and which flags they know."""

from __future__ import annotations

import ctypes
import os
import signal

from harness.probes import syscalls
from harness.probes.children import clone3, in_child, namespace
from harness.probes.credentials import drop_capabilities
from harness.probes.registry import fact, facts
from harness.probes.syscalls import (
    DETACHED,
    FS,
    NEWIPC,
    NEWNS,
    NEWPID,
    NEWUSER,
    PARENT,
    PIDFD,
    SIGHAND,
    SYSVSEM,
    THREAD,
    VM,
    call,
    outcome,
    setns,
    unshare,
)

CLEAR_SIGHAND, INTO_CGROUP = 1 << 32, 1 << 33

ILLEGAL = {
    "newns_fs": NEWNS | FS,
    "newuser_fs": NEWUSER | FS,
    "newuser_thread": NEWUSER | THREAD | SIGHAND | VM,
    "newpid_thread": NEWPID | THREAD | SIGHAND | VM,
    "newipc_sysvsem": NEWIPC | SYSVSEM,
    "thread_without_sighand": THREAD | VM,
    "sighand_without_vm": SIGHAND,
    "pidfd_detached": PIDFD | DETACHED,
    "parent_of_init": PARENT,
}
"""Combinations that clone(2) lists as errors. None that shares memory must ever succeed here."""


@facts("clone.{}", ILLEGAL, alone=False)
def illegal_clone(flags: int) -> str:
    """What clone(2) says to the flags {words}. Source: clone(2), ERRORS."""
    return outcome(_clone, flags)


def _clone(flags: int) -> None:
    """Clone, and end the child if there is one."""
    if call("clone", flags | signal.SIGCHLD, 0, 0, 0, 0) == 0:
        os._exit(0)


@facts("clone3.{}", ILLEGAL, alone=False)
def illegal_clone3(flags: int) -> str:
    """What clone3 says to the flags {words}. Source: clone(2), ERRORS."""
    return outcome(_clone3, {"flags": flags})


def _clone3(fields: dict[str, int], size: int = 64, tail: int = 0) -> None:
    if clone3(size, tail, **fields) == 0:
        os._exit(0)


REQUESTS = {
    "size_0": ({}, 0),
    "size_below_first_version": ({}, 56),
    "size_of_first_version": ({}, 64),
    "size_of_second_version": ({}, 80),
    "size_of_third_version": ({}, 88),
    "unknown_tail_zero": ({}, 96, 0),
    "unknown_tail_set": ({}, 96, 1),
    "unknown_flag": ({"flags": 1 << 63},),
    "detached": ({"flags": DETACHED},),
    "exit_signal_in_flags": ({"flags": int(signal.SIGCHLD), "exit_signal": 0},),
    "exit_signal_65": ({"exit_signal": 65},),
    "exit_signal_over_csignal": ({"exit_signal": 0x1000},),
    "stack_without_size": ({"stack": 0x10000},),
    "size_without_stack": ({"stack_size": 0x10000},),
    "clear_sighand": ({"flags": CLEAR_SIGHAND},),
    "clear_sighand_with_sighand": ({"flags": CLEAR_SIGHAND | SIGHAND | VM},),
    "into_cgroup_bad_descriptor": ({"flags": INTO_CGROUP, "cgroup": 1000}, 88),
    "into_cgroup_descriptor_over_int": ({"flags": INTO_CGROUP, "cgroup": 1 << 32}, 88),
    "into_cgroup_short_request": ({"flags": INTO_CGROUP}, 80),
    "set_tid_size_without_set_tid": ({"set_tid_size": 1}, 80),
}


@facts("clone3.{}", REQUESTS, alone=False)
def clone3_request(fields: dict[str, int], size: int = 64, tail: int = 0) -> str:
    """What clone3 says to a request with: {words}. Source: clone(2), The clone3() system call and ERRORS."""
    return outcome(_clone3, fields, size, tail)


def _set_tid(*tids: int) -> int:
    """The PID of a child that was to have these, innermost namespace first."""
    wanted = (ctypes.c_int32 * max(1, len(tids)))(*tids)
    pid = clone3(80, set_tid=ctypes.addressof(wanted), set_tid_size=len(tids))
    if pid == 0:
        os._exit(0)
    return pid


TIDS = {"free": (77,), "taken": (1,), "zero": (0,), "negative": (-1,), "deeper_than_nested": (5,) * 33}


@facts("clone3.set_tid_{}", {name: (name, tids) for name, tids in TIDS.items()}, alone=False)
def set_tid(name: str, tids: tuple[int, ...]) -> str:
    """What clone3 says when root asks for a PID that is: {words}. Source: clone(2), set_tid and ERRORS."""
    return outcome(_set_tid, *tids)


@fact("clone3.set_tid_without_capabilities")
def set_tid_without_capabilities() -> str:
    """What clone3 says when a user without capabilities asks for a free PID. Source: clone(2), set_tid."""
    drop_capabilities()
    return outcome(_set_tid, 77)


@fact("clone3.high_flags")
def high_flags() -> list[str]:
    """Each flag above bit 32 to which clone3 says anything but EINVAL, with the answer, none alone.

    Source: include/uapi/linux/sched.h, Flags for the clone3() syscall.
    """
    answers = [(bit, outcome(_clone3, {"flags": 1 << bit, "cgroup": 1000}, 88)) for bit in range(33, 64)]
    return [f"{bit} {answer}" for bit, answer in answers if answer != "EINVAL"]


@fact("unshare.flags")
def unshare_flags() -> list[str]:
    """Each single bit to which unshare(2) says anything but EINVAL, with the answer.

    Source: unshare(2), DESCRIPTION; include/uapi/linux/sched.h.
    """
    answers = [
        (bit, outcome(in_child, unshare, (1 << bit) - (1 << 32 if bit == 31 else 0))) for bit in range(32)
    ]
    return [f"{1 << bit:#x} {answer}" for bit, answer in answers if answer != "EINVAL"]


@fact("setns.no_namespace")
def setns_no_namespace() -> str:
    """What setns(2) says to the descriptor of an ordinary directory. Source: setns(2), ERRORS."""
    return outcome(setns, os.open("/", os.O_RDONLY))


@fact("setns.bad_descriptor")
def setns_bad_descriptor() -> str:
    """What setns(2) says to a number that is no open descriptor. Source: setns(2), ERRORS."""
    return outcome(setns, 1000)


@fact("setns.any_type")
def setns_any_type() -> str:
    """What setns(2) says to a namespace's descriptor and the flag 0. Source: setns(2), nstype."""
    with namespace("uts") as descriptor:
        return outcome(setns, descriptor, 0)


@fact("setns.pidfd_without_flags")
def setns_pidfd_without_flags() -> str:
    """What setns(2) says to a PID file descriptor and the flag 0. Source: setns(2), ERRORS."""
    return outcome(setns, call("pidfd_open", os.getpid(), 0), 0)


@fact("setns.pidfd_several")
def setns_pidfd_several() -> str:
    """What setns(2) says to a PID file descriptor and several kinds at once. Source: setns(2), pidfd."""
    flags = syscalls.NEWUTS | NEWIPC | NEWNS
    return outcome(setns, call("pidfd_open", os.getpid(), 0), flags)


@fact("setns.pidfd_unknown_flag")
def setns_pidfd_unknown_flag() -> str:
    """What setns(2) says to a PID file descriptor and a flag of no kind. Source: setns(2), ERRORS."""
    return outcome(setns, call("pidfd_open", os.getpid(), 0), 0x1)
