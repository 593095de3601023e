"""Starts a program as ``exec.Cmd.Start`` does: then it runs, or nothing is left of the attempt.

Safe in a process with threads: see ``machine``. It follows Go's ``os/exec/exec.go``, ``os/exec_posix.go`` and
``syscall/exec_unix.go``; the errors' texts are Go's.
"""

import errno
import os

from harness.isolators.spawn.machine import Memory, run
from harness.isolators.spawn.steps import CLONE_NEWUSER, Pipes, Plan, Program, plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import Dict, Iterable, List, Sequence

    from harness.isolators.spawn.description import Attributes, Description
else:
    # The public module makes enumerations of these first, which would be a quarter of the start-up time.
    import _signal as signal

_UNTOUCHED = {9, 18, 19, 20, 21, 22, 34}
"""KILL, CONT, STOP, TSTP, TTIN, TTOU and 34: Go installs no handler, so a child has them as they came."""

_KEPT_IF_IGNORED = {1, 2}
"""HUP and INT: Go installs no handler where they are ignored (``sigInstallGoHandler``)."""


class StartError(Exception):
    """The program was not started; the text is that of Go's error."""

    def __init__(self, text: str, number: int = 0) -> None:
        """``number`` is the system's error number, if the system refused."""
        super().__init__(text)
        self.number = number


class Started:
    """A program that runs."""

    def __init__(self, pid: int, pidfd: int) -> None:
        """``pidfd`` is -1 where none was asked for."""
        self.pid, self.pidfd = pid, pidfd


def start(description: "Description", environment: "Sequence[bytes]") -> Started:
    """Start a program; ``environment`` is what it gets where the description leaves that open.

    Raises:
        StartError: as ``Cmd.Start`` returns an error.
        UnknownMachineError: this machine is not one that this library can start programs on.
    """
    if not description.path:
        raise StartError("exec: no command")
    opened: List[int] = []
    try:
        files = _files(description, opened)
        environment = deduplicated(_environment(description, environment))
        _must_exist(description)
        try:
            program = _program(description, environment, files)
            return _fork_exec(program, description.attributes)
        except OSError as error:
            raise failed(description.path, error.errno or 0) from None
        except ValueError as error:
            raise StartError(f"fork/exec {description.path}: {error}") from None
    finally:
        for descriptor in opened:
            os.close(descriptor)


def failed(path: str, number: int) -> StartError:
    """The error that ``os.StartProcess`` makes of an error number."""
    return StartError(f"fork/exec {path}: {go_error(number)}", number)


def go_error(number: int) -> str:
    """The text of Go's ``syscall.Errno``: the C library's, but without a capital where a word begins it."""
    words = os.strerror(number)
    return words[0].lower() + words[1:] if words[1].islower() else words


def _must_exist(description: "Description") -> None:
    """Look for the directory first where no attributes are given at all (``startProcess``).

    Raises:
        StartError: it is not there.
    """
    if description.dir and not description.has_attributes:
        try:
            os.stat(description.dir)
        except OSError as error:
            number = error.errno or 0
            raise StartError(f"chdir {description.dir}: {go_error(number)}", number) from None


def _files(description: "Description", opened: "List[int]") -> "List[int]":
    """The descriptors that the child gets, in order; what is opened for them is added to ``opened``."""
    files = []
    for number, mode in (
        (description.stdin, os.O_RDONLY),
        (description.stdout, os.O_WRONLY),
        (description.stderr, os.O_WRONLY),
    ):
        if number is None:
            number = os.open(os.devnull, mode)
            opened.append(number)
        files.append(number)
    files += [-1 if number is None else number for number in description.extra_files]
    return [max(number, -1) for number in files]


def _environment(description: "Description", inherited: "Sequence[bytes]") -> "List[bytes]":
    """The description's environment, or the inherited one with the new directory's name in it."""
    if description.env is not None:
        return [os.fsencode(entry) for entry in description.env]
    if not description.dir:
        return [*inherited]
    return [*inherited, b"PWD=" + os.path.abspath(os.fsencode(description.dir))]


def deduplicated(entries: "Iterable[bytes]") -> "List[bytes]":
    """Of several entries with one name the last (``dedupEnvCase``).

    Raises:
        StartError: an entry holds a NUL.
    """
    kept: Dict[bytes, bytes] = {}
    for position, entry in enumerate(reversed([*entries])):
        if b"\0" in entry:
            raise StartError("exec: environment variable contains NUL")
        # A leading = is part of the name, as on Windows; an entry without a name or a = is kept as it is.
        end = entry.find(b"=", 1) if entry[:1] == b"=" else entry.find(b"=")
        if end >= 0 or entry[:1] == b"=":
            kept.setdefault(entry[: end + 1], entry)
        elif entry:
            kept[b"%d" % position] = entry
    return [*kept.values()][::-1]


