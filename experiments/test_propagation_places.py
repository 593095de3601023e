"""Where does a mount come to lie, and on what do operations act?

Rule (sharedsubtree.rst, 3, 5b to 5e; mount(2)): a mount lies over what was there before it; copies appear on
every mount that receives and has the place. make-*, umount and move act on a mount, not on a directory.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.search.promised import Left, Promises, left

PROMISES: Promises[Left] = {
    # mount(2): over what is there.
    "what is mounted over others lies on the uppermost": (
        "mount a /a; mount b /a; mount c /a",
        {0: "/a a, /a b, /a c"},
    ),
    # attach_recursive_mnt(): where something is there already, the copy comes beneath it.
    "a copy comes beneath what a receiver has there": (
        ("mount a /a; make-shared /a; unshare; ns1: make-slave /a; ns1: mount b /a/a; mount c /a/a"),
        {0: "/a a shared:1, /a/a c shared:2", 1: "/a a master:1, /a/a c master:2, /a/a b"},
    ),
    "a copy that came beneath what is free is free": (
        (
            "mount a /a; make-shared /a; unshare; ns1: make-slave /a; ns1: mount b /a/a; "
            "mount c /a/a; ns1: umount /a/a; ns1: umount /a/a"
        ),
        {0: "/a a shared:1, /a/a c shared:2", 1: "/a a master:1"},
    ),
    "a stack comes whole beneath what a receiver has there": (
        "make-shared /; unshare-user; ns1: mount a /a; bind /a /; rbind / /",
        {
            0: (
                "/ w shared:1, / w[/a] shared:1, / w shared:1, / w[/a] shared:1, /a w shared:1, "
                "/a w[/a] shared:1"
            ),
            1: (
                "/ w master:1, / w[/a] master:1, / w master:1, / w[/a] master:1, /a w master:1, "
                "/a w[/a] master:1, /a a"
            ),
        },
    ),
    # "5b": on all mounts to which it propagates; there is no such place on a mount of another directory.
    "a peer that lacks the place receives nothing": (
        "mount a /a; make-shared /a; bind /a/a /b; mount b /a/b; mount c /a/a",
        {0: "/a a shared:1, /a/a c shared:2, /a/b b shared:3, /b a[/a] shared:1, /b c shared:2"},
    ),
    "a slave that lacks the place receives nothing": (
        "mount a /a; make-shared /a; bind /a/a /b; make-slave /b; mount b /a/b; mount c /a/a",
        {0: "/a a shared:1, /a/a c shared:2, /a/b b shared:3, /b a[/a] master:1, /b c master:2"},
    ),
    # "5b": its root is the directory.
    "a bound directory shows just that": (
        "mount a /a; mount b /a/a; bind /a/b /b; mount c /b",
        {0: "/a a, /a/a b, /b a[/b], /b c"},
    ),
    "rbind of a directory takes what lies below it alone": (
        "mount b /a/c; mount c /b; rbind /a /b/a; mount d /a; mount e /a/a; rbind /a/b /b/b",
        {0: "/a d, /a/a e, /a/c b, /b c, /b/a w[/a], /b/a/c b, /b/b d[/b]"},
    ),
    # "5c": the tree, and its example, with C as the unbindable mount.
    "rbind takes what lies on what it takes": (
        "mount a /a; mount b /a/a; mount c /a/a/a; rbind /a /b",
        {0: "/a a, /a/a b, /a/a/a c, /b a, /b/a b, /b/a/a c"},
    ),
    "rbind leaves the unbindable out, and what lies on it": (
        (
            "mount z /b; mount A /a; mount B /a/a; mount D /a/a/a; mount E /a/a/b; mount C /a/b; "
            "mount F /a/b/a; mount G /a/b/b; make-unbindable /a/b; rbind /a /b/a"
        ),
        {
            0: (
                "/a A, /a/a B, /a/a/a D, /a/a/b E, /a/b C unbindable, /a/b/a F, /a/b/b G, /b z, "
                "/b/a A, /b/a/a B, /b/a/a/a D, /b/a/a/b E"
            )
        },
    ),
    # "5d"; mount(2), MS_MOVE.
    "a mount can't be moved into itself or into what lies on it": (
        "mount a /a; mount b /a/a; move /a /a/a; move /a /a/b; move /a /a/a/a",
        {
            0: "/a a, /a/a b",
            "refused": "ns0: move /a /a/a: ELOOP, ns0: move /a /a/b: ELOOP, ns0: move /a /a/a/a: ELOOP",
        },
    ),
    "what is no mount's root is not moved": (
        "mount a /a; move /a/a /b",
        {0: "/a a", "refused": "ns0: move /a/a /b: EINVAL"},
    ),
    "where the destination is nowhere, that counts": (
        "mount a /a; move /a/a /c",
        {0: "/a a", "refused": "ns0: move /a/a /c: ENOENT"},
    ),
    # "3) Setting mount states"; mount(2), MS_REC: with r, all that lies on the mount too.
    "make-slave of a mount leaves what lies on it alone": (
        "mount a /a; mount b /a/a; make-rshared /a; unshare; make-slave /a",
        {0: "/a a master:1, /a/a b shared:2", 1: "/a a shared:1, /a/a b shared:2"},
    ),
    "make-rslave of a mount changes all that lies on it": (
        "mount a /a; mount b /a/a; make-rshared /a; unshare; make-rslave /a",
        {0: "/a a master:1, /a/a b master:2", 1: "/a a shared:1, /a/a b shared:2"},
    ),
    "what is no mount's root has no type": (
        "mount a /a; make-shared /a/a; make-rprivate /a/a",
        {0: "/a a", "refused": "ns0: make-shared /a/a: EINVAL, ns0: make-rprivate /a/a: EINVAL"},
    ),
    # The last one to leave a group leaves its slaves to the group's own master (transfer_propagation()).
    "the slaves of a group that is left go to the group's own master": (
        (
            "mount b /a; make-shared /a; mount h /b; bind /a /b/a; make-slave /b/a; "
            "make-shared /b/a; bind /b/a /b/b; make-slave /b/b; make-private /b/a"
        ),
        {0: "/a b shared:1, /b h, /b/a b, /b/b b master:1"},
    ),
}
"""Each situation's program, and all tables and what was refused after it."""


def test_mounts_lie_where_the_pages_say(keeps: Callable[..., None]) -> None:
    """Each situation leaves the tables that the pages promise, or the error."""
    keeps("places", PROMISES, left)
