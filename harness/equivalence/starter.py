"""Starts a description with one isolator after another and looks at what came of it. Runs on the host alone.

One process without threads, since it forks. A line of JSON in is a trial, one out is what was seen.
"""

from __future__ import annotations

import ctypes
import fcntl
import functools
import importlib
import json
import os
import pty
import select
import signal
import sys
import termios
import time
import traceback
from types import CodeType
from typing import Any, Callable

from harness.equivalence import probe
from harness.equivalence.world import Surroundings, world

LIMIT = 20.0
"""Seconds for an isolator to say what became of the start, and for what it started to sleep or end."""

FILE, PIPE, TERMINAL, CGROUP, REPORT = 3, 4, 5, 6, 7
"""Descriptors that an isolator has besides the first three.

Without a gap: what it opens itself comes behind them. The child moves a descriptor out of the way to the
number after its highest one, where it could overwrite one that is inherited, or not, by what is open.
"""

_PR_CAPBSET_DROP = 24
_CAPABILITY_VERSION_3 = 0x20080522
_libc = ctypes.CDLL(None, use_errno=True)


class Lost(Exception):  # noqa: N818 - no error of a program, but what the harness could not see
    """Something did not happen in time."""


def prepare(scratch: str) -> None:
    """Make the files that descriptions speak of."""
    os.umask(0o022)
    for folder in (scratch, f"{scratch}/root", f"{scratch}/root/inner", f"{scratch}/closed"):
        os.makedirs(folder, exist_ok=True)
    for place in (f"{scratch}/probe", f"{scratch}/root/probe"):
        _write(place, probe.program(), 0o755)
    _write(f"{scratch}/plain", b"no program\n", 0o644)
    _write(f"{scratch}/garbage", b"\x7fELF garbage", 0o755)
    _write(f"{scratch}/lost", b"#!/no/interpreter\n", 0o755)
    os.chmod(f"{scratch}/closed", 0)


def _write(path: str, content: bytes, mode: int) -> None:
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)


