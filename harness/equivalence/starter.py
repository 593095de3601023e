"""Starts a description with one isolator after another and looks at what came of it. Runs on the host alone.

Processes without threads, since they fork: one for each isolator. A line of JSON in is a list of trials, one
out is what was seen.
"""

from __future__ import annotations

import codecs
import fcntl
import gc
import importlib
import json
import os
import pty
import resource
import select
import shutil
import signal
import sys
import time
import traceback
from types import CodeType
from typing import Any

from harness.equivalence import probe
from harness.equivalence.around import Around
from harness.equivalence.world import Surroundings, world
from harness.isolators.spawn.machine import libc

LIMIT = 10.0
"""Seconds for an isolator to say what became of the start, and for what it started to sleep or end."""

PAUSE = 1e-4
"""Seconds between two looks at whether a program sleeps: where there is one CPU, it runs meanwhile."""

FILE, PIPE, TERMINAL, CGROUP, REPORT = 3, 4, 5, 6, 7
"""Descriptors that an isolator has besides the first three.

Without a gap: what it opens itself comes behind them. The child moves a descriptor out of the way to the
number after its highest one, where it could overwrite one that is inherited, or not, by what is open.
"""

OPEN_FILES = 256
"""The soft limit of open files."""

_PR_SET_DUMPABLE = 4


class Lost(Exception):  # noqa: N818 - no error of a program, but what the harness could not see
    """Something did not happen in time."""


def become(user: int) -> None:
    """Be an ordinary user without any capability, to whom the own ``/proc/PID`` is open (prctl(2))."""
    # The interpreter's modules may be out of this user's reach: load what is needed now.
    codecs.lookup("ascii")
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
    libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


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


class Starter:
    """The files that isolators get, and what was seen of what they started."""

    def __init__(self, name: str, command: str, scratch: str) -> None:
        """Open the files once for all trials; ``command`` is the isolator's path."""
        self.command = shutil.which(command) or command
        os.chdir(scratch)
        self.silent = os.path.basename(command) != "isolate"
        """It reports nothing: what it starts is looked for."""
        self.program = None if self.silent else _python_program(command)
        self.described = f"{scratch}/description-{name}"
        self.errors = _high(os.open(f"{scratch}/errors-{name}", os.O_RDWR | os.O_CREAT, 0o644))
        null = _high(os.open(os.devnull, os.O_RDWR))
        self.files = {
            0: null,
            1: null,
            2: self.errors,
            FILE: _high(os.open(f"{scratch}/plain", os.O_RDONLY)),
            PIPE: _high(os.pipe()[1]),
            CGROUP: _high(_own_cgroup(scratch)),
        }
        names = {_shown(self.files[PIPE]): "pipe", _shown(self.errors): "errors"}
        self.around = Surroundings(names)
        with open("/proc/self/environ", "rb") as environ:
            # Not os.environ: the interpreter may have added a variable (PEP 538).
            given_variables = [entry.partition(b"=") for entry in environ.read().split(b"\0") if entry]
        self.environment = {name: value for name, _, value in given_variables}
        # What is there by now is the forks' too, and then copied less where nobody looks for garbage in it.
        gc.freeze()

    def trials(self, batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What came of each trial of a batch, up to the first of which nothing can be said."""
        seen: list[dict[str, Any]] = []
        for asked in batch:
            seen.append(self.trial(asked))
            if "lost" in seen[-1]:
                break
        return seen

    def trial(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What came of a trial."""
        with open(self.described, "w", encoding="utf-8") as file:
            file.write(asked["description"])
        os.ftruncate(self.errors, 0)
        os.lseek(self.errors, 0, os.SEEK_SET)
        main, terminal = map(_high, pty.openpty())
        reading, report = map(_high, os.pipe())
        names = {_shown(terminal): "terminal", _shown(report): "report"}
        files = {**self.files, TERMINAL: terminal, **({} if self.silent else {REPORT: report})}
        pid = self._start(asked, files)
        os.close(report)
        os.close(terminal)
        try:
            seen = self._seen(pid, reading, self.around.with_names(names))
        finally:
            os.close(main)
            os.close(reading)
        told = os.pread(self.errors, 4096, 0).decode("utf-8", "backslashreplace")
        # A date stands before an error's text.
        return {**seen, "said": told.partition(" ")[2].partition(" ")[2] if told[:2] == "20" else told}

    def _start(self, asked: dict[str, Any], files: dict[int, int]) -> int:
        around, arguments = Around(asked, files, TERMINAL), self._arguments(asked)
        if self.program is None:
            return around.start(self.command, arguments, self.environment)
        pid = os.fork()
        if pid == 0:
            try:
                around.become()
                sys.argv = arguments
                exec(self.program, {"__name__": "__main__", "__file__": self.command})
            finally:
                os._exit(99)
        return pid

    def _arguments(self, asked: dict[str, Any]) -> list[str]:
        if self.silent:
            return [*asked["arguments"]]
        return ["isolate", "--description", self.described, "--report", str(REPORT)]

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


def _high(file: int) -> int:
    """The file at a number that no isolator is to get one at."""
    moved = fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 64)
    os.close(file)
    return moved


