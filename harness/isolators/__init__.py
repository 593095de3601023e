"""The isolators: programs that put another program in new namespaces.

A new one is a file that implements ``Isolator`` and one line in ``ISOLATORS``.
"""

from __future__ import annotations

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
