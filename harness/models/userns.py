"""The tree of user namespaces, and over which of them its members have capabilities."""

from __future__ import annotations

from harness.models.rules import rule

Tree = tuple[int | None, ...]
"""The parent of each user namespace, by number; the first has none here."""

FIRST: Tree = (None,)


def grown(tree: Tree, parent: int) -> tuple[Tree, int]:
    """The tree with a new namespace, and that one's number."""
    return (*tree, parent), len(tree)


@rule(True, False)
def capable(tree: Tree, member: int, over: int) -> bool:
    """Who has all capabilities in its user namespace has them in that one's descendants, and nowhere else.

    Source: user_namespaces(7), Capabilities; Interaction of user namespaces and other types of namespaces.
    """
    namespace: int | None = over
    while namespace is not None:
        if namespace == member:
            return True
        namespace = tree[namespace]
    return False
