"""Start a command in new namespaces and wait for it: what ``isolate.go`` does, without Go.

The name under which it is called decides which namespaces are made: uts, ipc, pid and mount each make one
more kind than the one before. Any other name takes them from options:

    isolate [--uts] [--ipc] [--pid] [--mount] [--] [command [argument...]]

The command is sh where none is given.

    isolate --description FILE [--report DESCRIPTOR]

starts what the file describes, by the package ``spawn``, whose archive lies beside this file; a line of JSON
on the descriptor tells what became of the start.

This file is carried to hosts, where a program of each name calls it, and runs on Python 3.8 or later. It
follows Go's ``os/exec/lp_unix.go``, ``syscall/exec_linux.go`` and ``runtime/signal_unix.go``.
"""
# Paths are bytes here, and pathlib would be a third of the start-up time.
# ruff: noqa: PTH123

# What ctypes is made of: its own Python layer would be a third of the start-up time.
import _ctypes
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    import signal
    from typing import NoReturn
else:
    # The public modules make enumerations and abstract classes first: together a third of the start-up time.
    import _signal as signal
    import posix as os

OPTIONS = {"--uts": 0x04000000, "--ipc": 0x08000000, "--pid": 0x20000000, "--mount": 0x00020000}
"""unshare(1)'s names and the ``CLONE_NEW*`` bits of ``<linux/sched.h>``."""

PROGRAMS = {"uts": 0x04000000, "ipc": 0x0C000000, "pid": 0x2C000000, "mount": 0x2C020000}
"""The document's programs: each adds one bit to the one before."""

SYS_CLONE = {
    "x86_64/64": 56,
    **dict.fromkeys(("x86_64/32", "i386/32", "i486/32", "i586/32", "i686/32"), 120),
    **dict.fromkeys(("aarch64/32", "armv8l/32", "armv7l/32", "armv6l/32", "armv5tel/32"), 120),
    **dict.fromkeys(("ppc64le/64", "ppc64/64", "s390x/64"), 120),
    **dict.fromkeys(("aarch64/64", "riscv64/64", "loongarch64/64"), 220),
}
"""clone(2)'s number in the kernel's tables, by ``uname -m`` and the bits of this interpreter's pointers."""

SPAWN = "spawn.zip"
"""The archive of the package ``spawn``."""

PR_SET_NAME = 15
"""Of ``<linux/prctl.h>``."""

FILE_TYPE, DIRECTORY = 0o170000, 0o040000
"""``S_IFMT`` and ``S_IFDIR`` of inode(7)."""

UNTOUCHED = {9, 18, 19, 20, 21, 22, 34}
"""KILL, CONT, STOP, TSTP, TTIN, TTOU and 34: no handler is installed, so a child has them as they came."""

KEPT_IF_IGNORED = {1, 2}
"""HUP and INT: stay ignored, here and in the child, if they came ignored (``sigInstallGoHandler``)."""

DEFAULT = {1, 2, 4, 5, 7, 8, 11, 15, 16, 17, 31}
"""Signals whose default action is what the waiting parent needs: death by what ends Go, and SIGCHLD's."""

CRASHES = {3: "SIGQUIT: quit", 6: "SIGABRT: abort"}
"""Signals after which a Go program says this, dumps its stacks and exits with status 2."""

NEVER_BLOCKED = {1, 2, 3, 4, 5, 6, 7, 8, 11, 15, 16, 17, 23, 27, 31, 34}
"""Signals that are unblocked at the start and so in the child too (``blockableSig``)."""

