"""Starts a description with one isolator after another and looks at what came of it. Runs on the host alone.

One process without threads, since it forks. A line of JSON in is a trial, one out is what was seen.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import pty
import select
import signal
import sys
import termios
import time
from typing import Any

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
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "NSLAB": "1"}
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


class Starter:
    """The files that isolators get, and what was seen of what they started."""

    def __init__(self, scratch: str) -> None:
        """Open the files once for all trials."""
        self.scratch = scratch
        self.null = os.open(os.devnull, os.O_RDWR)
        self.file = os.open(f"{scratch}/plain", os.O_RDONLY)
        self.pipe = os.pipe()[1]
        self.cgroup = _own_cgroup(scratch)

    def trial(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What came of a trial with each isolator, by its name."""
        with open(f"{self.scratch}/description", "w", encoding="utf-8") as file:
            file.write(asked["description"])
        return {name: self._started(command, asked) for name, command in asked["commands"].items()}

    def _started(self, command: str, asked: dict[str, Any]) -> dict[str, Any]:
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
                self._become(command, asked, {2: errors, REPORT: report, TERMINAL: terminal})
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

    def _become(self, command: str, asked: dict[str, Any], files: dict[int, int]) -> None:
        """Be the isolator, with these files, leading a session, perhaps with a terminal, less capable."""
        os.setsid()
        if asked["terminal"]:
            fcntl.ioctl(files[TERMINAL], termios.TIOCSCTTY, 0)
        wanted = {0: self.null, 1: self.null, FILE: self.file, PIPE: self.pipe, CGROUP: self.cgroup, **files}
        # Out of the way first: what is at a wanted number may be wanted elsewhere.
        moved = {number: fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 64) for number, file in wanted.items()}
        for number, file in moved.items():
            os.dup2(file, number)
        for capability in asked["without"]:
            _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
        for number in asked["ignored"]:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, asked["blocked"])
        os.chdir(self.scratch)
        arguments = ["isolate", "--description", f"{self.scratch}/description", "--report", str(REPORT)]
        os.execve(command, arguments, _ENVIRONMENT)

    def _seen(self, isolator: int, report: int, around: Surroundings) -> dict[str, Any]:
        """What the isolator said, what the program's world is, and how both ended."""
        told: dict[str, Any] = {}
        try:
            line = _line(report)
            told = json.loads(line) if line else {}
            pid = told.pop("Pid", 0)
            if pid and _sleeps(pid):
                told["world"] = world(pid, isolator, around)
            if pid:
                _kill(pid)
        except Lost as lost:
            told["lost"] = str(lost)
            _end_group(isolator)
        return {**told, "status": _status(isolator)}


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
    """Run as a program: ``starter SCRATCH``."""
    scratch = sys.argv[1]
    prepare(scratch)
    starter = Starter(scratch)
    print(json.dumps({"machine": os.uname().machine}), flush=True)
    for line in sys.stdin:
        print(json.dumps(starter.trial(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
