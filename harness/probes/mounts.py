"""Mounts of a probe's own, in a workspace that the kernel drops with the sandbox; propagation as words."""

from __future__ import annotations

import os
from typing import NamedTuple

from harness.probes.children import read
from harness.probes.syscalls import mount

RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, NOATIME = 0x1, 0x2, 0x4, 0x8, 0x20, 0x400
BIND, MOVE, REC, STRICTATIME = 0x1000, 0x2000, 0x4000, 1 << 24
UNBINDABLE, PRIVATE, SLAVE, SHARED = 1 << 17, 1 << 18, 1 << 19, 1 << 20
DETACH, EXPIRE = 2, 4

WORKSPACE = "/tmp"

STATES = {
    "shared": ["shared", "peer"],
    "shared_alone": ["shared"],
    "slave": ["shared", "peer", "slave"],
    "shared+slave": ["shared", "peer", "slave", "shared"],
    "private": ["private"],
    "unbindable": ["unbindable"],
}
"""Propagation type to the commands that lead there; ``peer`` binds a second mount of the group."""

FLAGS = {"shared": SHARED, "slave": SLAVE, "private": PRIVATE, "unbindable": UNBINDABLE}


class Mount(NamedTuple):
    """What mountinfo tells of one mount."""

    id: int
    parent: int
    root: str
    point: str
    options: str
    tags: list[str]

    @property
    def propagation(self) -> str:
        """The propagation type, in the words of mount_namespaces(7)."""
        names = [tag.split(":")[0] for tag in self.tags]
        words = [word for tag, word in (("shared", "shared"), ("master", "slave")) if tag in names]
        return "unbindable" if "unbindable" in names else "+".join(words) or "private"

    def group(self, tag: str) -> str:
        """The number behind ``shared:`` or ``master:``, or nothing."""
        return next((text.split(":")[1] for text in self.tags if text.startswith(tag + ":")), "")


def workspace() -> None:
    """Cover a directory with a private tmpfs and go there."""
    mount("workspace", WORKSPACE, "tmpfs")
    os.chdir(WORKSPACE)


def table(process: object = "self") -> list[Mount]:
    """The mounts that a process sees, in mountinfo's order."""
    found = []
    for line in read(f"/proc/{process}/mountinfo").split("\n"):
        id_, parent, _, root, point, options, *tags = line.split(" - ")[0].split(" ")
        found.append(Mount(int(id_), int(parent), root, point, options, tags))
    return found


def at(point: str, process: object = "self") -> Mount:
    """The mount on top at a path of the workspace.

    Raises:
        StopIteration: nothing is mounted there.
    """
    here = [found for found in table(process) if found.point == f"{WORKSPACE}/{point}"]
    parents = {found.parent for found in here}
    return next(found for found in here if found.id not in parents)


def state_at(point: str, process: object = "self") -> str:
    """The propagation type of what is on top at a path of the workspace, or ``absent``."""
    try:
        return at(point, process).propagation
    except StopIteration:
        return "absent"


def make(point: str, state: str) -> None:
    """Mount a tmpfs in the workspace and give it a propagation type."""
    os.mkdir(point)
    mount("none", point, "tmpfs")
    for command in STATES[state]:
        if command == "peer":
            bind(point, point + "-peer")
        else:
            mount("", point, "", FLAGS[command])


def bind(source: str, point: str, more: int = 0) -> None:
    """Bind a mount to a new folder."""
    os.mkdir(point)
    mount(source, point, "", BIND | more)


def described(point: str, source: Mount) -> str:
    """The propagation type at a path, and whether it is in the source's peer group or a slave of that."""
    try:
        found = at(point)
    except StopIteration:
        return "absent"
    if found.group("shared") and found.group("shared") == source.group("shared"):
        return found.propagation + ", peer of source"
    if found.group("master") and found.group("master") == source.group("shared"):
        return found.propagation + ", slave of source"
    return found.propagation
