"""Time namespaces: clock offsets, who is moved, and when they are fixed."""

from __future__ import annotations

import os
import time

from harness.probes.children import held, identity, in_child, namespace, read, write
from harness.probes.credentials import drop_capabilities
from harness.probes.programs import output_of
from harness.probes.registry import fact, facts
from harness.probes.syscalls import NEWTIME, outcome, setns, unshare

OFFSETS = "/proc/self/timens_offsets"
_DAY = 86400
CLOCKS = {
    "realtime": time.CLOCK_REALTIME,
    "monotonic": time.CLOCK_MONOTONIC,
    "monotonic_raw": time.CLOCK_MONOTONIC_RAW,
    "boottime": time.CLOCK_BOOTTIME,
    "process_cputime": time.CLOCK_PROCESS_CPUTIME_ID,
}


@fact("time.offsets_of_new")
def offsets_of_new() -> list[str]:
    """The lines of timens_offsets for a new time namespace.

    Source: time_namespaces(7), /proc/PID/timens_offsets.
    """
    unshare(NEWTIME)
    return [" ".join(line.split()) for line in read(OFFSETS).splitlines()]


CONTENTS = {
    "monotonic": "monotonic 86400 0",
    "boottime": "boottime 86400 0",
    "by_number": "1 86400 0",
    "realtime": "realtime 86400 0",
    "unknown_clock": "sundial 86400 0",
    "nanoseconds_over": "monotonic 0 1000000000",
    "nanoseconds_negative": "monotonic 0 -1",
    "clock_below_zero": "monotonic -9000000000 0",
    "clock_over_146_years": "monotonic 4611686019 0",
    "three_lines": "monotonic 1 0\nboottime 1 0\nmonotonic 2 0",
}


@facts("time.offset_{}", CONTENTS)
def offset(content: str) -> str:
    """What the kernel says to an offset: {words}. Source: time_namespaces(7), /proc/PID/timens_offsets."""
    unshare(NEWTIME)
    return outcome(write, OFFSETS, content + "\n")


@fact("time.offset_without_new_namespace")
def offset_without_new_namespace() -> str:
    """What the kernel says to an offset for the initial time namespace. Source: time_namespaces(7)."""
    return outcome(write, OFFSETS, "monotonic 86400 0\n")


@fact("time.offset_after_first_process")
def offset_after_first_process() -> str:
    """What the kernel says to an offset when the namespace has had a process. Source: time_namespaces(7)."""
    unshare(NEWTIME)
    in_child(os.getpid)
    return outcome(write, OFFSETS, "monotonic 86400 0\n")


@fact("time.offset_without_capabilities")
def offset_without_capabilities() -> str:
    """What the kernel says to an offset that a user without capabilities writes.

    Source: time_namespaces(7).
    """
    unshare(NEWTIME)
    drop_capabilities()
    return outcome(write, OFFSETS, "monotonic 86400 0\n")


@facts("time.{}_is_shifted", CLOCKS)
def is_shifted(clock: int) -> bool:
    """Whether a child with offsets of a day sees the clock {} a day off. Source: time_namespaces(7)."""
    before = time.clock_gettime(clock)
    _shift()
    return bool(in_child(time.clock_gettime, clock) - before > _DAY / 2)


def _shift() -> None:
    unshare(NEWTIME)
    write(OFFSETS, f"monotonic {_DAY} 0\nboottime {_DAY} 0\n")


@fact("time.uptime_is_shifted")
def uptime_is_shifted() -> bool:
    """Whether /proc/uptime shows the boot time's offset. Source: time_namespaces(7), /proc/uptime."""
    before = float(read("/proc/uptime").split()[0])
    _shift()
    return float(in_child(read, "/proc/uptime").split()[0]) - before > _DAY / 2


@fact("time.boot_is_shifted")
def boot_is_shifted() -> bool:
    """Whether btime in /proc/stat shows the boot time's offset. Source: proc_stat(5), btime."""

    def boot() -> int:
        return int(
            next(line for line in read("/proc/stat").splitlines() if line.startswith("btime")).split()[1]
        )

    before = boot()
    _shift()
    return before - int(in_child(boot)) > _DAY / 2


@fact("time.caller_of_unshare")
def caller_of_unshare() -> list[str]:
    """What unshare(CLONE_NEWTIME) changes: the caller's own time namespace, its children's.

    Source: unshare(2), CLONE_NEWTIME; time_namespaces(7).
    """
    before = identity("time")
    unshare(NEWTIME)
    after = (identity("time"), identity("time_for_children"))
    return ["same" if found == before else "new" for found in after]


@fact("time.caller_of_setns")
def caller_of_setns() -> list[str]:
    """What setns(2) into a time namespace changes: the caller's own, its children's. Source: setns(2)."""
    with held(NEWTIME) as pid, namespace("time", pid) as descriptor:
        wanted = identity("time", pid)
        setns(descriptor, NEWTIME)
        after = (identity("time"), identity("time_for_children"))
        return ["new" if found == wanted else "same" for found in after]


@fact("time.exec_moves_caller")
def exec_moves_caller() -> bool:
    """Whether execve(2) moves a process into the namespace that it made for its children.

    Source: time_namespaces(7).
    """
    before = identity("time")
    shown = output_of(["readlink", "/proc/self/ns/time"], lambda: unshare(NEWTIME))
    return shown != before


@fact("time.offsets_in_nested")
def offsets_in_nested() -> bool:
    """Whether a time namespace made inside one with offsets begins with these. Source: time_namespaces(7)."""
    _shift()

    def look() -> str:
        unshare(NEWTIME)
        return read(OFFSETS)

    return str(_DAY) in in_child(look)
