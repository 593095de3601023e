"""The program that is started: it asks for its parent-death signal and sleeps.

All that can be read of it from outside is read from outside, while it sleeps; so it costs no start-up time of
its own and shows no trace of a language's runtime. What it asked for it passes as an argument to the system
call in which it sleeps, where ``/proc/PID/syscall`` shows it; that it is there also tells that it runs.
"""

import struct

MACHINE = "x86_64"
"""The architecture it is for, as ``uname -m`` has it."""

SLEEPS = 271
"""The number of ppoll(2), in which it sleeps for ever."""

DEATH_SIGNAL = 5
"""Which of the system call's six arguments, counted from 1, is the parent-death signal."""

_CODE = bytes.fromhex(
    "b89d000000"  # mov $157, %eax       prctl(
    "bf02000000"  # mov $2, %edi           PR_GET_PDEATHSIG,
    "488d7424f0"  # lea -16(%rsp), %rsi    &signal)
    "0f05"  # syscall
    "448b4424f0"  # mov -16(%rsp), %r8d
    "31ff31f631d2"  # xor %edi, %edi; …    ppoll(NULL, 0, NULL,
    "4531d24531c9"  # xor %r10d, %r10d; …    NULL, signal, 0)
    "b80f010000"  # mov $271, %eax
    "0f05"  # syscall
    "ebf7"  # jmp to the last mov
)
_BASE, _HEAD = 0x400000, 64 + 56


def program(code: bytes = _CODE) -> bytes:
    """An executable of these instructions: a header, one segment (elf(5))."""
    identity = b"\x7fELF\2\1\1" + bytes(9)
    size = _HEAD + len(code)
    header = struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, _BASE + _HEAD, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 4096)
    return identity + header + segment + code
