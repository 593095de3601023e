"""What does each cell of the tables of sharedsubtree.rst say, and does this kernel do it?

Rule (sharedsubtree.rst, 5a to 5g; mount_namespaces(7)): what a mount becomes, and what appears on the other
side, follows from its type and that of the mount on which it comes to lie. A source is mounted at /a, a
parent at /b; the other side is a second namespace, a copy of the first one: peers, or masters of slaves.
Which scripts of LTP's fs_bind are told by which cell is listed in ``docs/propagation.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from harness.propagation.render import Line, Table
from harness.search.promised import Outcome, Promises


class Cell(NamedTuple):
    """What is seen at a place on both sides: a type, ``nothing``, or here the error."""

    here: str
    there: str


TYPES = ("shared", "private", "slave", "unbindable", "shared+slave")
BEFORE = {
    **dict.fromkeys(("shared", "slave", "shared+slave"), "make-shared {}"),
    **dict.fromkeys(("private", "unbindable"), ""),
}
"""What makes a mount of this type before it is copied to the other side; and what afterwards."""
AFTER = {
    **dict.fromkeys(("shared", "private"), ""),
    "slave": "make-slave {}",
    "unbindable": "make-unbindable {}",
    "shared+slave": "make-slave {0}; make-shared {0}",
}

NOTHING, EINVAL = "nothing", Cell("EINVAL", "nothing")
BOTH, TWICE = Cell("shared", "shared"), Cell("shared+slave", "shared+slave")

# Where the parent is shared, what lies on it appears on the other side as a peer; a slave becomes shared too.
# On one that is shared and a slave it is shared, and the master's side has nothing of it.
BIND = {
    **{(source, parent): Cell(source, NOTHING) for source in TYPES for parent in TYPES},
    **{("unbindable", parent): EINVAL for parent in TYPES},
    ("shared", "shared"): BOTH,
    ("private", "shared"): BOTH,
    ("slave", "shared"): TWICE,
    ("shared+slave", "shared"): TWICE,
    ("private", "shared+slave"): Cell("shared", NOTHING),
    ("slave", "shared+slave"): Cell("shared+slave", NOTHING),
}
MOVE = {
    **BIND,
    **{("unbindable", parent): Cell("unbindable", NOTHING) for parent in TYPES},
    ("unbindable", "shared"): EINVAL,
    ("unbindable", "shared+slave"): EINVAL,
}
# Of a tree, what is on an unbindable mount is left behind, and that mount with it.
RBIND_CHILD = {
    **BIND,
    **{("unbindable", parent): Cell(NOTHING, NOTHING) for parent in TYPES},
}

MAKE = {
    # state: how it is made; what each command makes of it here, and what the other side has then.
    "shared, with peers": (
        "mount s /a; make-shared /a; unshare",
        {"shared": BOTH, "slave": Cell("slave", "shared"), "private": Cell("private", "shared")},
    ),
    # The last one that leaves a group leaves its slaves without a master.
    "shared, alone, with a slave": (
        "mount s /a; make-shared /a; unshare; ns1: make-slave /a",
        {
            "shared": Cell("shared", "slave"),
            "slave": Cell("private", "private"),
            "private": Cell("private", "private"),
        },
    ),
    "slave": (
        "mount s /a; make-shared /a; unshare; make-slave /a",
        {
            "shared": Cell("shared+slave", "shared"),
            "slave": Cell("slave", "shared"),
            "private": Cell("private", "shared"),
        },
    ),
    "shared+slave, alone": (
        "mount s /a; make-shared /a; unshare; make-slave /a; make-shared /a",
        {
            "shared": Cell("shared+slave", "shared"),
            "slave": Cell("slave", "shared"),
            "private": Cell("private", "shared"),
        },
    ),
    "shared+slave, with peers": (
        "mount s /a; make-shared /a; bind /a /b; make-slave /a; make-shared /a; unshare",
        {
            "shared": Cell("shared+slave", "shared+slave"),
            "slave": Cell("slave", "shared+slave"),
            "private": Cell("private", "shared+slave"),
        },
    ),
    "private": (
        "mount s /a; unshare",
        {
            "shared": Cell("shared", "private"),
            "slave": Cell("private", "private"),
            "private": Cell("private", "private"),
        },
    ),
    "unbindable": (
        "mount s /a; unshare; make-unbindable /a",
        {
            "shared": Cell("shared", "private"),
            "slave": Cell("unbindable", "private"),
            "private": Cell("private", "private"),
        },
    ),
}
"""An unbindable mount leaves its group and its master as a private one does."""

CLONE = {
    # The copy's type in a namespace of the same owner, and of a less privileged one.
    "shared": ("mount s /a; make-shared /a", "shared", "slave"),
    "private": ("mount s /a", "private", "private"),
    "slave": ("mount s /a; make-shared /a; bind /a /b; make-slave /a", "slave", "slave"),
    "shared+slave": (
        "mount s /a; make-shared /a; bind /a /b; make-slave /a; make-shared /a",
        "shared+slave",
        "slave",
    ),
    "unbindable": ("mount s /a; make-unbindable /a", "unbindable", "unbindable"),
}


def type_at(table: Table, path: str) -> str:
    """The type of the uppermost mount at a path."""
    lines = [line for line in table if line.path == path]
    return type_of(lines[-1]) if lines else NOTHING


def type_of(line: Line) -> str:
    """A mount's type in the words of mount_namespaces(7)."""
    words = {tag.split(":")[0] for tag in line.tags}
    if "master" in words:
        return "shared+slave" if "shared" in words else "slave"
    return next(iter(words), "private")