LETTERS = {'"': '"', "\\": "\\", "\a": "a", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t", "\v": "v"}
"""Characters that ``strconv.Quote`` writes as a backslash and a letter."""


class Integer(_ctypes._SimpleCData):  # type: ignore[type-arg]
    """An ``int``."""

    _type_ = "i"


class Long(_ctypes._SimpleCData):  # type: ignore[type-arg]
    """A ``long``."""

    _type_ = "l"


class Text(_ctypes._SimpleCData):  # type: ignore[type-arg]
    """A ``char *``."""

    _type_ = "z"


class Function(_ctypes.CFuncPtr):
    """A function of the C library that returns an ``int``; other threads wait while it runs."""

    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_PYTHONAPI | _ctypes.FUNCFLAG_USE_ERRNO
    _restype_ = Integer


class Library:
    """The C library, as ``ctypes.PyDLL(None, use_errno=True)`` is."""

    _handle = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]  # the stubs know no None

    def __getattr__(self, name: str) -> Function:
        """The function of that name."""
        return Function((name, self))  # type: ignore[arg-type]  # any object with a handle


libc = Library()


class UsageError(Exception):
    """The command line, or the machine, is none that this program knows."""


class StartError(Exception):
    """The command could not be started, or not be waited for; the text is that of Go's error."""


def main() -> "NoReturn":
    """Run as a program; exits without the interpreter's own end, which costs time and could write."""
    open_standard_descriptors()
    settle_signals()
    name, *arguments = [encoded(argument) for argument in sys.argv]
    name = name.rpartition(b"/")[2]
    # The kernel's name for this process is otherwise python's where a shell had to start it.
    libc.prctl(PR_SET_NAME, name)
    try:
        if arguments[:1] == [b"--description"]:
            os._exit(run_described(arguments[1:]))
        os._exit(run(*parse(text(name), arguments)))
    except UsageError as error:
        fail(f"{text(name)}: {error}", 2)
    except StartError as error:
        fail(f"{time.strftime('%Y/%m/%d %H:%M:%S')} {error}", 1)


def fail(line: str, status: int) -> "NoReturn":
    """Say one line on standard error and exit."""
    # A Go program ignores SIGPIPE except when it writes to standard output or error itself.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.write(2, line.encode("utf-8", "surrogateescape") + b"\n")
    finally:
        os._exit(status)


def open_standard_descriptors() -> None:
    """Put /dev/null where descriptor 0, 1 or 2 is closed (``runtime/fds_unix.go``, Go 1.22 and later)."""
    for descriptor in range(3):
        if not is_open(descriptor):
            os.set_inheritable(os.open("/dev/null", os.O_RDWR), True)


