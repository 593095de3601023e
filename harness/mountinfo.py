"""Read ``/proc/PID/mountinfo`` and compare what mounts mean. Source: proc_pid_mountinfo(5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Mount(NamedTuple):
    """One line of mountinfo; paths are unescaped."""

    id: int
    parent: int
    device: str
    root: str
    point: str
    options: str
    tags: tuple[str, ...]
    """The optional fields as they stand: ``shared:1``, ``master:2``, ``propagate_from:3``, ``unbindable``."""
    type: str
    source: str

    @property
    def propagation(self) -> str:
        """The propagation type in the words of mount_namespaces(7); a private mount has no tag."""
        kinds = {tag.split(":")[0] for tag in self.tags}
        if "unbindable" in kinds:
            return "unbindable"
        if "master" in kinds:
            return "shared+slave" if "shared" in kinds else "slave"
        return "shared" if "shared" in kinds else "private"

    def __str__(self) -> str:
        """The line in short, as findmnt(8) would name it."""
        return (
            f"{self.type} {self.source} on {self.point} ({self.propagation}, id {self.id} on {self.parent})"
        )


def parse(text: str) -> list[Mount]:
    """Every mount of a mountinfo text, in its order.

    Raises:
        ValueError: a line is not of mountinfo's form; the message holds the line.
    """
    return [_parse_line(line) for line in text.split("\n") if line]


def _parse_line(line: str) -> Mount:
    # The optional fields end at a lone hyphen; what follows it is counted from there.
    try:
        before, after = line.split(" - ", 1)
        id_, parent, device, root, point, options, *tags = before.split(" ")
        type_, source = after.split(" ")[:2]
        return Mount(
            int(id_),
            int(parent),
            device,
            _unescape(root),
            _unescape(point),
            options,
            tuple(tags),
            type_,
            source,
        )
    except ValueError:
        raise ValueError(f"not a line of mountinfo: {line!r}") from None


def _unescape(field: str) -> str:
    """Undo the kernel's octal escapes for space, tab, newline, hash and backslash."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def at(mounts: Iterable[Mount], point: str) -> Mount | None:
    """The mount that a path lookup of ``point`` reaches, or None where nothing is mounted.

    Of a stack it is the one that no other mount at the same place names as its parent: the order of the
    lines does not tell.
    """
    here = [mount for mount in mounts if mount.point == point]
    parents = {mount.parent for mount in here}
    tops = [mount for mount in here if mount.id not in parents]
    return tops[-1] if tops else None


def deepest_first(mounts: Iterable[Mount]) -> Iterator[Mount]:
    """The mounts in an order in which each can be unmounted: children before their parents."""
    remaining = {mount.id: mount for mount in mounts}
    while remaining:
        parents = {mount.parent for mount in remaining.values() if mount.parent != mount.id}
        leaves = [mount for mount in remaining.values() if mount.id not in parents] or list(
            remaining.values()
        )
        for mount in leaves:
            del remaining[mount.id]
            yield mount