def arranged(source: str, parent: str, *, child: bool = False) -> str:
    """A source at /a, or with ``child`` on it at /a/a, and a parent at /b, each of a type, on two sides."""
    place = "/a/a" if child else "/a"
    before = [
        "mount tree /a; make-shared /a" if child else "",
        f"mount s {place}",
        f"make-private {place}" if child and source != "shared" else "",
        "mount p /b",
        BEFORE[source].format(place),
        BEFORE[parent].format("/b"),
    ]
    # A parent that is shared and a slave has peers on a third side.
    peers = "unshare" if parent == "shared+slave" else ""
    after = [AFTER[parent].format("/b"), peers, AFTER[source].format(place)]
    return "; ".join(filter(None, [*before, "unshare", *after]))


def at(path: str) -> Callable[[Outcome], Cell]:
    """What a program leaves at a path on both sides."""
    return lambda it: Cell(it.errno or type_at(it.tables[0], path), type_at(it.tables[1], path))


@pytest.mark.parametrize(
    ("operation", "expected"),
    [("bind", BIND), ("rbind", BIND), ("move", MOVE)],
    ids=["bind", "rbind", "move"],
)
def test_type_of_source_and_parent_decide_what_becomes_of_a_mount(
    keeps: Callable[..., None], operation: str, expected: dict[tuple[str, str], Cell]
) -> None:
    """A bound or moved mount has the type, and appears on the other side, as source and parent demand."""
    keeps(operation, cells(operation, expected), at("/b/a"))


def cells(operation: str, expected: dict[tuple[str, str], Cell]) -> Promises[Cell]:
    """Each cell of an operation's table."""
    return {
        f"{source} onto {parent}": (f"{arranged(source, parent)}; {operation} /a /b/a", cell)
        for (source, parent), cell in expected.items()
    }


def test_each_mount_of_a_tree_is_bound_as_if_alone(keeps: Callable[..., None]) -> None:
    """What lies on a bound tree has the type that it would have if it were bound; or it is left there."""
    keeps("rbind: child", children(), at("/b/a/a"))


def children() -> Promises[Cell]:
    """Each cell of rbind's table for what lies on a shared tree."""
    return {
        f"{child} on a tree onto {parent}": (f"{arranged(child, parent, child=True)}; rbind /a /b/a", cell)
        for (child, parent), cell in RBIND_CHILD.items()
    }


def test_command_and_state_decide_the_type(keeps: Callable[..., None]) -> None:
    """Each make-command makes of each state what the table says; on the other side, what follows."""
    keeps("make-*", changes(), at("/a"))


def changes() -> Promises[Cell]:
    """Each cell of the state diagram."""
    return {
        f"{state}: make-{command}": (f"{program}; make-{command} /a", cell)
        for state, (program, row) in MAKE.items()
        for command, cell in {**row, "unbindable": row["private"]._replace(here="unbindable")}.items()
    }


@pytest.mark.parametrize("owner", ["same", "less-privileged"])
def test_clone_keeps_types_or_makes_slaves(keeps: Callable[..., None], owner: str) -> None:
    """A copy of a namespace has the types of the original; another owner's has slaves for what is shared."""
    keeps(f"clone, {owner} owner", clones(owner), at("/a"))


def clones(owner: str) -> Promises[Cell]:
    """Each type in a copy of a namespace."""
    unshare = "unshare" if owner == "same" else "unshare-user"
    return {
        state: (f"{program}; {unshare}", Cell(state, kinds[owner != "same"]))
        for state, (program, *kinds) in CLONE.items()
    }


PROMISES: Promises[Cell] = {
    **{
        f"{name}: {cell}": it
        for name, table in {"bind": BIND, "rbind": BIND, "move": MOVE}.items()
        for cell, it in cells(name, table).items()
    },
    **children(),
    **changes(),
    **{
        f"{owner} owner: {type_}": it
        for owner in ("same", "less-privileged")
        for type_, it in clones(owner).items()
    },
}
"""All cells of all tables."""