def _program(description: "Description", environment: "List[bytes]", files: "List[int]") -> Program:
    """What is executed, in C's form.

    Raises:
        OSError: EINVAL: a text holds a NUL.
        ValueError: what is asked for contradicts itself.
    """
    wanted = description.attributes
    path, directory = os.fsencode(description.path), os.fsencode(description.dir)
    arguments = [os.fsencode(argument) for argument in description.args or [description.path]]
    if any(b"\0" in text for text in (path, *arguments, os.fsencode(wanted.chroot), directory)):
        raise OSError(errno.EINVAL, "")
    if wanted.setctty and wanted.foreground:
        raise ValueError("both Setctty and Foreground set in SysProcAttr")
    if wanted.setctty and wanted.ctty >= len(files):
        raise ValueError("Setctty set but Ctty not valid in child")
    # Go waits for ever: the parent for the child to execute, the child for the parent to write its maps.
    if wanted.maps_ids and not (wanted.cloneflags | wanted.unshareflags) & CLONE_NEWUSER:
        raise ValueError("id maps without a new user namespace")
    program = Program(path, arguments, environment, directory)
    program.files = files
    return program


def _fork_exec(program: Program, wanted: "Attributes") -> Started:
    """Clone, let the child go on, and hear from it (``forkExec``).

    Raises:
        OSError: a call failed, in the parent or in the child, which then is gone.
    """
    errors, report = os.pipe()
    maps = os.pipe() if wanted.maps_ids else None
    unblocked = signal.valid_signals() - signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        program.handled = handled_signals()
        program.mask = sum(1 << number - 1 for number in signal.valid_signals() - unblocked)
        made = plan(program, wanted, Pipes(report, maps), os.getpid())
        memory = Memory(made.steps, made.failure)
        pid = run(made.steps, memory)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, unblocked)
        if pid > 0 and maps is not None:
            _tell_of_maps(pid, maps, wanted)
            maps = None
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, unblocked)
        for descriptor in (report, *(maps or ())):
            os.close(descriptor)
    with open(errors, "rb", buffering=0) as told:
        reported = int.from_bytes(told.read(8), "little") if pid > 0 else -pid
    pidfd = _pidfd(made, memory) if pid > 0 and wanted.pid_fd else -1
    if reported:
        _forget(pid, pidfd)
        raise OSError(reported, "")
    return Started(pid, pidfd)


def _tell_of_maps(pid: int, pipe: "Sequence[int]", wanted: "Attributes") -> None:
    """Write the child's maps, unless that is its own to do, and let it go on; the pipe is closed then."""
    os.close(pipe[0])
    number = 0
    try:
        if not wanted.unshareflags & CLONE_NEWUSER:
            _write_maps(pid, wanted)
    except OSError as error:
        number = error.errno or 0
    with open(pipe[1], "wb", buffering=0) as end:
        try:
            end.write(number.to_bytes(8, "little"))
        except BrokenPipeError:
            # The child is gone; its report ends without a word.
            pass


def _write_maps(pid: int, wanted: "Attributes") -> None:
    """Write the child's id maps as its parent (``writeUidGidMappings``)."""
    if wanted.uid_mappings is not None:
        _write(f"/proc/{pid}/uid_map", "".join(mapping.line() for mapping in wanted.uid_mappings))
    if wanted.gid_mappings is not None:
        try:
            _write(f"/proc/{pid}/setgroups", "allow" if wanted.gid_mappings_enable_setgroups else "deny")
        except FileNotFoundError:
            # Linux before 3.19 has no such file.
            pass
        _write(f"/proc/{pid}/gid_map", "".join(mapping.line() for mapping in wanted.gid_mappings))


def _write(path: str, content: str) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.write(descriptor, content.encode())
    finally:
        os.close(descriptor)


def handled_signals() -> "List[int]":
    """The signals for which Go installs a handler, which a child therefore starts with at their default.

    The C library keeps 32 and 33 to itself. Go does handle 33: no program that uses the library can tell.
    """
    set_apart = {number for number in _KEPT_IF_IGNORED if signal.getsignal(number) == signal.SIG_IGN}
    wanted = sorted(signal.valid_signals() - _UNTOUCHED - set_apart)
    # What is at its default already costs no call. None: a handler that Python does not know.
    return [number for number in wanted if signal.getsignal(number) != signal.SIG_DFL]


def _pidfd(made: Plan, memory: Memory) -> int:
    number = memory.number(made.pidfd) & 0xFFFFFFFF
    return -1 if number == 0xFFFFFFFF else number


def _forget(pid: int, pidfd: int) -> None:
    """Leave nothing of a child that failed."""
    if pid > 0:
        os.waitpid(pid, 0)
    if pidfd >= 0:
        os.close(pidfd)
