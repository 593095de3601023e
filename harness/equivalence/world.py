"""What can be read of a process from outside: its world, in canonical form. Runs on the host, Python 3.8.

Numbers that the kernel hands out are named by what they are to others: a namespace is the ``same`` as the
starter's or ``new``, a process group is the process's ``own`` or the ``isolator``'s, mounts and peer groups
are numbered by first appearance.
"""

from __future__ import annotations

import copy
import fcntl
import os
import re
from typing import Any

from harness.equivalence.probe import DEATH_SIGNAL

KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children", "user", "uts")
NS_GET_USERNS = 0xB701
"""ioctl_ns(2)."""

STATUS = """
Umask Uid Gid Groups Threads CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp
SigPnd ShdPnd SigBlk SigIgn SigCgt
"""
"""Fields of ``/proc/PID/status`` that do not change by themselves (proc(5))."""


class Surroundings:
    """What a world is described against: the starter's own namespaces, mounts and descriptors."""

    def __init__(self, names: dict[str, str]) -> None:
        """``names`` are those of files, by what ``/proc/PID/fd`` shows of them."""
        self.names = names
        self.namespaces = {kind: _link(f"/proc/self/ns/{kind}") for kind in KINDS}
        self.groups = set(re.findall(r"(?:shared|master):(\d+)", _text("/proc/self/mountinfo")))

    def with_names(self, names: dict[str, str]) -> Surroundings:
        """The same with more names of files."""
        made = copy.copy(self)
        made.names = {**self.names, **names}
        return made


def world(pid: int, isolator: int, around: Surroundings) -> dict[str, Any]:
    """The world of a process that sleeps, which was started by the isolator with that PID."""
    place = f"/proc/{pid}"
    status = dict(re.findall(r"^(\w+):\t(.*)$", _text(f"{place}/status"), re.MULTILINE))
    namespaces = {kind: _link(f"{place}/ns/{kind}") for kind in KINDS}
    return {
        "namespaces": {kind: _kind(place, kind, link, around) for kind, link in namespaces.items()},
        "maps": {name: _text(f"{place}/{name}").split() for name in ("uid_map", "gid_map", "setgroups")},
        "status": {name: _canonical(status.get(name, "")) for name in STATUS.split()},
        "pid": ["1" if number == "1" else "other" for number in status["NStgid"].split()[1:]],
        "job": _job(place, pid, isolator, around),
        "cgroup": _text(f"{place}/cgroup").splitlines(),
        "root": _link(f"{place}/root"),
        "directory": _link(f"{place}/cwd"),
        "program": _link(f"{place}/exe"),
        "name": _text(f"{place}/comm"),
        "mounts": _mounts(place, namespaces["mnt"], around),
        "files": _files(place, around),
        "limits": _text(f"{place}/limits").splitlines(),
        "environment": _text(f"{place}/environ").split("\0"),
        "arguments": _text(f"{place}/cmdline").split("\0"),
        "personality": _text(f"{place}/personality"),
        "owner": os.stat(place).st_uid,
        "death signal": int(_text(f"{place}/syscall").split()[DEATH_SIGNAL], 16),
    }


def _text(path: str) -> str:
    """A file's text, or the name of the error in brackets."""
    try:
        with open(path, encoding="utf-8", errors="backslashreplace") as file:
            return file.read()
    except OSError as error:
        return f"[{error.strerror}]"


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError as error:
        return f"[{error.strerror}]"


def _canonical(value: str) -> str:
    return " ".join(value.split())


def _kind(place: str, kind: str, link: str, around: Surroundings) -> str:
    """Whether a namespace is the starter's; of a new one, who owns it."""
    if link == around.namespaces[kind] or link.startswith("["):
        return "same" if link == around.namespaces[kind] else link
    if kind == "user":
        return "new"
    return f"new, of {_owner(f'{place}/ns/{kind}', _link(f'{place}/ns/user'), around)}"


def _owner(path: str, own: str, around: Surroundings) -> str:
    """Whose user namespace owns a namespace: the process's or the starter's."""
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            owner = fcntl.ioctl(file, NS_GET_USERNS)
        finally:
            os.close(file)
    except OSError as error:
        return f"[{error.strerror}]"
    link = _link(f"/proc/self/fd/{owner}")
    os.close(owner)
    return {own: "its own user", around.namespaces["user"]: "the starter's user"}.get(link, "another user")


def _job(place: str, pid: int, isolator: int, around: Surroundings) -> dict[str, str]:
    """Session, process group, controlling terminal and the group in its foreground."""
    fields = _text(f"{place}/stat").rpartition(")")[2].split()
    state, parent, group, session, terminal, foreground = fields[:6]
    named = {str(pid): "own", str(isolator): "isolator", "0": "none", "-1": "none"}
    return {
        "state": state,
        "parent": named.get(parent, "other"),
        "group": named.get(group, "other"),
        "session": named.get(session, "other"),
        "terminal": "none" if terminal == "0" else "one",
        "foreground": named.get(foreground, "other"),
    }


def _mounts(place: str, namespace: str, around: Surroundings) -> Any:
    """The mount table of a new namespace; ids and peer groups by first appearance, but the host's groups."""
    if namespace == around.namespaces["mnt"]:
        return "same"
    numbers: dict[str, str] = {}

    def rename(found: re.Match[str]) -> str:
        if found[2] in around.groups:
            return f"{found[1]}:host"
        return f"{found[1]}:{numbers.setdefault(found[0], str(len(numbers)))}"

    lines = []
    for line in _text(f"{place}/mountinfo").splitlines():
        mount, parent, rest = line.split(" ", 2)
        ids = [numbers.setdefault(f"mount {number}", str(len(numbers))) for number in (mount, parent)]
        lines.append(f"{' '.join(ids)} {re.sub(r'(shared|master|propagate_from):([0-9]+)', rename, rest)}")
    return lines


def _files(place: str, around: Surroundings) -> dict[str, str]:
    """What each descriptor stands for, and its flags."""
    seen = {}
    try:
        numbers = sorted(map(int, os.listdir(f"{place}/fd")))
    except OSError as error:
        return {"": f"[{error.strerror}]"}
    for number in numbers:
        link = _link(f"{place}/fd/{number}")
        flags = re.search(r"flags:\s*(\S+)", _text(f"{place}/fdinfo/{number}"))
        name = around.names.get(link, re.sub(r"\d+", "N", link))
        seen[str(number)] = f"{name} {flags[1] if flags else ''}"
    return seen