def _forgo(capabilities: list[int]) -> None:
    """Have no capability of these, nor a way to get it back (capabilities(7))."""
    if not capabilities:
        return
    for number in capabilities:
        _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
    header, sets = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3), (ctypes.c_uint32 * 6)()
    _libc.capget(header, sets)
    lost = sum(1 << number for number in capabilities)
    for position in range(6):
        sets[position] &= ~(lost >> 32 * (position // 3)) & 0xFFFFFFFF
    if _libc.capset(header, sets):
        raise OSError(ctypes.get_errno(), "capset")


class Starter:
    """The files that isolators get, and what was seen of what they started."""

    def __init__(self, command: str, scratch: str) -> None:
        """Open the files once for all trials; ``command`` is the isolator's path."""
        self.command, self.scratch = command, scratch
        self.silent = os.path.basename(command) != "isolate"
        """It reports nothing: what it starts is looked for."""
        self.program = None if self.silent else _python_program(command)
        self.null = os.open(os.devnull, os.O_RDWR)
        self.file = os.open(f"{scratch}/plain", os.O_RDONLY)
        self.pipe = os.pipe()[1]
        self.cgroup = _own_cgroup(scratch)

    def trial(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What came of a trial, whose description lies ready."""
        main, terminal = pty.openpty()
        reading, report = os.pipe()
        errors = os.open(f"{self.scratch}/errors", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        names = {
            os.readlink(f"/proc/self/fd/{number}"): name
            for number, name in (
                (self.pipe, "pipe"),
                (terminal, "terminal"),
                (errors, "errors"),
                (report, "report"),
            )
        }
        pid = os.fork()
        if pid == 0:
            try:
                self._become(asked, {2: errors, REPORT: report, TERMINAL: terminal})
            finally:
                os._exit(99)
        os.close(report)
        os.close(terminal)
        try:
            seen = self._seen(pid, reading, Surroundings(names))
        finally:
            os.close(main)
            os.close(reading)
        told = os.pread(errors, 4096, 0).decode("utf-8", "backslashreplace")
        os.close(errors)
        # A date stands before an error's text.
        return {**seen, "said": told.partition(" ")[2].partition(" ")[2] if told[:2] == "20" else told}

    def _become(self, asked: dict[str, Any], files: dict[int, int]) -> None:
        """Be the isolator, with these files, leading a session, perhaps with a terminal, less capable."""
        os.setsid()
        if asked["terminal"]:
            fcntl.ioctl(files[TERMINAL], termios.TIOCSCTTY, 0)
        wanted = {0: self.null, 1: self.null, FILE: self.file, PIPE: self.pipe, CGROUP: self.cgroup, **files}
        if self.silent:
            del wanted[REPORT]
        # Out of the way first: what is at a wanted number may be wanted elsewhere.
        moved = {number: fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 64) for number, file in wanted.items()}
        for number, file in moved.items():
            os.dup2(file, number)
        _forgo(asked["without"])
        # Ignored by this interpreter, and so by what it starts.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        for number in asked["ignored"]:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, asked["blocked"])
        os.chdir(self.scratch)
        arguments = ["isolate", "--description", f"{self.scratch}/description", "--report", str(REPORT)]
        # What a new interpreter does with the signals that it is given.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            if self.program is not None:
                signal.signal(number, signal.SIG_IGN)
        if self.program is None:
            arguments = asked["arguments"] if self.silent else arguments
            # Not os.environ: the interpreter may have added a variable (PEP 538).
            with open("/proc/self/environ", "rb") as environ:
                given = [entry.partition(b"=") for entry in environ.read().split(b"\0") if entry]
            os.execvpe(self.command, arguments, {name: value for name, _, value in given})
        if signal.SIGINT not in asked["ignored"]:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.argv = arguments
        exec(self.program, {"__name__": "__main__", "__file__": self.command})

    def _seen(self, isolator: int, report: int, around: Surroundings) -> dict[str, Any]:
        """What the isolator said, what the program's world is, and how both ended."""
        told: dict[str, Any] = {}
        try:
            line = b"" if self.silent else _line(report)
            told = json.loads(line) if line else {}
            pid = _probe_of(isolator) if self.silent else told.pop("Pid", 0)
            if pid and _sleeps(pid):
                told["world"] = world(pid, isolator, around)
            if pid:
                _kill(pid)
        except Lost as lost:
            told["lost"] = str(lost)
            _end_group(isolator)
        return {**told, "status": _status(isolator)}


def _python_program(command: str) -> CodeType | None:
    """The code of an isolator that is a Python program, and its library, ready to be run by a fork.

    Its own interpreter's start would be nine tenths of what a trial costs.
    """
    with open(command, "rb") as file:
        source = file.read()
    if b"python" not in source[:512].partition(b"\nimport")[0]:
        return None
    for name in [name for name in sys.modules if name.partition(".")[0] == "harness"]:
        del sys.modules[name]
    sys.path.insert(0, f"{os.path.dirname(command)}/spawn.zip")
    importlib.import_module("harness.isolators.spawn.command")
    return compile(source, command, "exec")


def serve(command: str, scratch: str, line: Callable[[], bytes], answer: Callable[[bytes], object]) -> None:
    """Answer one trial after another with what came of it."""
    starter = Starter(command, scratch)
    while True:
        asked = line()
        if not asked:
            return
        answer(json.dumps(starter.trial(json.loads(asked))).encode() + b"\n")


class Served:
    """A starter in a process of its own, with the modules of its own isolator."""

    def __init__(self, command: str, scratch: str) -> None:
        """Fork it."""
        asking, answering = os.pipe(), os.pipe()
        if os.fork() == 0:
            try:
                os.close(asking[1])
                os.close(answering[0])
                lines = os.fdopen(asking[0], "rb")
                serve(command, scratch, lines.readline, functools.partial(os.write, answering[1]))
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        os.close(asking[0])
        os.close(answering[1])
        self._asking, self._answers = asking[1], os.fdopen(answering[0], "rb")

    def trial(self, line: bytes) -> Any:
        """What came of a trial.

        Raises:
            EOFError: the starter has ended.
        """
        os.write(self._asking, line)
        answer = self._answers.readline()
        if not answer:
            raise EOFError("the starter has ended")
        return json.loads(answer)


def _own_cgroup(scratch: str) -> int:
    """This process's own cgroup v2 folder, where it belongs already; where there is none, just a folder."""
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        paths = [line.rstrip("\n")[3:] for line in file if line.startswith("0::")]
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = [line.split() for line in file]
    found = [f"{mount[4]}{paths[0]}" for mount in mounts if " - cgroup2 " in " ".join(mount) and paths]
    for folder in [*found, scratch]:
        try:
            return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            continue
    raise FileNotFoundError(scratch)


def _line(descriptor: int) -> bytes:
    """What comes until the other end closes."""
    told = b""
    while True:
        if not select.select([descriptor], [], [], LIMIT)[0]:
            raise Lost("the isolator's report did not come")
        part = os.read(descriptor, 65536)
        told += part
        if not part or part.endswith(b"\n"):
            return told


def _probe_of(isolator: int) -> int:
    """The probe, once it sleeps: the isolator itself, or its child; 0 if the isolator ended instead."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        try:
            with open(f"/proc/{isolator}/stat", encoding="ascii", errors="replace") as file:
                if file.read().rpartition(")")[2].split()[0] in "ZX":
                    return 0
            with open(f"/proc/{isolator}/task/{isolator}/children", encoding="ascii") as file:
                for pid in (isolator, *map(int, file.read().split())):
                    with open(f"/proc/{pid}/syscall", encoding="ascii") as call:
                        if call.read().startswith(f"{probe.SLEEPS} "):
                            return pid
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            # One that is ending may refuse the look before it is a zombie.
            pass
        os.sched_yield()
    raise Lost("no program came to sleep")


def _sleeps(pid: int) -> bool:
    """Wait until the probe sleeps; false if it has ended.

    The end of the isolator's pipe comes in the middle of execve(2), before the new credentials are in force.
    """
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        try:
            with open(f"/proc/{pid}/syscall", encoding="ascii") as file:
                if file.read().startswith(f"{probe.SLEEPS} "):
                    return True
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                if file.read().rpartition(")")[2].split()[0] in "ZX":
                    return False
        except (FileNotFoundError, ProcessLookupError):
            return False
        except PermissionError:
            # One that is ending may refuse the look before it is a zombie.
            pass
        os.sched_yield()
    raise Lost("the started program did not come to sleep")


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _end_group(isolator: int) -> None:
    """End an isolator that hangs, and its child, which may be stopped before its execve."""
    with open(f"/proc/{isolator}/task/{isolator}/children", encoding="ascii") as file:
        children = [int(child) for child in file.read().split()]
    for pid in [*children, isolator]:
        _kill(pid)


def _status(pid: int) -> int:
    """How an isolator ended, whose child has ended; negative: by which signal."""
    status = os.waitpid(pid, 0)[1]
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)


def main() -> None:
    """Run as a program: ``starter SCRATCH NAME=ISOLATOR...``."""
    scratch, *isolators = sys.argv[1:]
    prepare(scratch)
    commands = dict(isolator.split("=", 1) for isolator in isolators)
    starters = {name: Served(command, scratch) for name, command in commands.items()}
    print(json.dumps({"machine": os.uname().machine}), flush=True)
    for line in sys.stdin.buffer:
        with open(f"{scratch}/description", "w", encoding="utf-8") as file:
            file.write(json.loads(line)["description"])
        print(json.dumps({name: starter.trial(line) for name, starter in starters.items()}), flush=True)


if __name__ == "__main__":
    main()
