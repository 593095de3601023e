"""Change who a probe is."""

from __future__ import annotations

import ctypes
import os

from harness.probes.registry import Unmeasured
from harness.probes.sandbox import ORDINARY
from harness.probes.syscalls import checked, libc, prctl

_PR_SET_DUMPABLE = 4
_VERSION_3 = 0x20080522


def become_ordinary() -> None:
    """Be a user who owns nothing and has no capabilities; open first what only root may open.

    Raises:
        Unmeasured: the host's user could map no second user ID.
    """
    try:
        os.setresgid(ORDINARY, ORDINARY, ORDINARY)
        os.setresuid(ORDINARY, ORDINARY, ORDINARY)
    except OSError:
        raise Unmeasured("the host's user may map no second user ID") from None
    prctl(_PR_SET_DUMPABLE, 1)


def drop_capabilities() -> None:
    """Be root in name only."""
    set_capabilities(0, 0, 0)


def capabilities() -> list[int]:
    """The effective, permitted and inheritable set: capget(2)."""
    header, data = (ctypes.c_uint32 * 2)(_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    checked(libc.capget(header, data))
    return [data[position] | data[position + 3] << 32 for position in range(3)]


def set_capabilities(effective: int, permitted: int, inheritable: int) -> None:
    """Set the three sets: capset(2)."""
    sets = (effective, permitted, inheritable)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(*[part & 0xFFFFFFFF for part in sets], *[part >> 32 for part in sets])
    checked(libc.capset(header, data))
