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

from harness.notebook import Notebook
from harness.propagation.programs import parse, replay
from harness.propagation.render import Line, Table
from harness.search.kernel import Kernel, seen
from harness.search.promised import ran


class Cell(NamedTuple):
    """What is seen at a place on both sides: a type, ``nothing``, or here the error."""

    here: str
    there: str


TYPES = ("shared", "private", "slave", "unbindable")
BEFORE = {"shared": "make-shared {}", "private": "", "slave": "make-shared {}", "unbindable": ""}
"""What makes a mount of this type before it is copied to the other side; and what afterwards."""
AFTER = {"shared": "", "private": "", "slave": "make-slave {}", "unbindable": "make-unbindable {}"}

NOTHING, EINVAL = "nothing", Cell("EINVAL", "nothing")
SHARED, SLAVE, PRIVATE = Cell("shared", NOTHING), Cell("slave", NOTHING), Cell("private", NOTHING)
BOTH = Cell("shared", "shared")

# Where the parent is shared, what lies on it appears on the other side as a peer; a slave becomes shared too.
BIND = {
    **{("shared", parent): SHARED for parent in TYPES},
    **{("private", parent): PRIVATE for parent in TYPES},
    **{("slave", parent): SLAVE for parent in TYPES},
    **{("unbindable", parent): EINVAL for parent in TYPES},
    ("shared", "shared"): BOTH,
    ("private", "shared"): BOTH,
    ("slave", "shared"): Cell("shared+slave", "shared+slave"),
}
MOVE = {
    **BIND,
    **{("unbindable", parent): Cell("unbindable", NOTHING) for parent in TYPES},
    ("unbindable", "shared"): EINVAL,
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
    below = "mount tree /a; make-shared /a" if child else ""
    before = [
        below,
        f"mount s {place}",
        "mount p /b",
        BEFORE[source].format(place),
        BEFORE[parent].format("/b"),
    ]
    if child and source != "shared":
        before.insert(2, f"make-private {place}")
    after = [AFTER[source].format(place), AFTER[parent].format("/b")]
    return "; ".join(filter(None, [*before, "unshare", *after]))


def cell(kernel: Kernel, program: str, path: str) -> Cell:
    """What a program leaves at a path on both sides."""
    error, tables = ran(kernel, program)
    return Cell(error or type_at(tables[0], path), type_at(tables[1], path))


@pytest.mark.parametrize(
    ("operation", "expected"),
    [("bind", BIND), ("rbind", BIND), ("move", MOVE)],
    ids=["bind", "rbind", "move"],
)
def test_type_of_source_and_parent_decide_what_becomes_of_a_mount(
    kernel: Kernel, notebook: Notebook, operation: str, expected: dict[tuple[str, str], Cell]
) -> None:
    """A bound or moved mount has the type, and appears on the other side, as source and parent demand."""
    found = {
        (source, parent): cell(kernel, f"{arranged(source, parent)}; {operation} /a /b/a", "/b/a")
        for source in TYPES
        for parent in TYPES
    }
    notebook.table(
        operation, ("source", "parent", "here", "there"), [(*key, *it) for key, it in found.items()]
    )

    assert found == expected


def test_each_mount_of_a_tree_is_bound_as_if_alone(kernel: Kernel, notebook: Notebook) -> None:
    """What lies on a bound tree has the type that it would have if it were bound; or it is left there."""
    found = {
        (child, parent): cell(kernel, f"{arranged(child, parent, child=True)}; rbind /a /b/a", "/b/a/a")
        for child in TYPES
        for parent in TYPES
    }
    notebook.table(
        "rbind: child", ("child", "parent", "here", "there"), [(*key, *it) for key, it in found.items()]
    )

    assert found == RBIND_CHILD


def test_command_and_state_decide_the_type(kernel: Kernel, notebook: Notebook) -> None:
    """Each make-command makes of each state what the table says; on the other side, what follows."""
    commands = ("shared", "slave", "private", "unbindable")
    found = {
        (state, command): cell(kernel, f"{program}; make-{command} /a", "/a")
        for state, (program, _) in MAKE.items()
        for command in commands
    }
    columns = ("state", "command", "here", "there")
    notebook.table("make-*", columns, [(*key, *it) for key, it in found.items()])

    expected = {
        (state, command): row["private"]._replace(here="unbindable")
        if command == "unbindable"
        else row[command]
        for state, (_, row) in MAKE.items()
        for command in commands
    }
    assert found == expected


@pytest.mark.parametrize("owner", ["same", "less-privileged"])
def test_clone_keeps_types_or_makes_slaves(
    kernel: Kernel, notebook: Notebook, known: Callable[..., bool], owner: str
) -> None:
    """A copy of a namespace has the types of the original; another owner's has slaves for what is shared."""
    unshare = "unshare" if owner == "same" else "unshare-user"
    found = {}
    for state, (program, *_) in CLONE.items():
        steps = replay(parse(f"{program}; {unshare}"))
        tables = seen(steps, kernel.run(steps))[-1]
        found[state] = Cell(type_at(tables[0], "/a"), type_at(tables[1], "/a"))
    notebook.table(
        f"clone, {owner} owner", ("state", "here", "there"), [(key, *it) for key, it in found.items()]
    )

    expected = {state: Cell(state, kinds[owner != "same"]) for state, (_, *kinds) in CLONE.items()}
    lost = Cell("unbindable", "private")
    if found["unbindable"] == lost and known(rule="propagation.unbindable-lost", value=True):
        expected["unbindable"] = lost
    assert found == expected
