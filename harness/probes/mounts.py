"""Mounts of a probe's own, in a workspace that the kernel drops with the sandbox; propagation as words."""

from __future__ import annotations

import os
from typing import List, NamedTuple

from harness.probes.children import read
from harness.probes.syscalls import mount

RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, NOATIME = 0x1, 0x2, 0x4, 0x8, 0x20, 0x400
BIND, MOVE, REC = 0x1000, 0x2000, 0x4000
UNBINDABLE, PRIVATE, SLAVE, SHARED = 1 << 17, 1 << 18, 1 << 19, 1 << 20
DETACH, EXPIRE = 2, 4

WORKSPACE = "/tmp"  # noqa: S108 - what lies there is covered, in the sandbox alone

STATES = {
    "shared": ("shared",),
    "slave": ("shared", "slave"),
    "shared+slave": ("shared", "slave", "shared"),
    "private": ("private",),
    "unbindable": ("unbindable",),
}
"""Propagation type to the commands that lead there, with a peer made after the first."""

FLAGS = {"shared": SHARED, "slave": SLAVE, "private": PRIVATE, "unbindable": UNBINDABLE}


class Mount(NamedTuple):
    """What mountinfo tells of one mount."""

    id: int
    parent: int
    root: str
    point: str
    options: str
    tags: List[str]

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


def table(process: object = "self") -> List[Mount]:
    """The mounts that a process sees, in mountinfo's order."""
    found = []
    for line in read("/proc/%s/mountinfo" % process).splitlines():
        id_, parent, _, root, point, options, *tags = line.split(" - ")[0].split(" ")
        found.append(Mount(int(id_), int(parent), root, point, options, tags))
    return found


def at(point: str, process: object = "self") -> Mount:
    """The mount on top at a path of the workspace.

    Raises:
        StopIteration: nothing is mounted there.
    """
    here = [found for found in table(process) if found.point == "%s/%s" % (WORKSPACE, point)]
    parents = {found.parent for found in here}
    return next(found for found in here if found.id not in parents)


def state_at(point: str, process: object = "self") -> str:
    """The propagation type of what is on top at a path of the workspace, or ``absent``."""
    try:
        return at(point, process).propagation
    except StopIteration:
        return "absent"


def make(point: str, state: str) -> None:
    """Mount a tmpfs in the workspace that has this propagation type, with a peer where it is shared first."""
    os.mkdir(point)
    mount("none", point, "tmpfs")
    first, *others = STATES[state]
    mount("", point, "", FLAGS[first])
    if first == "shared":
        os.mkdir(point + "-peer")
        mount(point, point + "-peer", "", BIND)
    for command in others:
        mount("", point, "", FLAGS[command])