def is_open(descriptor: int) -> bool:
    """Whether there is such a descriptor."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def settle_signals() -> None:
    """React to signals as a Go program does that asked for none: die, crash, or take no notice."""
    for number in handled_signals():
        if number in CRASHES:
            signal.signal(number, crash)
        else:
            signal.signal(number, signal.SIG_DFL if number in DEFAULT else signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, NEVER_BLOCKED)


def handled_signals() -> "list[int]":
    """The signals for which Go installs a handler, which a child therefore starts with at their default.

    The C library keeps 32 and 33 to itself. Go does handle 33: no program that uses the library can tell.
    """
    ignored = {number for number in KEPT_IF_IGNORED if signal.getsignal(number) == signal.SIG_IGN}
    return sorted(signal.valid_signals() - UNTOUCHED - ignored)


def crash(number: int, _frame: object) -> None:
    """End as a crashing Go program does, short of the dump."""
    fail(CRASHES[number], 2)


def parse(name: str, arguments: "list[bytes]") -> "tuple[int, list[bytes]]":
    """The clone flags and the command that a command line asks for."""
    fixed = name in PROGRAMS
    flags = PROGRAMS.get(name, 0)
    expected = "no option, or --" if fixed else "--uts, --ipc, --pid, --mount or --"
    rest = list(arguments)
    while rest and rest[0].startswith(b"-"):
        option = rest.pop(0)
        if option == b"--":
            break
        flag = OPTIONS.get(text(option))
        if fixed or flag is None:
            raise UsageError(f"unknown option {quote(option)}; expected {expected} before the command")
        flags |= flag
    return flags, rest or [b"sh"]


def run(flags: int, command: "list[bytes]") -> int:
    """Start the command, wait for it and return its exit status as a shell counts it."""
    environment = first_of_each_name(raw_environment())
    path = look_path(command[0], environment)
    return status_of(start(flags, path, command, environment))


def run_described(arguments: "list[bytes]") -> int:
    """Start what a file describes, tell of it where that was asked for, and wait for it."""
    if len(arguments) != 1 and (len(arguments) != 3 or arguments[1] != b"--report"):
        raise UsageError("expected --description FILE [--report DESCRIPTOR]")
    if arguments[2:] and not arguments[2].isdigit():
        raise UsageError(f"--report {quote(arguments[2])}: expected a descriptor's number")
    from os.path import realpath

    sys.path.insert(0, realpath(__file__).rpartition("/")[0] + "/" + SPAWN)
    from harness.isolators.spawn import command

    try:
        told = int(arguments[2]) if arguments[2:] else None
        pid = command.start_described(arguments[0], told, first_of_each_name(raw_environment()))
    except command.MisusedError as error:
        raise UsageError(error) from None
    except command.StartError as error:
        raise StartError(error) from None
    return status_of(pid)


def status_of(pid: int) -> int:
    """Wait for a child; its exit status as a shell counts it.

    Raises:
        StartError: it is another process's child (``CLONE_PARENT``).
    """
    try:
        status = os.waitpid(pid, 0)[1]
    except ChildProcessError as error:
        raise StartError(f"waitid: {go_error(error.errno or 0)}") from None
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def raw_environment() -> "list[bytes]":
    """The environment as it was handed to this program.

    ``os.environ`` lacks entries without ``=`` and has an ``LC_CTYPE`` that the interpreter adds (PEP 538).
    """
    try:
        with open("/proc/self/environ", "rb", buffering=0) as file:
            return file.readall().split(b"\0")
    except OSError:
        # A /proc of another PID namespace knows no self; what the C library has now is the next best.
        import ctypes

        pointers = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.PyDLL(None), "environ")
        entries: list[bytes] = []
        while pointers and (entry := pointers[len(entries)]) is not None:
            entries.append(entry)
        return entries


def first_of_each_name(entries: "list[bytes]") -> "list[bytes]":
    """What ``os.Environ`` keeps: of several entries with one name the first, and all without ``=``."""
    kept: dict[bytes, bytes] = {}
    for position, entry in enumerate(entries):
        name, separator, _ = entry.partition(b"=")
        kept.setdefault(b"=" + name if separator else b"%d" % position, entry)
    return [entry for entry in kept.values() if entry]


def look_path(name: bytes, environment: "list[bytes]") -> bytes:
    """The path that ``exec.Command`` and ``exec.LookPath`` settle on for a command."""
    if name == b"":
        raise StartError("exec: no command")
    if name == b"/":
        raise StartError(f"exec: {quote(name)}: is a directory")
    if b"/" in name:
        return name
    path = next((entry[5:] for entry in environment if entry.startswith(b"PATH=")), b"")
    for directory in path.split(b":") if path else ():
        candidate = clean(directory + b"/" + name if directory else name)
        if is_directory(candidate) or not os.access(candidate, os.X_OK, effective_ids=True):
            continue
        if not candidate.startswith(b"/"):
            raise StartError(
                f"exec: {quote(name)}: cannot run executable found relative to current directory"
            )
        return candidate
    raise StartError(f"exec: {quote(name)}: executable file not found in $PATH")


def is_directory(path: bytes) -> bool:
    """Whether the path leads to a directory."""
    try:
        return os.stat(path).st_mode & FILE_TYPE == DIRECTORY
    except OSError:
        return False


def clean(path: bytes) -> bytes:
    """The path as ``filepath.Clean`` makes it; ``normpath`` keeps a double slash in front (POSIX)."""
    # A hidden directory such as ~/.local is nothing to clean.
    if path.startswith(b"/") and not any(part in path + b"/" for part in (b"//", b"/./", b"/../")):
        return path
    from os.path import normpath

    short = normpath(path)
    return short[1:] if short.startswith(b"//") else short


def start(flags: int, path: bytes, command: "list[bytes]", environment: "list[bytes]") -> int:
    """Clone, exec in the child, and return its PID once the exec has happened (``forkExec``).

    Raises:
        StartError: clone or exec failed; the child, if there was one, is gone.
    """
    number = clone_number()
    arguments = (path, c_strings(command), c_strings(environment))
    errors, report = os.pipe()
    unblocked = signal.valid_signals() - signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    pid = clone(number, flags)
    if pid == 0:
        become(arguments, unblocked, report)
    failure = _ctypes.get_errno() if pid < 0 else 0
    signal.pthread_sigmask(signal.SIG_UNBLOCK, unblocked)
    os.close(report)
    reported = os.read(errors, 4)
    os.close(errors)
    if reported:
        os.waitpid(pid, 0)
        failure = int.from_bytes(reported, sys.byteorder)
    if failure:
        raise StartError(f"fork/exec {text(path)}: {go_error(failure)}")
    return pid


def clone_number() -> int:
    """The number of clone(2) on this machine.

    Raises:
        UsageError: the machine is not in the table.
    """
    machine = f"{os.uname().machine}/{sys.maxsize.bit_length() + 1}"
    if machine not in SYS_CLONE:
        raise UsageError(f"unknown architecture {machine}; expected one of {', '.join(SYS_CLONE)}")
    return SYS_CLONE[machine]


def clone(number: int, flags: int) -> int:
    """Make a child that goes on here, as after fork(2), and gets 0; the parent gets its PID or -1."""
    flags_and_signal, stack = flags | signal.SIGCHLD, 0
    first_two = (flags_and_signal, stack)
    if os.uname().machine == "s390x":
        first_two = (stack, flags_and_signal)
    return int(libc.syscall(*[Long(value) for value in (number, *first_two, 0, 0, 0)]))


def become(arguments: "tuple[object, ...]", unblocked: "set[signal.Signals]", report: int) -> "NoReturn":
    """Be the command, in the child; if that fails, tell the parent the error number and vanish.

    Signals get their defaults before any of them can arrive (``clearSignalHandlers``).
    """
    try:
        for number in handled_signals():
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, unblocked)
        libc.execve(*arguments)
        os.write(report, _ctypes.get_errno().to_bytes(4, sys.byteorder))
    finally:
        os._exit(253)


def c_strings(strings: "list[bytes]") -> "_ctypes.Array[Text]":
    """The strings as execve(2) takes them: an array that ends with a null pointer."""
    return (Text * (len(strings) + 1))(*strings)


def go_error(number: int) -> str:
    """The text of Go's ``syscall.Errno``: the C library's, but without a capital where a word begins it."""
    words = os.strerror(number)
    return words[0].lower() + words[1:] if words[1].islower() else words


def encoded(argument: str) -> bytes:
    """An argument as it was handed to this program: what ``os.fsencode`` gives."""
    return argument.encode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())


def text(raw: bytes) -> str:
    """Bytes as text; what is not UTF-8 survives the way back."""
    return raw.decode("utf-8", "surrogateescape")


def quote(raw: bytes) -> str:
    """The text in quotes as ``strconv.Quote`` writes it."""
    return '"' + "".join(map(escape, text(raw))) + '"'


def escape(character: str) -> str:
    """One character as it stands between Go's quotes."""
    point = ord(character)
    if character in LETTERS:
        return "\\" + LETTERS[character]
    if character.isprintable():
        return character
    if 0xDC80 <= point <= 0xDCFF:
        return f"\\x{point - 0xDC00:02x}"
    if point < 0x20 or point == 0x7F:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
