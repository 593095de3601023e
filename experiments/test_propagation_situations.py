"""Does this kernel do what is described beyond the tables of sharedsubtree.rst?

Rule (sharedsubtree.rst, 5a to 5g and 6; mount_namespaces(7)): the situations of LTP's fs_bind scripts and of
sharedsubtree.rst's quizzes that no single cell of a table tells. Which script or quiz is which situation is
listed in ``docs/propagation.md``.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.notebook import Notebook
from harness.propagation.render import Table
from harness.search.kernel import Kernel
from harness.search.promised import ran

SITUATIONS = {
    "a slave of what is mounted on later receives it": (
        "mount p /a; make-shared /a; bind /a /b; make-slave /b; mount s /a/a",
        {0: ["/a p shared:1", "/a/a s shared:2", "/b p master:1", "/b/a s master:2"]},
    ),
    "a mount on a slave stays on it": (
        "mount p /a; make-shared /a; bind /a /b; make-slave /b; mount s /b/a",
        {0: ["/a p shared:1", "/b p master:1", "/b/a s"]},
    ),
    "bind leaves the child of a tree behind": (
        "mount p /a; mount s /a/a; bind /a /b",
        {0: ["/a p", "/a/a s", "/b p"]},
    ),
    "a mount travels down a chain of slaves, and not up": (
        "make-shared /; unshare-user; ns1: make-shared /; ns1: unshare-user; mount s /a; ns2: mount t /b",
        {
            0: ["/ w shared:1", "/a s shared:2"],
            1: ["/ w shared:3 master:1", "/a s shared:4 master:2"],
            2: ["/ w master:3", "/a s master:4", "/b t"],
        },
    ),
    "a slave of a group that lacks the place receives from the group above": (
        "mount p /a; make-shared /a; bind /a/a /b; make-slave /b; make-shared /b; unshare; mount s /a/b",
        {
            0: ["/a p shared:1", "/a/b s shared:2", "/b p[/a] shared:3 master:1"],
            1: ["/a p shared:1", "/a/b s shared:2", "/b p[/a] shared:3 master:1"],
        },
    ),
    "a root bound to its own child appears there once": (
        "mount p /a; make-shared /a; bind /a /a/a",
        {0: ["/a p shared:1", "/a/a p shared:1"]},
    ),
    "a tree rbound to its own child, whose child is private": (
        "mount p /a; make-shared /a; mount s /a/a; make-private /a/a; rbind /a /a/b",
        {0: ["/a p shared:1", "/a/a s", "/a/b p shared:1", "/a/b/a s shared:2"]},
    ),
    "a tree rbound to its own child, whose child is shared": (
        "mount p /a; make-shared /a; mount s /a/a; rbind /a /a/b",
        {0: ["/a p shared:1", "/a/a s shared:2", "/a/b p shared:1", "/a/b/a s shared:2"]},
    ),
    "a tree rbound to its own child, whose child is unbindable": (
        "mount p /a; make-shared /a; mount s /a/a; make-unbindable /a/a; rbind /a /a/b",
        {0: ["/a p shared:1", "/a/a s unbindable", "/a/b p shared:1"]},
    ),
    "two shared mounts bound to each other": (
        "mount p /a; mount q /b; make-shared /a; make-shared /b; bind /a /b/a; bind /b /a/b",
        {
            0: [
                "/a p shared:1",
                "/a/b q shared:2",
                "/b q shared:2",
                "/b/a p shared:1",
                "/b/a/b q shared:2",
            ]
        },
    ),
    "a mount on a shared parent can't be moved": (
        "mount p /a; make-shared /a; mount s /a/a; move /a/a /b",
        {0: ["/a p shared:1", "/a/a s shared:2"]},
    ),
    "a private tree is moved with its shared child": (
        "mount p /a; mount s /a/a; make-shared /a/a; move /a /b",
        {0: ["/b p", "/b/a s shared:1"]},
    ),
    "a private tree is moved with its slave child": (
        "mount p /a; mount s /a/a; make-shared /a/a; unshare; make-slave /a/a; move /a /b",
        {0: ["/b p", "/b/a s master:1"], 1: ["/a p", "/a/a s shared:1"]},
    ),
    "a private tree is moved with its unbindable child": (
        "mount p /a; mount s /a/a; make-unbindable /a/a; move /a /b",
        {0: ["/b p", "/b/a s unbindable"]},
    ),
    "a private tree is rbound with its shared child": (
        "mount p /a; mount s /a/a; make-shared /a/a; rbind /a /b",
        {0: ["/a p", "/a/a s shared:1", "/b p", "/b/a s shared:1"]},
    ),
    "a private tree is rbound with its slave child": (
        "mount p /a; mount s /a/a; make-shared /a/a; unshare; make-slave /a/a; rbind /a /b",
        {
            0: ["/a p", "/a/a s master:1", "/b p", "/b/a s master:1"],
            1: ["/a p", "/a/a s shared:1"],
        },
    ),
    "a private tree is rbound without its unbindable child": (
        "mount p /a; mount s /a/a; make-unbindable /a/a; rbind /a /b",
        {0: ["/a p", "/a/a s unbindable", "/b p"]},
    ),
    "a bound mount is moved into the tree that it was bound from": (
        "mount p /a; make-shared /a; bind /a /b; move /b /a/a",
        {0: ["/a p shared:1", "/a/a p shared:1", "/a/a/a p shared:1"]},
    ),
    "a mount that was moved into its own tree can't be moved out again": (
        "mount p /a; make-shared /a; bind /a /b; move /b /a/a; mount q /b; make-shared /b; move /a/a /b/a",
        {0: ["/a p shared:1", "/a/a p shared:1", "/a/a/a p shared:1", "/b q shared:2"]},
    ),
    "a copy of a namespace receives within a directory that is bound to itself": (
        "mount p /a; make-shared /a; bind /a /b; unshare; ns1: mount s /b/a",
        {
            number: ["/a p shared:1", "/a/a s shared:2", "/b p shared:1", "/b/a s shared:2"]
            for number in (0, 1)
        },
    ),
    "a slave child on a slave parent, in a copied namespace": (
        "mount p /a; make-shared /a; mount s /a/a; unshare; ns1: make-rslave /a; mount t /a/a/b",
        {
            0: ["/a p shared:1", "/a/a s shared:2", "/a/a/b t shared:3"],
            1: ["/a p master:1", "/a/a s master:2", "/a/a/b t master:3"],
        },
    ),
    "quiz A: a mount moved into its own peer appears on itself, once": (
        "bind /a /a; make-shared /a; bind /a /b; move /b /a/c",
        {0: ["/a w[/a] shared:1", "/a/c w[/a] shared:1", "/a/c/c w[/a] shared:1"]},
    ),
    "quiz B: what is below a shared root rbound into it is there once": (
        "make-rshared /; rbind / /a/c",
        {0: ["/ w shared:1", "/a/c w shared:1"]},
    ),
    # A is at /b/a, B, which lacks the place, at /b/b, C at /a: A -> B -> C.
    "quiz C: a mount passes over a group that lacks the place to the group below": (
        (
            "mount p /a; make-shared /a; mount q /b; bind /a /b/a; make-slave /a; make-shared /a; "
            "bind /a/a /b/b; make-slave /a; mount s /b/a/b"
        ),
        {
            0: [
                "/a p master:1",
                "/a/b s master:2",
                "/b q",
                "/b/a p shared:3",
                "/b/a/b s shared:2",
                "/b/b p[/a] shared:1 master:3",
            ]
        },
    ),
}
"""Each situation's program and all tables after it, without a namespace's first mount where it is private."""


def test_situation_leaves_these_tables(kernel: Kernel, notebook: Notebook) -> None:
    """Each situation leaves the tables that the pages promise, on both sides."""
    found = {}
    for name, (program, _) in SITUATIONS.items():
        tables = ran(kernel, program)[1]
        found[name] = {number: [*_told(table)] for number, table in tables.items()}
    notebook.table(
        "situations", ("situation", "program"), [(it, text) for it, (text, _) in SITUATIONS.items()]
    )

    assert found == {name: tables for name, (_, tables) in SITUATIONS.items()}


def _told(table: Table) -> Iterator[str]:
    for line in table:
        if line.depth or line.tags:
            yield " ".join((line.text, *line.tags))
