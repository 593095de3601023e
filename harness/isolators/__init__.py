"""The isolators: programs that put another program in new namespaces.

A new one is a file that implements ``Isolator`` and one line in ``ISOLATORS``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.isolators.base import Isolator
from harness.isolators.golang import Golang
from harness.isolators.port import Port
from harness.isolators.unshare import Unshare

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ISOLATORS", "Isolator"]

ISOLATORS: dict[str, Callable[[], Isolator]] = {
    "go": Golang,
    "python": Port,
    "unshare": Unshare,
}
"""The name that ``--isolator`` takes → what makes the isolator."""


def find(name: str) -> Isolator:
    """A new isolator of this name; besides those of the registry ``go-1.23`` and the like.

    Raises:
        KeyError: there is none.
    """
    wish = re.fullmatch(r"go-(\d+\.\d+(?:\.\d+)*)", name)
    return Golang(wish[1]) if wish else ISOLATORS[name]()
