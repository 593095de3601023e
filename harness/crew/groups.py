"""What actors do and see where groups in user namespaces are the question."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from harness.crew.actor import Actor, Verb, fresh, in_words
from harness.probes.children import read, write
from harness.probes.credentials import drop_capabilities
from harness.probes.syscalls import KINDS

NEW, NAMESPACES = "user", (("user",),)
__all__ = ["fresh", "in_words"]
FIRST = 0


def prepare() -> dict[str, Any]:
    """Be in no further groups, where that can be had; tell which groups there are in this namespace."""
    with contextlib.suppress(PermissionError):
        os.setgroups([])
    ids = [[*map(int, line.split())] for line in read("/proc/self/gid_map").splitlines()]
    return {
        "ids": [[first, count] for first, _, count in ids],
        "groups": os.getgroups(),
        "allowed": _allowed("self"),
    }


def settle(flags: int) -> None:
    """Map the user of a new user namespace, as far as the kernel lets one."""
    if flags & KINDS["user"]:
        with contextlib.suppress(PermissionError):
            write("/proc/self/uid_map", "0 0 1\n")


def _allowed(pid: object) -> bool:
    return {"allow": True, "deny": False}[read(f"/proc/{pid}/setgroups").strip()]


def _map(actor: Actor, argument: Any, file: int | None) -> None:
    pid, lines = argument
    write(f"/proc/{pid}/gid_map", "".join("{} {} {}\n".format(*line) for line in lines))


def _permit(actor: Actor, argument: Any, file: int | None) -> None:
    pid, word = argument
    write(f"/proc/{pid}/setgroups", word)


def _setgid(actor: Actor, number: Any, file: int | None) -> None:
    os.setgid(number)


def _setgroups(actor: Actor, groups: Any, file: int | None) -> None:
    os.setgroups(groups)


def _drop(actor: Actor, argument: Any, file: int | None) -> None:
    drop_capabilities()


VERBS: dict[str, Verb] = {
    "map": _map,
    "permit": _permit,
    "setgid": _setgid,
    "setgroups": _setgroups,
    "drop": _drop,
}


def look(actor: Actor, living: Any) -> dict[str, Any]:
    """All actors' groups, and what was written for their namespaces."""
    seen: dict[str, Any] = {"capable": int(_fields("self")["CapEff"][0], 16) != 0}
    for other, pid in living:
        name, fields = "abcdefgh"[other], _fields(pid)
        seen[f"group of {name}"] = int(fields["Gid"][1])
        seen[f"further groups of {name}"] = sorted(map(int, fields["Groups"]))
        seen[f"groups of {name} are mapped"] = bool(read(f"/proc/{pid}/gid_map"))
        seen[f"setgroups of {name}"] = "allow" if _allowed(pid) else "deny"
    return seen


def _fields(pid: object) -> dict[str, list[str]]:
    """The lines of a process's status (proc_pid_status(5)), as words by their names."""
    lines = (line.partition(":") for line in read(f"/proc/{pid}/status").splitlines())
    return {name: rest.split() for name, _, rest in lines}
