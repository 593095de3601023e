"""Runs a list of steps: the first one forks, the last one is execve.

Between the two no Python runs, nor the C library: the child may share the memory of a parent whose other
threads hold whatever locks (the interpreter's, malloc's). On x86-64 a few instructions make the calls
(``machine.S``). Elsewhere the interpreter makes them, in a copy of the parent's memory, which is refused
where the parent has other threads.
"""

import ctypes
import os

from harness.isolators.spawn.steps import (
    CLONE_VFORK,
    CLONE_VM,
    FAIL,
    INDIRECT,
    MAY_FAIL,
    OR,
    UNLESS,
    Step,
    Words,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Sequence

CODE = bytes.fromhex(
    "53554889fb4889f58b03a8087551a8107559a8207572488b7b10a8047403488b"
    "3f488b4308488b7318488b53204c8b53284c8b43304c8b4b380f05f603027405"
    "4885c0756f483d01f0ffff7331488b4b404885c974034889014883c348eba948"
    "8b4b10488b43180901ebee488b4b10488b01483b431875e14883c348ebdbf603"
    "0175d648f7d8eb07488b4b10488b0148894500b801000000488b7d084889eeba"
    "080000000f05b83c000000bffd0000000f05ebf25d5bc3"
)
"""What ``as`` makes of machine.S; the tests assemble it again."""

_NAMES = """
clone clone3 prctl close read setsid setpgid getpid ioctl rt_sigaction rt_sigprocmask unshare openat write
mount chroot setgroups setgid setuid capget capset chdir getppid kill dup3 fcntl execve
"""
_X86_64 = "56 435 157 3 0 112 109 39 16 13 14 272 257 1 165 161 116 106 105 125 126 80 110 62 292 72 59"
_GENERIC = "220 435 167 57 63 157 154 172 29 134 135 97 56 64 40 51 159 144 146 90 91 49 173 129 24 25 221"
_NUMBERS = {
    "x86_64": _X86_64,
    **dict.fromkeys(("aarch64", "riscv64", "loongarch64"), _GENERIC),
}
"""Their numbers by ``uname -m``, for 64 bits; Linux's ``syscall_64.tbl``, ``asm-generic/unistd.h``."""

_WORD, _ALL_BITS = 8, (1 << 64) - 1
_STEP_WORDS = 9
_PROT_READ_WRITE, _PROT_READ_EXEC, _MAP_PRIVATE_ANONYMOUS = 3, 5, 0x22

libc = ctypes.PyDLL(None, use_errno=True)


class UnknownMachineError(Exception):
    """This machine's system calls are in no table here, or it cannot start programs in this situation."""


def numbers() -> "Dict[str, int]":
    """This machine's system call numbers.

    Raises:
        UnknownMachineError: it is not in the table.
    """
    machine = os.uname().machine
    if machine not in _NUMBERS or ctypes.sizeof(ctypes.c_void_p) != _WORD:
        raise UnknownMachineError(
            f"unknown architecture {machine}; expected {', '.join(_NUMBERS)} with 64 bits"
        )
    return dict(zip(_NAMES.split(), map(int, _NUMBERS[machine].split())))


class Memory:
    """The steps and all that they point to, laid out in a block of words and one of texts."""

    def __init__(self, steps: "Sequence[Step]", failure: Words) -> None:
        """Lay out the steps; ``failure`` comes with them."""
        self._cells = [0] * (_STEP_WORDS * len(steps))
        self._characters = bytearray()
        self._placed: Dict[int, int] = {}
        self._to_words: List[int] = []
        self._to_texts: List[int] = []
        known = numbers()
        for position, step in enumerate(steps):
            padding = [0] * (6 - len(step.arguments))
            content = (step.kind, known.get(step.name, 0), *step.arguments, *padding, step.store or 0)
            self._fill(position * _STEP_WORDS, content)
        told = self._place(failure)
        self._texts = (ctypes.c_char * (len(self._characters) + 1)).from_buffer_copy(self._characters + b"\0")
        self._words = (ctypes.c_uint64 * len(self._cells))(*self._cells)
        self.steps = ctypes.addressof(self._words)
        self.failure = self.steps + told
        for places, base in ((self._to_words, self.steps), (self._to_texts, ctypes.addressof(self._texts))):
            for place in places:
                self._words[place] += base

    def number(self, words: Words) -> int:
        """What the first of some words now holds."""
        return int(self._words[self._placed[id(words)] // _WORD])

    def _fill(self, at: int, content: "Sequence[object]") -> None:
        """Write numbers, or how far from a block's beginning something lies, into the cells from one on."""
        for place, item in enumerate(content, at):
            if isinstance(item, int):
                self._cells[place] = item & _ALL_BITS
            elif isinstance(item, bytes):
                self._to_texts.append(place)
                self._cells[place] = len(self._characters)
                self._characters += item + b"\0"
            else:
                self._to_words.append(place)
                self._cells[place] = self._place(item)

    def _place(self, item: object) -> int:
        """Where words, or what is at a distance from their beginning, lie."""
        if isinstance(item, tuple):
            return self._place(item[0]) + int(item[1])
        assert isinstance(item, Words)
        if id(item) not in self._placed:
            at = len(self._cells)
            self._placed[id(item)] = at * _WORD
            self._cells += [0] * len(item.content)
            self._fill(at, item.content)
        return self._placed[id(item)]


def run(steps: "Sequence[Step]", memory: Memory) -> int:
    """Fork and go on in the child; the child's PID, or the error number of the fork, negative.

    Raises:
        UnknownMachineError: this machine cannot.
    """
    if os.uname().machine == "x86_64":
        return int(_native()(memory.steps, memory.failure))
    if len(os.listdir("/proc/self/task")) > 1:
        raise UnknownMachineError(
            "here a process with threads cannot start programs; have the command isolate start them"
        )
    return _interpreted(steps, memory)


_made: "List[Callable[[int, int], int]]" = []


def _native() -> "Callable[[int, int], int]":
    """The instructions as a function, which lets other threads run meanwhile.

    Raises:
        UnknownMachineError: the system forbids memory that is executable.
    """
    if not _made:
        libc.mmap.restype = ctypes.c_void_p
        size = ctypes.c_size_t(len(CODE))
        page = libc.mmap(None, size, _PROT_READ_WRITE, _MAP_PRIVATE_ANONYMOUS, -1, ctypes.c_long(0))
        ctypes.memmove(page, CODE, len(CODE))
        if libc.mprotect(ctypes.c_void_p(page), size, _PROT_READ_EXEC):
            reason = os.strerror(ctypes.get_errno())
            raise UnknownMachineError(f"the system forbids executable memory: {reason}")
        _made.append(ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)(page))
    return _made[0]


def _interpreted(steps: "Sequence[Step]", memory: Memory) -> int:
    """Do in Python what the instructions do: never in memory that is shared."""
    table = (ctypes.c_uint64 * (len(steps) * _STEP_WORDS)).from_address(memory.steps)
    entries = [[*table[at : at + _STEP_WORDS]] for at in range(0, len(table), _STEP_WORDS)]
    _, number, flags, *_rest = entries[0]
    if steps[0].name == "clone":
        entries[0][2] = flags & ~(CLONE_VM | CLONE_VFORK)
    else:
        arguments = ctypes.c_uint64.from_address(flags)
        arguments.value &= ~(CLONE_VM | CLONE_VFORK)
    pid = _call(number, entries[0][2:8])
    if pid:
        return pid
    try:
        _go_on(entries[1:], memory)
    finally:
        os._exit(253)


def _call(number: int, arguments: "Sequence[int]") -> int:
    answer = int(libc.syscall(ctypes.c_long(number), *map(ctypes.c_uint64, arguments)))
    return answer if answer >= 0 else -ctypes.get_errno()


def _go_on(entries: "List[List[int]]", memory: Memory) -> None:
    failure = (ctypes.c_uint64 * 2).from_address(memory.failure)
    passed_over = False
    for kind, number, *arguments, store in entries:
        if passed_over:
            passed_over = False
        elif kind == OR:
            ctypes.c_uint32.from_address(arguments[0]).value |= arguments[1]
        elif kind == UNLESS:
            passed_over = ctypes.c_uint64.from_address(arguments[0]).value == arguments[1]
        else:
            answer = _answer(kind, number, arguments)
            if answer < 0 and kind != MAY_FAIL:
                failure[0] = -answer
                os.write(failure[1], bytes(failure)[:_WORD])
                return
            if store and answer >= 0:
                ctypes.c_uint64.from_address(store).value = answer


def _answer(kind: int, number: int, arguments: "List[int]") -> int:
    stored = ctypes.c_uint64.from_address(arguments[0]).value if kind in (INDIRECT, FAIL) else 0
    if kind == FAIL:
        return -stored
    return _call(number, [stored, *arguments[1:]] if kind == INDIRECT else arguments)
