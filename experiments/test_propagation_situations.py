"""Does this kernel do what is described beyond the tables of sharedsubtree.rst?

Rule (sharedsubtree.rst, 5a to 5g and 6): the situations of LTP's fs_bind scripts and of sharedsubtree.rst's
quizzes that no single cell of a table tells. Which script or quiz is which situation is listed in
``docs/propagation.md``.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.search.promised import Left, Promises, left

_THREE_ENDS: dict[str, tuple[str, str, Left]] = {
    "shared": ("make-shared /b", "/b q shared:5", {}),
    "private": ("", "/b q", {}),
    "a slave": ("make-shared /b; unshare; make-slave /b", "/b q master:5", {1: "/a h, /b q shared:5"}),
    "unbindable": ("make-unbindable /b", "/b q unbindable", {}),
}
"""How a mount comes to be of a type, what is seen of it, and what of other namespaces."""

# fs_bind binds each directory that it uses to itself: a child is a peer of its shared tree, and what is
# mounted on it comes beneath it, too.
PROMISES: Promises[Left] = {
    "a slave of what is mounted on later receives it": (
        "mount p /a; make-shared /a; bind /a /b; make-slave /b; mount s /a/a",
        {0: "/a p shared:1, /a/a s shared:2, /b p master:1, /b/a s master:2"},
    ),
    "a mount on a slave stays on it": (
        "mount p /a; make-shared /a; bind /a /b; make-slave /b; mount s /b/a",
        {0: "/a p shared:1, /b p master:1, /b/a s"},
    ),
    "a slave is covered as its master is, and what is mounted on it then stays on it": (
        "mount p /a; make-shared /a; bind /a /b; make-slave /b; mount s /a; mount t /b/b",
        {0: "/a p shared:1, /a s shared:2, /b p master:1, /b s master:2, /b/b t"},
    ),
    "bind leaves the child of a tree behind": (
        "mount p /a; mount s /a/a; bind /a /b",
        {0: "/a p, /a/a s, /b p"},
    ),
    "a private mount is bound": (
        "mount p /a; bind /a /b",
        {0: "/a p, /b p"},
    ),
    "a private tree is rbound": (
        "mount p /a; mount s /a/a; rbind /a /b",
        {0: "/a p, /a/a s, /b p, /b/a s"},
    ),
    "a private tree is moved": (
        "mount p /a; mount s /a/a; move /a /b",
        {0: "/b p, /b/a s"},
    ),
    "mounts on a chain of slaves travel down, and not up": (
        (
            "mount p /a; make-shared /a; mount h /b; mount i /b/b; bind /a /b/a; make-slave /b/a; "
            "make-shared /b/a; bind /b/a /b/b/a; make-slave /b/b/a; make-shared /b/b/a; "
            "bind /b/b/a /b/b/b; make-slave /b/b/b; mount s /a/a; mount t /b/a/a/a; "
            "mount u /b/b/a/a/b; mount v /b/b/b/b"
        ),
        {
            0: (
                "/a p shared:1, /a/a s shared:2, /b h, /b/a p shared:3 master:1, "
                "/b/a/a s shared:4 master:2, /b/a/a/a t shared:5, /b/b i, "
                "/b/b/a p shared:6 master:3, /b/b/a/a s shared:7 master:4, "
                "/b/b/a/a/a t shared:8 master:5, /b/b/a/a/b u shared:9, /b/b/b p master:6, "
                "/b/b/b/a s master:7, /b/b/b/a/a t master:8, /b/b/b/a/b u master:9, /b/b/b/b v"
            )
        },
    ),
    "a root bound to its own child appears there once": (
        "mount p /a; make-shared /a; bind /a /a/a",
        {0: "/a p shared:1, /a/a p shared:1"},
    ),
    "a root bound to its own child: mounts and umounts on either": (
        (
            "mount p /a; make-shared /a; bind /a/a /a/a; bind /a/b /a/b; bind /a /a/b; "
            "mount e /a/b/a; umount /a/b/a; mount f /a/b/a; umount /a/a"
        ),
        {0: ("/a p shared:1, /a/a p[/a] shared:1, /a/b p shared:1, /a/b p[/b] shared:1, /a/b p shared:1")},
    ),
    "a tree rbound to its own child, whose child is private": (
        "mount p /a; make-shared /a; mount s /a/a; make-private /a/a; rbind /a /a/b",
        {0: "/a p shared:1, /a/a s, /a/b p shared:1, /a/b/a s shared:2"},
    ),
    "a tree rbound to its own child, whose child is private: umounts and a mount": (
        (
            "mount p /a; make-shared /a; bind /a/a /a/a; make-private /a/a; bind /a/b /a/b; "
            "mount s /a/a; rbind /a /a/b; umount /a/b/a; umount /a/a; mount t /a/b/a; umount /a/b/a"
        ),
        {
            0: (
                "/a p shared:1, /a/a p[/a], /a/b p shared:1, /a/b p[/b] shared:1, /a/b p shared:1, "
                "/a/b/a p[/a] shared:2, /a/b/b p[/b] shared:1, /a/b/a p[/a] shared:2, "
                "/a/b/b p[/b] shared:1"
            )
        },
    ),
    "a tree rbound to its own child, whose child is shared": (
        "mount p /a; make-shared /a; mount s /a/a; rbind /a /a/b",
        {0: "/a p shared:1, /a/a s shared:2, /a/b p shared:1, /a/b/a s shared:2"},
    ),
    "a tree rbound to its own child, whose child is shared: umounts and a mount": (
        (
            "mount p /a; make-shared /a; bind /a/a /a/a; bind /a/b /a/b; mount s /a/a; "
            "rbind /a /a/b; umount /a/b/a; umount /a/a; mount t /a/b/a; umount /a/a"
        ),
        {
            0: (
                "/a p shared:1, /a/b p shared:1, /a/b p[/b] shared:1, /a/b p shared:1, "
                "/a/b/b p[/b] shared:1, /a/b/b p[/b] shared:1"
            )
        },
    ),
    "a tree rbound to its own child, whose child is unbindable": (
        "mount p /a; make-shared /a; mount s /a/a; make-unbindable /a/a; rbind /a /a/b",
        {0: "/a p shared:1, /a/a s unbindable, /a/b p shared:1"},
    ),
    "a tree rbound to its own child, whose child is unbindable: an umount and a mount": (
        (
            "mount p /a; make-shared /a; bind /a/a /a/a; make-unbindable /a/a; bind /a/b /a/b; "
            "mount s /a/a; rbind /a /a/b; umount /a/a; mount t /a/b/a"
        ),
        {
            0: (
                "/a p shared:1, /a/a t shared:2, /a/a p[/a] unbindable, /a/b p shared:1, "
                "/a/b p[/b] shared:1, /a/b p shared:1, /a/b/a t shared:2, /a/b/b p[/b] shared:1, "
                "/a/b/a t shared:2, /a/b/b p[/b] shared:1"
            )
        },
    ),
    "two shared mounts bound to each other": (
        "mount p /a; mount q /b; make-shared /a; make-shared /b; bind /a /b/a; bind /b /a/b",
        {0: "/a p shared:1, /a/b q shared:2, /b q shared:2, /b/a p shared:1, /b/a/b q shared:2"},
    ),
    "a mount on a shared parent can't be moved": (
        "mount p /a; make-shared /a; mount s /a/a; move /a/a /b",
        {0: "/a p shared:1, /a/a s shared:2", "refused": "ns0: move /a/a /b: EINVAL"},
    ),
    "a private tree is moved with its shared child": (
        "mount p /a; mount s /a/a; make-shared /a/a; move /a /b",
        {0: "/b p, /b/a s shared:1"},
    ),
    "a private tree is moved with its unbindable child": (
        "mount p /a; mount s /a/a; make-unbindable /a/a; move /a /b",
        {0: "/b p, /b/a s unbindable"},
    ),
    "a private tree is rbound with its shared child": (
        "mount p /a; mount s /a/a; make-shared /a/a; rbind /a /b",
        {0: "/a p, /a/a s shared:1, /b p, /b/a s shared:1"},
    ),
    "a private tree is rbound without its unbindable child": (
        "mount p /a; mount s /a/a; make-unbindable /a/a; rbind /a /b",
        {0: "/a p, /a/a s unbindable, /b p"},
    ),
    "a mount is moved into the tree bound from it: mounts and an umount there": (
        (
            "mount p /a; make-shared /a; bind /a /b; move /a /b/a; mount s /b/b; mount t /b/a/b/a; "
            "umount /b/a/a/b/a"
        ),
        {
            0: (
                "/b p shared:1, /b/a p shared:1, /b/a/a p shared:1, /b/a/a/b s shared:2, "
                "/b/a/b s shared:2, /b/b s shared:2"
            )
        },
    ),
    "a mount that was moved into its own tree can't be moved out again": (
        ("mount p /a; make-shared /a; bind /a /b; move /b /a/a; mount q /b; make-shared /b; move /a/a /b/a"),
        {
            0: "/a p shared:1, /a/a p shared:1, /a/a/a p shared:1, /b q shared:2",
            "refused": "ns0: move /a/a /b/a: EINVAL",
        },
    ),
    **{
        f"on a shared mount bound onto what is {type_}, mounts at each of its three ends": (
            (
                f"mount h /a; mount q /b; {make}; mount p /a/a; make-shared /a/a; bind /a/a /a/b; "
                "bind /a/a /b; bind /a/a/a /a/a/a; mount s /a/a/a; mount t /b/b; mount u /a/b/b/a"
            ),
            {
                0: (
                    "/a h, /a/a p shared:1, "
                    "/a/a/a s shared:2, /a/a/a p[/a] shared:1, /a/a/a s shared:2, "
                    "/a/a/b t shared:3, /a/a/b/a u shared:4, /a/b p shared:1, "
                    "/a/b/a s shared:2, /a/b/a p[/a] shared:1, /a/b/a s shared:2, "
                    f"/a/b/b t shared:3, /a/b/b/a u shared:4, {below}, /b p shared:1, "
                    "/b/a s shared:2, /b/a p[/a] shared:1, /b/a s shared:2, "
                    "/b/b t shared:3, /b/b/a u shared:4"
                ),
                **there,
            },
        )
        for type_, (make, below, there) in _THREE_ENDS.items()
    },
    "quiz A: a mount moved into its own peer appears on itself, once": (
        "bind /a /a; make-shared /a; bind /a /b; move /b /a/c",
        {0: "/a w[/a] shared:1, /a/c w[/a] shared:1, /a/c/c w[/a] shared:1"},
    ),
    "quiz B: what is below a shared root rbound into it is there once": (
        "make-rshared /; rbind / /a/c",
        {0: "/ w shared:1, /a/c w shared:1"},
    ),
    # A is at /b/a, B, which lacks the place, at /b/b, C at /a: A -> B -> C.
    "quiz C: a mount passes over a group that lacks the place to the group below": (
        (
            "mount p /a; make-shared /a; mount q /b; bind /a /b/a; make-slave /a; make-shared /a; "
            "bind /a/a /b/b; make-slave /a; mount s /b/a/b"
        ),
        {
            0: (
                "/a p master:1, /a/b s master:2, /b q, /b/a p shared:3, /b/a/b s shared:2, "
                "/b/b p[/a] shared:1 master:3"
            )
        },
    ),
}
"""Each situation's program and all tables after it, without a namespace's first mount where it is private."""


def test_situation_leaves_these_tables(keeps: Callable[..., None]) -> None:
    """Each situation leaves the tables that the pages promise."""
    keeps("situations", PROMISES, left)
