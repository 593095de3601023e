"""What a model of mount propagation is about: file systems' directories, mounts, peer groups, namespaces.

Values are immutable: an operation makes a new :class:`State`. A mount shows a directory of a file system
(its *root*) at a directory (its *point*) of the mount below it (its *parent*). Its type is told by three
fields, as in mountinfo: ``group`` is the peer group of which it is a member, ``master`` the one of which it
is a slave (mount_namespaces(7), "SHARED SUBTREES"). All members of a group have the same master.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import NamedTuple

DIRECTORIES = frozenset({"/", "/a", "/a/c", "/b"})
"""The directories of every file system."""

_INSIDE = {(above or "/", name): path for path in DIRECTORIES for above, _, name in [path.rpartition("/")]}
"""Each of them by the one that it is in and its name there."""

LOST_UNBINDABLE = "unbindable-lost"
"""A known difference: builds that forget, in a copy of a namespace, what was unbindable."""
LOST_COVER = "cover-not-locked"
"""A known difference: builds that leave free what comes beneath a locked mount, and so what that hides."""
SHIFTS_COVER = "cover-shifts"
"""A known difference: builds that take a mount away from below what stays, which then lies elsewhere."""
KEEPS_COVER = "locked-cover-stays"
"""A known difference: builds that keep a locked mount over the root of one that goes with a detached tree."""
FREES_COVER = "locked-cover-freed"
"""A known difference: builds that hand the lock of a mount on to what comes beneath it."""
TWO_COVERS = "two-covers"
"""A known difference: builds that put what covers a receiver onto the lowest of a stack that comes there."""

FIRST = 0
"""The number of the first namespace, and of the user namespace that owns it."""


class Refused(Exception):  # noqa: N818 - the model's word for what the kernel refuses
    """The kernel refuses an operation; nothing changes."""

    def __init__(self, errno: str) -> None:
        """Refuse with the name of an error number."""
        super().__init__(errno)
        self.errno = errno


class Mount(NamedTuple):
    """One mount."""

    id: int
    namespace: int
    parent: int
    """The mount it is mounted on; 0 for the first mount of a namespace."""
    point: str
    """The directory of the parent's file system at which it is mounted."""
    source: str
    """The name of the file system."""
    root: str
    """The directory of the file system that it shows."""
    group: int = 0
    master: int = 0
    unbindable: bool = False
    locked: bool = False
    """Whether it must not be taken away alone, for what it hides (mount_namespaces(7), "Restrictions")."""

    def contains(self, directory: str) -> bool:
        """Whether a directory of the file system can be reached through this mount."""
        return within(directory, self.root)


class Namespace(NamedTuple):
    """A mount namespace: its first mount, and the user namespace that owns it."""

    root: int
    owner: int


class Place(NamedTuple):
    """Where a path leads: a mount and a directory of its file system."""

    mount: Mount
    directory: str

    @property
    def is_root(self) -> bool:
        """Whether it is the mount's root, as most operations demand of what they act on."""
        return self.directory == self.mount.root


@dataclass(frozen=True)
class State:
    """Every mount of every namespace, at one moment."""

    mounts: Mapping[int, Mount]
    namespaces: Mapping[int, Namespace]
    made: int
    """The highest number that was given to a mount, a group or a user namespace."""
    known: Set[str] = frozenset()
    """Which known differences from the documents this kernel has, by their ids."""

    def __repr__(self) -> str:
        """In short: hypothesis writes down every value that it draws."""
        return f"<{len(self.mounts)} mounts in {len(self.namespaces)} namespaces>"

    @cached_property
    def covering(self) -> Mapping[tuple[int, str], Mount]:
        """Which mount is mounted at a mount's directory: there is one at most.

        Of two, which :data:`TWO_COVERS` makes, it is the later one that is seen.
        """
        return {(mount.parent, mount.point): mount for mount in self.mounts.values()}

    @cached_property
    def children(self) -> Mapping[int, list[Mount]]:
        """The mounts on each mount, in the order of their points."""
        found: dict[int, list[Mount]] = {}
        for mount in self.mounts.values():
            found.setdefault(mount.parent, []).append(mount)
        for beside in found.values():
            if len(beside) > 1:
                beside.sort(key=attrgetter("point"))
        return found

    def subtree(self, mount: Mount) -> Iterator[Mount]:
        """A mount and all below it, parents first."""
        yield mount
        for child in self.children.get(mount.id, ()):
            yield from self.subtree(child)

    def top(self, mount: Mount) -> Mount:
        """The uppermost of the mounts that are mounted over a mount's root, one on the other."""
        while above := self.covering.get((mount.id, mount.root)):
            mount = above
        return mount

    def group(self, group: int) -> list[Mount]:
        """The members of a peer group."""
        return [mount for mount in self.mounts.values() if group and mount.group == group]

    def slaves(self, group: int) -> list[Mount]:
        """The mounts whose immediate master is a peer group."""
        return [mount for mount in self.mounts.values() if group and mount.master == group]

    def find(self, namespace: int, path: str) -> Place:
        """Where a path leads, from the first mount of a namespace (path_resolution(7)).

        Each step but the very first crosses what is mounted there: a mount over the root directory is not
        seen by those whose root directory lies below it.
        """
        place = self.beginning(namespace)
        for name in filter(None, path.split("/")):
            below = self.below(place, name)
            if below is None:
                raise Refused("ENOENT")
            place = below
        return place

    def beginning(self, namespace: int) -> Place:
        """Where paths of a namespace begin: the root of its first mount."""
        mount = self.mounts[self.namespaces[namespace].root]
        return Place(mount, mount.root)

    def below(self, place: Place, name: str) -> Place | None:
        """Where a name leads in the directory of a place, across all that is mounted there, if anywhere."""
        mount, directory = place
        inside = _INSIDE.get((directory, name))
        if inside is None:
            return None
        while above := self.covering.get((mount.id, inside)):
            mount, inside = above, above.root
        return Place(mount, inside)

    def having(self, mounts: Iterable[Mount], made: int = 0) -> State:
        """The state with these mounts, new ones or others in place of those with their numbers."""
        changed = {mount.id: mount for mount in mounts}
        made = max(self.made, made, *changed, 0)
        return State({**self.mounts, **changed}, self.namespaces, made, self.known)

    def lacking(self, gone: Iterable[int]) -> State:
        """The state without these mounts."""
        left = dict(self.mounts)
        for number in gone:
            del left[number]
        return State(left, self.namespaces, self.made, self.known)


def within(directory: str, root: str) -> bool:
    """Whether a directory is another one or lies below it."""
    return root == "/" or directory == root or directory.startswith(f"{root}/")


def first(known: Set[str] = frozenset()) -> State:
    """One namespace with one private mount, on a kernel with these known differences."""
    return State({1: Mount(1, FIRST, 0, "/", "w", "/")}, {FIRST: Namespace(1, FIRST)}, 1, known)