def _shown(file: int) -> str:
    """What ``/proc/PID/fd`` shows of a file."""
    return os.readlink(f"/proc/self/fd/{file}")


class Served:
    """A starter in a process of its own, with the modules of its own isolator."""

    def __init__(self, name: str, command: str, scratch: str) -> None:
        """Fork it."""
        asking, answering = os.pipe(), os.pipe()
        if os.fork() == 0:
            try:
                os.close(asking[1])
                os.close(answering[0])
                with os.fdopen(asking[0], "rb") as lines, os.fdopen(answering[1], "wb") as answers:
                    starter = Starter(name, command, scratch)
                    for line in lines:
                        answers.write(json.dumps(starter.trials(json.loads(line))).encode() + b"\n")
                        answers.flush()
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        os.close(asking[0])
        os.close(answering[1])
        self._asking, self._answers = os.fdopen(asking[1], "wb"), os.fdopen(answering[0], "rb")

    def ask(self, line: bytes) -> None:
        """Have it try some trials."""
        self._asking.write(line)
        self._asking.flush()

    def answer(self) -> bytes:
        """What came of them: a line of JSON.

        Raises:
            EOFError: the starter has ended.
        """
        line = self._answers.readline()
        if not line:
            raise EOFError("the starter has ended")
        return line


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


def _has_ended(pid: int) -> bool:
    """Whether it is a zombie, or being reaped (proc_pid_stat(5))."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0] in "ZX"


def _is_asleep(pid: int) -> bool:
    """Whether it is in the call in which the probe sleeps (proc_pid_syscall(5))."""
    with open(f"/proc/{pid}/syscall", encoding="ascii") as file:
        return file.read().startswith(f"{probe.SLEEPS} ")


def _probe_of(isolator: int) -> int:
    """The probe, once it sleeps: the isolator itself, or its child; 0 if the isolator ended instead."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        try:
            if _has_ended(isolator):
                return 0
            with open(f"/proc/{isolator}/task/{isolator}/children", encoding="ascii") as file:
                for pid in (isolator, *map(int, file.read().split())):
                    if _is_asleep(pid):
                        return pid
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            # One that is ending may refuse the look before it is a zombie.
            pass
        time.sleep(PAUSE)
    raise Lost("no program came to sleep")


def _sleeps(pid: int) -> bool:
    """Wait until the probe sleeps; false if it has ended.

    The end of the isolator's pipe comes in the middle of execve(2), before the new credentials are in force.
    """
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        try:
            if _is_asleep(pid):
                return True
            if _has_ended(pid):
                return False
        except (FileNotFoundError, ProcessLookupError):
            return False
        except PermissionError:
            # One that is ending may refuse the look before it is a zombie.
            pass
        time.sleep(PAUSE)
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
    """Run as a program: ``starter SCRATCH USER NAME=ISOLATOR...``; as user 0 it stays who it is."""
    scratch, user, *isolators = sys.argv[1:]
    # Below the hard limit, as usual: Go raises it for itself and has to give it back to what it starts.
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    if int(user):
        become(int(user))
    prepare(scratch)
    commands = dict(isolator.split("=", 1) for isolator in isolators)
    starters = {name: Served(name, command, scratch) for name, command in commands.items()}
    print(json.dumps({"machine": os.uname().machine}), flush=True)
    for line in sys.stdin.buffer:
        # All at once: each isolator's trials come one after another, but not after the other's.
        for starter in starters.values():
            starter.ask(line)
        seen = [f'"{name}":'.encode() + starter.answer().rstrip() for name, starter in starters.items()]
        sys.stdout.buffer.write(b"{%s}\n" % b",".join(seen))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
