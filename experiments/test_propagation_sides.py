"""Does this kernel do what is described of mounts in a namespace and in a copy of it?

Rule (sharedsubtree.rst, 5a to 5g; mount_namespaces(7), "SHARED SUBTREES"): the situations of LTP's fs_bind
scripts that take two sides, with mounts and umounts on either. Which script is which situation is listed in
``docs/propagation.md``.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.search.promised import Left, Promises, left

PROMISES: Promises[Left] = {
    "a mount travels down a chain of slaves of three owners, and not up": (
        ("make-shared /; unshare-user; ns1: make-shared /; ns1: unshare-user; mount s /a; ns2: mount t /b"),
        {
            0: "/ w shared:1, /a s shared:2",
            1: "/ w shared:3 master:1, /a s shared:4 master:2",
            2: "/ w master:3, /a s master:4, /b t",
        },
    ),
    "a slave of a group that lacks the place receives from the group above": (
        ("mount p /a; make-shared /a; bind /a/a /b; make-slave /b; make-shared /b; unshare; mount s /a/b"),
        dict.fromkeys((0, 1), "/a p shared:1, /a/b s shared:2, /b p[/a] shared:3 master:1"),
    ),
    "a private tree with shared children is moved onto a shared mount that has a peer": (
        (
            "mount m /a; mount s /a/a; make-shared /a/a; bind /a/a /a/b; mount d /a/a/a; "
            "mount t /b; make-shared /b; unshare; move /a /b/a"
        ),
        {
            0: (
                "/b t shared:1, /b/a m shared:2, /b/a/a s shared:3, /b/a/a/a d shared:4, "
                "/b/a/b s shared:3, /b/a/b/a d shared:4"
            ),
            1: (
                "/a m, /a/a s shared:3, /a/a/a d shared:4, /a/b s shared:3, /a/b/a d shared:4, "
                "/b t shared:1, /b/a m shared:2, /b/a/a s shared:3, /b/a/a/a d shared:4, "
                "/b/a/b s shared:3, /b/a/b/a d shared:4"
            ),
        },
    ),
    "a private tree is moved with its slave child": (
        "mount p /a; mount s /a/a; make-shared /a/a; unshare; make-slave /a/a; move /a /b",
        {0: "/b p, /b/a s master:1", 1: "/a p, /a/a s shared:1"},
    ),
    "a private tree is rbound with its slave child": (
        "mount p /a; mount s /a/a; make-shared /a/a; unshare; make-slave /a/a; rbind /a /b",
        {0: "/a p, /a/a s master:1, /b p, /b/a s master:1", 1: "/a p, /a/a s shared:1"},
    ),
    "the tree into which a mount was moved is moved onto a shared mount that has a peer": (
        (
            "mount p /a; make-shared /a; bind /a /b; move /a /b/a; mount q /a; make-shared /a; "
            "unshare; move /b /a/a"
        ),
        {
            0: "/a q shared:1, /a/a p shared:2, /a/a/a p shared:2, /a/a/a/a p shared:2",
            1: (
                "/a q shared:1, /a/a p shared:2, /a/a/a p shared:2, /a/a/a/a p shared:2, "
                "/b p shared:2, /b/a p shared:2, /b/a/a p shared:2"
            ),
        },
    ),
    "the moved tree's innermost copy is unmounted, and with it every other": (
        (
            "mount p /a; make-shared /a; bind /a /b; move /a /b/a; mount q /a; make-shared /a; "
            "unshare; move /b /a/a; umount /a/a/a/a"
        ),
        {0: "/a q shared:1, /a/a p shared:2", 1: "/a q shared:1, /a/a p shared:2, /b p shared:2"},
    ),
    "peers in a copied namespace: a mount from either side": (
        "mount p /a; make-shared /a; bind /a /b; unshare; mount s /b/a; ns1: mount t /a/b",
        dict.fromkeys(
            (0, 1),
            (
                "/a p shared:1, /a/a s shared:2, /a/b t shared:3, /b p shared:1, /b/a s shared:2, "
                "/b/b t shared:3"
            ),
        ),
    ),
    "a master and its slave in a copied namespace: mounts and an umount from either side": (
        (
            "mount p /a; make-shared /a; bind /a /b; make-slave /b; unshare; mount s /a/a; "
            "mount t /b/b; ns1: umount /b/a; ns1: mount u /a/a/b"
        ),
        {
            0: (
                "/a p shared:1, /a/a s shared:2, /a/a/b u shared:3, /b p master:1, "
                "/b/a s master:2, /b/a/b u master:3, /b/b t"
            ),
            1: "/a p shared:1, /a/a s shared:2, /a/a/b u shared:3, /b p master:1",
        },
    ),
    "private mounts in a copied namespace: a mount on either side": (
        "mount p /a; unshare; mount s /a/a; ns1: mount t /a/b",
        {0: "/a p, /a/a s", 1: "/a p, /a/b t"},
    ),
    "a tree rbound to its own child, in a copied namespace: mounts and an umount from either side": (
        (
            "mount p /a; make-shared /a; bind /a/a /a/a; bind /a/b /a/b; mount c /a/a; "
            "rbind /a /a/b; unshare; mount d /a/a/a; mount e /a/b/a/b; ns1: mount f /a/b/a/a/a; "
            "ns1: umount /a/a/b"
        ),
        dict.fromkeys(
            (0, 1),
            (
                "/a p shared:1, /a/a c shared:2, /a/a p[/a] shared:1, /a/a c shared:2, "
                "/a/a/a d shared:3, /a/a/a/a f shared:4, /a/a/a d shared:3, /a/a/a/a f shared:4, "
                "/a/b p shared:1, /a/b p[/b] shared:1, /a/b p shared:1, /a/b/a c shared:2, "
                "/a/b/a p[/a] shared:1, /a/b/a c shared:2, /a/b/a/a d shared:3, "
                "/a/b/a/a/a f shared:4, /a/b/a/a d shared:3, /a/b/a/a/a f shared:4, "
                "/a/b/b p[/b] shared:1, /a/b/a c shared:2, /a/b/a p[/a] shared:1, "
                "/a/b/a c shared:2, /a/b/a/a d shared:3, /a/b/a/a/a f shared:4, "
                "/a/b/a/a d shared:3, /a/b/a/a/a f shared:4, /a/b/b p[/b] shared:1"
            ),
        ),
    ),
    "mounts on a chain of slaves, in a copied namespace: from either side": (
        (
            "mount p /a; make-shared /a; mount h /b; mount i /b/b; bind /a /b/a; make-slave /b/a; "
            "make-shared /b/a; bind /b/a /b/b/a; make-slave /b/b/a; make-shared /b/b/a; "
            "bind /b/b/a /b/b/b; make-slave /b/b/b; unshare; mount s /a/a; mount t /b/a/a/a; "
            "ns1: mount u /b/b/a/a/b; ns1: mount v /b/b/b/b"
        ),
        {
            0: (
                "/a p shared:1, /a/a s shared:2, /b h, /b/a p shared:3 master:1, "
                "/b/a/a s shared:4 master:2, /b/a/a/a t shared:5, /b/b i, "
                "/b/b/a p shared:6 master:3, /b/b/a/a s shared:7 master:4, "
                "/b/b/a/a/a t shared:8 master:5, /b/b/a/a/b u shared:9, /b/b/b p master:6, "
                "/b/b/b/a s master:7, /b/b/b/a/a t master:8, /b/b/b/a/b u master:9"
            ),
            1: (
                "/a p shared:1, /a/a s shared:2, /b h, /b/a p shared:3 master:1, "
                "/b/a/a s shared:4 master:2, /b/a/a/a t shared:5, /b/b i, "
                "/b/b/a p shared:6 master:3, /b/b/a/a s shared:7 master:4, "
                "/b/b/a/a/a t shared:8 master:5, /b/b/a/a/b u shared:9, /b/b/b p master:6, "
                "/b/b/b/a s master:7, /b/b/b/a/a t master:8, /b/b/b/a/b u master:9, /b/b/b/b v"
            ),
        },
    ),
    "a mount moved into the tree bound from it, in a copied namespace: from either side": (
        (
            "mount p /a; make-shared /a; bind /a /b; move /a /b/a; unshare; mount d /b/b; "
            "ns1: mount e /b/a/b/a; umount /b/a/a/b/a"
        ),
        dict.fromkeys(
            (0, 1),
            (
                "/b p shared:1, /b/a p shared:1, /b/a/a p shared:1, /b/a/a/b d shared:2, "
                "/b/a/b d shared:2, /b/b d shared:2"
            ),
        ),
    ),
    "a slave child on a slave parent, in a copied namespace": (
        "mount p /a; make-shared /a; mount s /a/a; unshare; ns1: make-rslave /a; mount t /a/a/b",
        {
            0: "/a p shared:1, /a/a s shared:2, /a/a/b t shared:3",
            1: "/a p master:1, /a/a s master:2, /a/a/b t master:3",
        },
    ),
}
"""Each situation's program and all tables after it, without a namespace's first mount where it is private."""


def test_situation_leaves_these_tables_on_all_sides(keeps: Callable[..., None]) -> None:
    """Each situation leaves the tables that the pages promise, on all sides."""
    keeps("situations on several sides", PROMISES, left)
