"""User and group ID maps: what they may hold, who may write them, and the IDs without one."""

from __future__ import annotations

import os
from typing import Any

from harness.probes.children import in_child, map_root, read, write
from harness.probes.mounts import workspace
from harness.probes.registry import Unmeasured, fact, facts
from harness.probes.sandbox import ORDINARY
from harness.probes.syscalls import NEWUSER, outcome, unshare

MAP, GROUPS, SETGROUPS = "/proc/self/uid_map", "/proc/self/gid_map", "/proc/self/setgroups"
FILES = {name: f"/proc/self/{name}" for name in ("uid_map", "gid_map", "projid_map")}


@facts("user.{}_of_new", FILES)
def map_of_new(path: str) -> list[str]:
    """The lines of {} in a new user namespace. Source: user_namespaces(7), User and group ID mappings."""
    unshare(NEWUSER)
    return read(path).splitlines()


@fact("user.unmapped_ids")
def unmapped_ids() -> list[str]:
    """User and group ID of a process whose IDs are not mapped.

    Source: user_namespaces(7), Unmapped user and group IDs.
    """
    unshare(NEWUSER)
    return [str(os.getuid()), str(os.getgid())]


CONTENTS = {
    "own_id": "0 0 1",
    "other_id": "0 1 1",
    "parent_unmapped_id": "0 70000 1",
    "two_ids": "0 0 2",
    "overlapping": "0 0 1\n0 1 1",
    "length_0": "0 0 0",
    "number_over_32_bits": "0 0 4294967296",
    "no_number": "0 zero 1",
    "two_fields": "0 0",
    "empty": "\n",
}


@facts("user.uid_map_{}", CONTENTS)
def uid_map_content(content: str) -> str:
    """What the kernel says when a process without privileges outside maps: {words}.

    Source: user_namespaces(7), Defining user and group ID mappings.
    """
    unshare(NEWUSER)
    return outcome(write, MAP, content + "\n")


@fact("user.uid_map_lines_most")
def uid_map_lines_most() -> int:
    """How many lines a uid_map may have, whoever writes it.

    Source: user_namespaces(7), Defining user and group ID mappings: writing to the mapping files.
    """
    unshare(NEWUSER)
    # A map that may be long enough but not this writer's is EPERM, one that is too long EINVAL.
    fitting = [count for count in range(300, 400) if outcome(write, MAP, _lines(count)) == "EPERM"]
    return max(fitting)


def _lines(count: int) -> str:
    return "".join(f"{number} {number} 1\n" for number in range(1, count + 1))


@fact("user.uid_map_twice")
def uid_map_twice() -> str:
    """What the kernel says when a uid_map is written again. Source: user_namespaces(7), mapping files."""
    unshare(NEWUSER)
    write(MAP, "0 0 1\n")
    return outcome(write, MAP, "0 0 1\n")


@fact("user.uid_map_at_offset")
def uid_map_at_offset() -> str:
    """What the kernel says to a write that does not begin at the map's start. Source: user_namespaces(7)."""
    unshare(NEWUSER)
    descriptor = os.open(MAP, os.O_WRONLY)
    return outcome(os.pwrite, descriptor, b"0 0 1\n", 1)


@fact("user.gid_map_before_setgroups_denied")
def gid_map_before_setgroups_denied() -> str:
    """What the kernel says to a gid_map where setgroups(2) is not denied yet.

    Source: user_namespaces(7), The /proc/pid/setgroups file.
    """
    _need_setgroups()
    unshare(NEWUSER)
    return outcome(write, GROUPS, "0 0 1\n")


def _need_setgroups() -> None:
    if read(SETGROUPS) != "allow":
        raise Unmeasured("the host's user may only make user namespaces that deny setgroups(2)")


@fact("user.setgroups_of_new")
def setgroups_of_new() -> str:
    """What /proc/PID/setgroups says in a new user namespace.

    Source: user_namespaces(7), The setgroups file.
    """
    _need_setgroups()
    unshare(NEWUSER)
    return read(SETGROUPS)


@fact("user.setgroups_of_grandchild")
def setgroups_of_grandchild() -> str:
    """What /proc/PID/setgroups says below a namespace that denies it.

    Source: user_namespaces(7), setgroups.
    """
    unshare(NEWUSER)
    map_root()
    unshare(NEWUSER)
    return read(SETGROUPS)


_SETGROUPS: dict[str, list[tuple[Any, ...]]] = {
    "call_before_map": [(os.setgroups, [0])],
    "call_after_map": [(map_root,), (os.setgroups, [0])],
    "allow_after_deny": [(write, SETGROUPS, "deny"), (write, SETGROUPS, "allow")],
    "deny_after_map": [(map_root,), (write, SETGROUPS, "deny")],
    "other_word": [(write, SETGROUPS, "maybe")],
}


@facts("user.setgroups_{}", _SETGROUPS)
def setgroups(acts: list[tuple[Any, ...]]) -> str:
    """What the kernel says in a new user namespace to: {words}.

    Source: user_namespaces(7), The setgroups file.
    """
    unshare(NEWUSER)
    return [outcome(*act) for act in acts][-1]


@fact("user.seen_by_other_namespace")
def seen_by_other_namespace() -> str:
    """How a user of this namespace is shown in one that does not map it.

    Source: user_namespaces(7), Unmapped.
    """
    folder = "/tmp/owned"
    workspace()
    os.mkdir(folder)
    if outcome(os.chown, folder, ORDINARY, ORDINARY) != "ok":
        raise Unmeasured("the host's user may map no second user ID")

    def look() -> int:
        unshare(NEWUSER)
        map_root()
        return os.stat(folder).st_uid

    return str(in_child(look))


@fact("user.id_unmapped_by_chown")
def id_unmapped_by_chown() -> str:
    """What chown(2) says to a user ID that is not mapped. Source: user_namespaces(7); chown(2), ERRORS."""
    workspace()
    return outcome(os.chown, ".", 50000, 50000)
