"""What a version of Go cannot say, or is known to do otherwise: left out, so that the rest is compared."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

SINCE = {"PidFD": (1, 22), "UseCgroupFD": (1, 20), "CgroupFD": (1, 20), "AmbientCaps": (1, 20)}
"""The first version of Go whose ``SysProcAttr`` has a field, or tells of its failure as it should."""

CLONE3 = (1, 20)
"""The first that makes time namespaces by clone3(2): 1.19.8 does not, 1.21.13 does."""

GIVES_BACK = (1, 20)
"""The first that raises its soft limit of open files only for itself: 1.19.8 does not, 1.21.13 does."""

_NEWTIME = 0x80


def number(version: str) -> tuple[int, ...]:
    """Go's number in such as go1.27.3; a very high one where the version is another program's."""
    found = re.match(r"go(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (99,)


def sayable(description: Mapping[str, Any], *versions: str) -> dict[str, Any]:
    """The description without the fields and flags that one of these versions does not know."""
    oldest, said = min(map(number, versions)), copy.deepcopy({**description})
    fields = said.get("SysProcAttr", {})
    for name, since in SINCE.items():
        if oldest < since:
            fields.pop(name, None)
    if oldest < CLONE3 and "Cloneflags" in fields:
        fields["Cloneflags"] &= ~_NEWTIME
    return said


def leave_out(outcome: dict[str, Any], *versions: str) -> None:
    """Take from an outcome what one of these versions is known to do in another way."""
    if "world" in outcome and min(map(number, versions)) < GIVES_BACK:
        limits = outcome["world"]["limits"]
        outcome["world"]["limits"] = [line for line in limits if not line.startswith("Max open files")]
