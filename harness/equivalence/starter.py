"""Starts descriptions with an isolator and looks at what came of them. Runs on the host alone."""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import os
import pty
import shutil
import sys
from types import CodeType
from typing import Any

from harness.equivalence import awaited, probe
from harness.equivalence.around import Around
from harness.equivalence.world import Surroundings, world

FILE, PIPE, TERMINAL, CGROUP, REPORT = 3, 4, 5, 6, 7
"""Descriptors that an isolator has besides the first three.

Without a gap: what it opens itself comes behind them. The child moves a descriptor out of the way to the
number after its highest one, where it could overwrite one that is inherited, or not, by what is open.
"""


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

    def __init__(self, name: str, command: str, scratch: str, group: str) -> None:
        """Open the files once for all trials; ``command`` and ``group`` are paths."""
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
            CGROUP: _high(os.open(group, os.O_RDONLY | os.O_DIRECTORY)),
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
            line = b"" if self.silent else awaited.line(report)
            told = json.loads(line) if line else {}
            pid = awaited.probe_of(isolator) if self.silent else told.pop("Pid", 0)
            if pid and awaited.sleeps(pid):
                told["world"] = world(pid, isolator, around)
            if pid:
                awaited.kill(pid)
        except awaited.Lost as lost:
            told["lost"] = str(lost)
            awaited.end_group(isolator)
        return {**told, "status": awaited.status(isolator)}


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
    folder = os.path.dirname(command)
    sys.path[:0] = [folder, f"{folder}/spawn.zip"]
    for module in ("isolate", "harness.isolators.spawn.command"):
        importlib.import_module(module)
    return compile(source, command, "exec")


def _high(file: int) -> int:
    """The file at a number that no isolator is to get one at."""
    moved = fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 64)
    os.close(file)
    return moved


def _shown(file: int) -> str:
    """What ``/proc/PID/fd`` shows of a file."""
    return os.readlink(f"/proc/self/fd/{file}")
