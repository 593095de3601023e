"""What must not be taken apart in a mount namespace of another owner?

Rule (mount_namespaces(7), "Restrictions on mount namespaces"; propagate_umount.txt, "Maximal non-revealing
subsets"): mounts that come together from a more privileged namespace are locked together, for what they
hide; in each situation the first namespace is the more privileged one.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.search.promised import Left, Promises, left

PROMISES: Promises[Left] = {
    # [3]: the copy of a namespace comes as one.
    "another owner's copy of a mount is not unmounted": (
        ("mount a /a; mount b /a/a; unshare-user; ns1: umount /a/a; ns1: umount-l /a/a; ns1: umount-l /a"),
        {
            0: "/a a, /a/a b",
            1: "/a a, /a/a b",
            "refused": "ns1: umount /a/a: EINVAL, ns1: umount-l /a/a: EINVAL, ns1: umount-l /a: EINVAL",
        },
    ),
    "the same owner's copy of a mount is unmounted": (
        "mount a /a; mount b /a/a; unshare; ns1: umount /a/a; ns1: umount /a",
        {0: "/a a, /a/a b", 1: ""},
    ),
    "another owner's copy of a mount is not moved": (
        "mount a /a; mount b /a/a; unshare-user; ns1: move /a/a /b",
        {0: "/a a, /a/a b", 1: "/a a, /a/a b", "refused": "ns1: move /a/a /b: EINVAL"},
    ),
    "what a locked mount hides is not bound alone": (
        "mount a /a; mount b /a/a; unshare-user; ns1: bind /a /b",
        {0: "/a a, /a/a b", 1: "/a a, /a/a b", "refused": "ns1: bind /a /b: EINVAL"},
    ),
    "what hides nothing is bound alone, and free": (
        (
            "mount a /a; mount b /a/a; unshare-user; ns1: bind /a/a /b; ns1: bind /a/b /b/a; "
            "ns1: umount /b/a; ns1: umount /b"
        ),
        dict.fromkeys((0, 1), "/a a, /a/a b"),
    ),
    "rbind takes locked mounts along: they stay so on what is free, and go with it": (
        ("mount a /a; mount b /a/a; unshare-user; ns1: rbind /a /b; ns1: umount /b/a; ns1: umount-l /b"),
        {0: "/a a, /a/a b", 1: "/a a, /a/a b", "refused": "ns1: umount /b/a: EINVAL"},
    ),
    "rbind must not leave a locked mount out": (
        "mount a /a; mount b /a/a; unshare-user; ns1: make-unbindable /a/a; ns1: rbind /a /b",
        {0: "/a a, /a/a b", 1: "/a a, /a/a b unbindable", "refused": "ns1: rbind /a /b: EPERM"},
    ),
    "a mount on a locked one is put there and taken away": (
        "mount a /a; unshare-user; ns1: mount b /a; ns1: umount /a",
        dict.fromkeys((0, 1), "/a a"),
    ),
    "a copy by the less privileged owner keeps the locks": (
        "mount a /a; unshare-user; ns1: unshare; ns2: umount /a",
        {0: "/a a", 1: "/a a", 2: "/a a", "refused": "ns2: umount /a: EINVAL"},
    ),
    "the first mount of another owner's copy is locked, too": (
        "unshare-user; ns1: move / /a",
        {0: "", 1: "", "refused": "ns1: move / /a: EINVAL"},
    ),
    "also a copy for the more privileged owner comes as one": (
        "unshare-user; ns1: mount a /a; ns1: unshare-first; ns1: umount /a; ns2: umount /a",
        {0: "", 1: "", 2: "/a a", "refused": "ns2: umount /a: EINVAL"},
    ),
    # [3], at its end: an umount in the more privileged namespace.
    "a locked copy goes with its original": (
        "make-shared /; mount a /a; unshare-user; umount /a",
        {0: "/ w shared:1", 1: "/ w master:1"},
    ),
    # [3], [4]: what comes by propagation comes as one.
    "a mount that comes alone is free": (
        "make-shared /; unshare-user; mount a /a; ns1: umount /a",
        {0: "/ w shared:1, /a a shared:2", 1: "/ w master:1"},
    ),
    "a tree that comes from another owner's namespace goes as one": (
        (
            "mount m /a; make-shared /a; mount x /a/a; make-private /a/a; mount y /a/a/a; "
            "unshare-user; rbind /a/a /a/b; ns1: umount /a/b/a; ns1: umount-l /a/b"
        ),
        {
            0: "/a m shared:1, /a/a x, /a/a/a y, /a/b x shared:2, /a/b/a y shared:3",
            1: "/a m master:1, /a/a x, /a/a/a y",
            "refused": "ns1: umount /a/b/a: EINVAL",
        },
    ),
    "a tree that comes from the same owner's namespace is free": (
        (
            "mount m /a; make-shared /a; mount x /a/a; make-private /a/a; mount y /a/a/a; unshare; "
            "rbind /a/a /a/b; ns1: umount /a/b/a; ns1: umount /a/b"
        ),
        dict.fromkeys((0, 1), "/a m shared:1, /a/a x, /a/a/a y"),
    ),
    # propagate_umount.txt: a locked mount goes with its parent or not at all.
    "of a detached tree locked counterparts go with their parents": (
        "make-shared /; mount a /a; mount b /a/a; unshare-user; umount-l /a",
        {0: "/ w shared:1", 1: "/ w master:1"},
    ),
    "of a detached tree a locked counterpart over another's root goes with it": (
        "make-shared /; mount a /a; mount b /a/a; mount c /a/a; unshare-user; umount-l /a",
        {0: "/ w shared:1", 1: "/ w master:1"},
    ),
    "locked counterparts stay on what stays, and on each other": (
        (
            "make-shared /; mount a /a; mount b /a/a; mount d /a/a/a; unshare-user; "
            "ns1: mount c /a/b; umount-l /a"
        ),
        {0: "/ w shared:1", 1: "/ w master:1, /a a, /a/a b, /a/a/a d, /a/b c"},
    ),
    "a locked counterpart stays where its parent stays": (
        "make-shared /; mount a /a; mount b /a/a; unshare-user; ns1: mount c /a/b; umount-l /a",
        {0: "/ w shared:1", 1: "/ w master:1, /a a, /a/a b, /a/b c"},
    ),
    # What comes beneath a locked mount is hidden by it, as what was there is (attach_recursive_mnt()).
    "a copy that comes beneath a locked mount is locked: what it hides is not bound": (
        ("mount a /a; mount b /a/a; make-shared /a; bind /a /b; unshare-user; mount c /b/a; ns1: bind /a /"),
        {
            0: "/a a shared:1, /a/a c shared:2, /a/a b, /b a shared:1, /b/a c shared:2",
            1: "/a a master:1, /a/a c master:2, /a/a b, /b a master:1, /b/a c master:2",
            "refused": "ns1: bind /a /: EINVAL",
        },
    ),
    "a mount beneath which a copy comes stays locked": (
        (
            "mount a /a; mount b /a/a; make-shared /a; bind /a /b; unshare-user; mount c /b/a; "
            "ns1: umount /a/a"
        ),
        {
            0: "/a a shared:1, /a/a c shared:2, /a/a b, /b a shared:1, /b/a c shared:2",
            1: "/a a master:1, /a/a c master:2, /a/a b, /b a master:1, /b/a c master:2",
            "refused": "ns1: umount /a/a: EINVAL",
        },
    ),
    # [2]: what is shared becomes a slave, and so nothing travels back.
    "another owner's copy of what is shared and a slave is a slave of that, and no more": (
        (
            "mount a /a; make-shared /a; bind /a /b; make-slave /a; make-shared /a; unshare-user; "
            "mount c /a/a; ns1: mount d /a/b"
        ),
        {
            0: "/a a shared:1 master:2, /a/a c shared:3, /b a shared:2",
            1: "/a a master:1, /a/a c master:3, /a/b d, /b a master:2",
        },
    ),
    # user_namespaces(7), EPERM of unshare(2): as in a chroot.
    "below a covered root no user namespace is made": (
        "mount a /; unshare-user",
        {0: "/ a", "refused": "ns0: unshare-user: EPERM"},
    ),
}
"""Each situation's program, and all tables and what was refused after it."""


def test_mounts_of_another_owner_are_locked_together(keeps: Callable[..., None]) -> None:
    """What came together stays together, what came alone is free, and the owner's umount takes either."""
    keeps("locks", PROMISES, left)
