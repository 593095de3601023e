"""What goes along with an umount, and what stays?

Rule (sharedsubtree.rst, "f) Unmount semantics", with its example; propagate_umount.txt; umount(2)): an umount
travels as a mount does and takes what lies at the same place; what still has something on it stays, unless
that covers it whole and can slide down.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.search.promised import Left, Promises, left

PROMISES: Promises[Left] = {
    # "f) Unmount semantics": the example, and its two rules of what has something on it.
    "the uppermost mount at the place goes from all peers": (
        ("mount b /a; make-shared /a; bind /a /b; unshare; mount a /a/a; mount c /a/a; ns1: umount /b/a"),
        dict.fromkeys((0, 1), "/a b shared:1, /a/a a shared:2, /b b shared:1, /b/a a shared:2"),
    ),
    "a peer's mount that has something on it stays, all others go": (
        (
            "mount b /a; make-shared /a; bind /a /b; unshare; mount a /a/a; mount c /a/a; "
            "ns1: make-private /a/a; ns1: mount d /a/a/a; umount /a/a"
        ),
        {
            0: "/a b shared:1, /a/a a shared:2, /b b shared:1, /b/a a shared:2",
            1: "/a b shared:1, /a/a a shared:2, /a/a c, /a/a/a d, /b b shared:1, /b/a a shared:2",
        },
    ),
    "what has something on it itself is busy, and all stay": (
        "mount b /a; make-shared /a; unshare; mount c /a/a; mount d /a/a/a; umount /a/a",
        {
            0: "/a b shared:1, /a/a c shared:2, /a/a/a d shared:3",
            1: "/a b shared:1, /a/a c shared:2, /a/a/a d shared:3",
            "refused": "ns0: umount /a/a: EBUSY",
        },
    ),
    # It travels as a mount does: by the type of the mount on which it lay.
    "where the parent is not shared, an umount stays where it is": (
        "mount b /a; mount c /a/a; make-shared /a/a; unshare; umount /a/a",
        {0: "/a b", 1: "/a b, /a/a c shared:1"},
    ),
    "an umount on a master reaches the slave": (
        "mount b /a; make-shared /a; bind /a /b; make-slave /b; mount c /a/a; umount /a/a",
        {0: "/a b shared:1, /b b master:1"},
    ),
    "an umount on a slave does not reach the master": (
        "mount b /a; make-shared /a; bind /a /b; make-slave /b; mount c /a/a; umount /b/a",
        {0: "/a b shared:1, /a/a c shared:2, /b b master:1"},
    ),
    "an umount reaches the slaves of slaves": (
        (
            "mount b /a; make-shared /a; unshare; ns1: make-slave /a; ns1: make-shared /a; "
            "ns1: unshare; ns2: make-slave /a; mount c /a/a; umount /a/a"
        ),
        {0: "/a b shared:1", 1: "/a b shared:2 master:1", 2: "/a b master:2"},
    ),
    "an umount passes over a group that lacks the place": (
        (
            "mount p /a; make-shared /a; mount q /b; bind /a /b/a; make-slave /a; make-shared /a; "
            "bind /a/a /b/b; make-slave /a; mount s /b/a/b; umount /b/a/b"
        ),
        {0: "/a p master:1, /b q, /b/a p shared:2, /b/b p[/a] shared:1 master:2"},
    ),
    "an umount takes what was mounted at the place on the other side alone": (
        (
            "mount b /a; make-shared /a; mount c /a/a; unshare; ns1: make-slave /a; "
            "ns1: umount /a/a; ns1: mount d /a/a; umount /a/a"
        ),
        {0: "/a b shared:1", 1: "/a b master:1"},
    ),
    "a copy that came beneath another mount goes from there": (
        (
            "mount b /a; make-shared /a; unshare; ns1: make-slave /a; ns1: mount d /a/a; "
            "mount c /a/a; umount /a/a"
        ),
        {0: "/a b shared:1", 1: "/a b master:1, /a/a d"},
    ),
    # MNT_DETACH (umount(2)) takes what is on it, and of each the counterparts.
    "a detached tree goes from both sides": (
        "mount b /a; make-shared /a; unshare; mount c /a/a; mount d /a/a/a; umount-l /a/a",
        dict.fromkeys((0, 1), "/a b shared:1"),
    ),
    "a detached tree on a private mount goes from one side": (
        "mount b /a; mount c /a/a; unshare; umount-l /a",
        {0: "", 1: "/a b, /a/a c"},
    ),
    # propagate_umount.txt, "Maximal non-shifting subsets": nothing that stays lies on what goes.
    "of a detached tree one counterpart stays under what is mounted on it alone": (
        (
            "mount b /a; make-shared /a; unshare; mount c /a/a; mount d /a/a/a; "
            "ns1: make-slave /a/a; ns1: mount e /a/a/b; umount-l /a/a"
        ),
        {0: "/a b shared:1", 1: "/a b shared:1, /a/a c, /a/a/b e"},
    ),
    "of a detached tree all counterparts stay under what is mounted on the last alone": (
        (
            "mount b /a; make-shared /a; mount c /a/a; mount d /a/a/a; unshare; "
            "ns1: make-rslave /a; ns1: mount e /a/a/a/a; umount-l /a/a"
        ),
        {0: "/a b shared:1", 1: "/a b master:1, /a/a c, /a/a/a d, /a/a/a/a e"},
    ),
    # The same: what covers a root whole does not hold it, and is reparented.
    "what covers a counterpart whole slides down to its place": (
        (
            "mount b /a; make-shared /a; unshare; mount c /a/a; ns1: make-slave /a/a; "
            "ns1: mount d /a/a; umount /a/a"
        ),
        {0: "/a b shared:1", 1: "/a b shared:1, /a/a d"},
    ),
    "what covers a counterpart whole slides down with what is on it": (
        (
            "mount b /a; make-shared /a; unshare; mount c /a/a; ns1: make-slave /a/a; "
            "ns1: mount d /a/a; ns1: mount e /a/a/a; umount /a/a"
        ),
        {0: "/a b shared:1", 1: "/a b shared:1, /a/a d, /a/a/a e"},
    ),
    "what covers a stack of counterparts slides down to where the stack stood": (
        (
            "make-shared /; mount b /a; mount c /a/a; mount d /a/a; mount e /a/a; unshare; "
            "ns1: make-rslave /; ns1: mount f /a/a; umount-l /a"
        ),
        {0: "/ w shared:1", 1: "/ w master:1, /a b, /a/a f"},
    ),
    # umount(2): what can't be unmounted.
    "what is no mount's root is not unmounted": (
        "mount b /a; umount /a/a",
        {0: "/a b", "refused": "ns0: umount /a/a: EINVAL"},
    ),
    "what is nowhere is not unmounted": (
        "umount-l /c",
        {0: "", "refused": "ns0: umount-l /c: ENOENT"},
    ),
    # What goes leaves its peer group (transfer_propagation() in fs/pnode.c).
    "the slaves of a group that ends go to the group's own master": (
        (
            "mount b /a; make-shared /a; mount h /b; bind /a /b/a; make-slave /b/a; "
            "make-shared /b/a; bind /b/a /b/b; make-slave /b/b; umount /b/a"
        ),
        {0: "/a b shared:1, /b h, /b/b b master:1"},
    ),
    "the slaves of groups that end at once go to the nearest master above": (
        (
            "mount h /a; mount b /a/a; make-shared /a/a; mount i /b; bind /a/a /b/a; "
            "make-slave /b/a; make-shared /b/a; bind /b/a /b/b; make-slave /b/b; make-shared /b/b; "
            "bind /b/b /a/b; make-slave /a/b; umount-l /b"
        ),
        {0: "/a h, /a/a b shared:1, /a/b b master:1"},
    ),
    "the slaves of a group without a master that ends turn private": (
        "mount b /a; make-shared /a; bind /a /b; make-slave /b; umount /a",
        {0: "/b b"},
    ),
    # A namespace dies with the last process in it (mount_namespaces(7)).
    "of a namespace that dies nothing travels": (
        "mount b /a; make-shared /a; mount c /a/a; unshare; ns1: exit",
        {0: "/a b shared:1, /a/a c shared:2"},
    ),
    "the slaves of a namespace that dies go to the master above": (
        (
            "mount b /a; make-shared /a; unshare; ns1: make-slave /a; ns1: make-shared /a; "
            "ns1: unshare; ns2: make-slave /a; ns1: exit"
        ),
        {0: "/a b shared:1", 2: "/a b master:1"},
    ),
}
"""Each situation's program, and all tables and what was refused after it."""


def test_umount_takes_along_what_nothing_holds(keeps: Callable[..., None]) -> None:
    """An umount takes what the pages say, on all sides, and nothing else."""
    keeps("umount", PROMISES, left)
