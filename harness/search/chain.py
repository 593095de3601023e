"""Carried to a host: a process that makes calls of the C library, one after the other, and ends.

It shares this one's memory and descriptors, and runs no Python: where a kernel is emulated, to copy an
interpreter costs more than the rest of a program. Python 3.8 and its standard library suffice.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Sequence
from typing import Any

from harness.search.calls import LIBC, check

LIBC.clone.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)

POSSIBLE = hasattr(LIBC, "makecontext")
"""Whether the C library can chain calls: not each has the functions of makecontext(3)."""

MOST = 16
"""Calls of the longest chain, with the one that ends it."""

_VM, _FILES, _VFORK = 0x00000100, 0x00000400, 0x00004000

_CONTEXT, _ROOM = 8 << 10, 16 << 10
"""Bytes: more than any architecture's ``ucontext_t``, and the stack of a call."""

_MEMORY = ctypes.create_string_buffer((MOST + 1) * (_CONTEXT + _ROOM) + 16)
_FIRST = (ctypes.addressof(_MEMORY) + 15) & ~15
_TOP = _FIRST + (MOST + 1) * (_CONTEXT + _ROOM) - 16
"""The last stack is that of the process, until it makes the first call."""


class _Context(ctypes.Structure):
    """What a ``ucontext_t`` begins with, on x86-64 and on aarch64 (``<sys/ucontext.h>``)."""

    _fields_ = (
        ("flags", ctypes.c_ulong),
        ("next", ctypes.c_void_p),
        ("stack", ctypes.c_void_p),
        ("stack_flags", ctypes.c_int),
        ("stack_size", ctypes.c_size_t),
    )


def chained(calls: Sequence[tuple[Any, ...]]) -> int:
    """Have a process make calls, each a function and its arguments, which are integers; it has then ended.

    The next one is made also where one fails.

    Returns:
        The number of the error of the last call that failed, for errno(3) is shared too; zero where none did.
    """
    for number, (function, *arguments) in enumerate([*calls, (LIBC._exit, 0)]):
        LIBC.makecontext(_PLACES[number], function, len(arguments), *map(ctypes.c_long, arguments))
    ctypes.set_errno(0)
    child = LIBC.clone(LIBC.setcontext, _TOP, _VM | _FILES | _VFORK | signal.SIGCHLD, _FIRST)
    check(child)
    error = ctypes.get_errno()
    os.waitpid(child, 0)
    return error


def _places() -> list[ctypes.c_void_p]:
    """Contexts for setcontext(3), each of which goes over to the next one when its function returns."""
    places = [_FIRST + number * (_CONTEXT + _ROOM) for number in range(MOST)]
    for number, address in enumerate(places):
        LIBC.getcontext(ctypes.c_void_p(address))
        context = _Context.from_address(address)
        context.next = places[number + 1] if number + 1 < MOST else None
        context.stack, context.stack_size = address + _CONTEXT, _ROOM
    return [ctypes.c_void_p(address) for address in places]


_PLACES = _places() if POSSIBLE else []
