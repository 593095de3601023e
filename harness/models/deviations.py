"""What kernels do otherwise than the manual pages promise: a switch of a model, and a program that shows it.

Which builds do it is told by ``experiments/known_differences.toml``: a rule ``pid.linked-before-first-child``
has the value true there.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.models.acts import Act

LINKED_EARLY = "linked-before-first-child"
"""A link pid_for_children shows a namespace that has had no process yet."""
LEVEL_33 = "33-levels"
"""User namespaces nest one level deeper than the page says."""

WITNESSES: Mapping[str, Mapping[str, list[Act]]] = {
    "pid": {LINKED_EARLY: [Act("unshare", 0, "pid")]},
    "user": {LEVEL_33: [Act("descend", 0, 33)]},
}
"""By kind of namespace, for each difference the shortest program that shows it."""
