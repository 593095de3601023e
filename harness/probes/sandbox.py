"""Run a probe in a disposable child and hear its answer; no probe can hang, harm or disturb another.

``sandbox``: root of a new user namespace and of a new namespace of every kind that it can own, as PID 1. On
the host that root is an ordinary user, also where the host's user is root: nothing of the host can change,
and answers do not depend on who asked. ``root``: the host's user in the same namespaces but the user one,
for what only the machine's root may do. ``host``: a plain child of the host's user, which only looks.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from io import FileIO
from typing import Any, Dict, Iterator

from harness.probes import syscalls
from harness.probes.registry import Probe, Unmeasured

FLAGS = {
    "host": 0,
    "sandbox": syscalls.NEWUSER
    | syscalls.NEWNS
    | syscalls.NEWPID
    | syscalls.NEWUTS
    | syscalls.NEWIPC
    | syscalls.NEWCGROUP,
}
"""Where a probe can run, to the namespaces that are new there."""
FLAGS["root"] = FLAGS["sandbox"] & ~syscalls.NEWUSER

ORDINARY = 1
"""A user ID in the sandbox that owns nothing, where the host's user could map a second one."""

_NOBODY, _OTHERS = 65534, 100000
"""The host's IDs behind root's and the others' in the sandbox, where the host's user may choose."""

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_REC, _PRIVATE = 0x4000, 1 << 18

Answer = Dict[str, Any]


def measure_all(probes: list[Probe], limit: float) -> dict[str, Answer]:
    """The answers of probes, by their names; those that may share a child do, while none of them is bad."""
    together: dict[tuple[str, str], list[Probe]] = {}
    for probe in probes:
        if not probe.alone:
            together.setdefault((probe.function.__module__, probe.place), []).append(probe)
    found: dict[str, Answer] = {}
    for group in together.values():
        answers = _measure(group, limit)
        found.update({probe.name: answer for probe, answer in zip(group, answers) if "value" in answer})
    return {probe.name: found.get(probe.name) or measure(probe, limit) for probe in probes}


def measure(probe: Probe, limit: float) -> Answer:
    """The value of one fact; or why there is none: ``error``, ``unmeasured``."""
    return _measure([probe], limit)[0]


def _measure(probes: list[Probe], limit: float) -> list[Answer]:
    """The answers of probes in one child; a single one that stands for all where the child fails."""
    flags, outside = FLAGS[probes[0].place], _namespaces()
    with _pipe() as (answers, answer), _pipe() as (waiting, go):
        try:
            pid = syscalls.call("clone", flags | signal.SIGCHLD, 0, 0, 0, 0)
        except OSError as error:
            return [{"error": f"the sandbox can't be made: {error.strerror}"}]
        if pid == 0:
            go.close()
            _be(probes, flags, outside, waiting.fileno(), answer.fileno())
        answer.close()
        failure = syscalls.outcome(_let_go, pid, flags, go)
        said = _hear(answers.fileno(), limit) if failure == "ok" else b""
    # Of a sandbox this is PID 1: with it ends whatever the probe has started.
    os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    if failure != "ok":
        return [{"error": f"the sandbox's IDs can't be mapped: {failure}"}]
    return _judge(said, status, limit)


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[FileIO, FileIO]]:
    """Both ends of a pipe, closed in the end."""
    reading, writing = os.pipe()
    with FileIO(reading, "r") as one, FileIO(writing, "w") as other:
        yield one, other


def _let_go(pid: int, flags: int, go: FileIO) -> None:
    """Give the child its IDs and let it begin."""
    if flags & syscalls.NEWUSER:
        _map_ids(pid)
    go.write(b"!")


def _be(probes: list[Probe], flags: int, outside: set[str], waiting: int, answer: int) -> None:
    """The child: settle in, run the probes, answer, vanish."""
    try:
        syscalls.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.read(waiting, 1):
            os.write(answer, json.dumps(_answers(probes, flags, outside)).encode())
    finally:
        os._exit(0)


def _answers(probes: list[Probe], flags: int, outside: set[str]) -> list[Answer]:
    try:
        if flags:
            _settle(flags, outside)
    except (OSError, RuntimeError) as error:
        return [{"error": f"the sandbox is not what it should be: {error}"}]
    return [*map(_ask, probes)]


def _settle(flags: int, outside: set[str]) -> None:
    """Become root of the sandbox.

    Raises:
        RuntimeError: this is no sandbox: a probe could reach the host.
    """
    shared = outside & _namespaces()
    if os.getpid() != 1 or len(shared) > len(outside) - bin(flags).count("1"):
        raise RuntimeError(f"still in the host's namespaces {sorted(shared)}")
    if flags & syscalls.NEWUSER:
        _become_root()
    syscalls.mount("", "/", "", _REC | _PRIVATE)
    # The host's /proc names processes by the host's PIDs.
    syscalls.mount("proc", "/proc", "proc")


def _namespaces() -> set[str]:
    """This process' namespaces, as their links name them."""
    return {os.readlink(f"/proc/self/ns/{kind}") for kind in os.listdir("/proc/self/ns")}


def _become_root() -> None:
    if _may_map_groups():
        os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    # Else the files of this process in /proc are not its own (proc(5)).
    syscalls.prctl(_PR_SET_DUMPABLE, 1)


def _may_map_groups() -> bool:
    with open("/proc/self/setgroups") as file:
        return file.read().strip() == "allow"


def _map_ids(pid: int) -> None:
    """Map root, and others where the host's user may; who may not maps itself (user_namespaces(7))."""
    chosen = f"0 {_NOBODY} 1\n{ORDINARY} {_OTHERS} 1000\n"
    try:
        for name in ("gid_map", "uid_map"):
            _write(pid, name, chosen)
    except PermissionError:
        _write(pid, "setgroups", "deny")
        _write(pid, "gid_map", f"0 {os.getegid()} 1\n")
        _write(pid, "uid_map", f"0 {os.geteuid()} 1\n")


def _write(pid: int, name: str, content: str) -> None:
    with open(f"/proc/{pid}/{name}", "w") as file:
        file.write(content)


def _ask(probe: Probe) -> Answer:
    try:
        return {"value": probe.function(*probe.arguments)}
    except Unmeasured as reason:
        return {"unmeasured": str(reason)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def _hear(answers: int, limit: float) -> bytes:
    """What the child says until it ends or the time is over."""
    said, deadline = b"", time.monotonic() + limit
    while select.select([answers], [], [], max(0, deadline - time.monotonic()))[0]:
        more = os.read(answers, 65536)
        if not more:
            break
        said += more
    return said


def _judge(said: bytes, status: int, limit: float) -> list[Answer]:
    try:
        answers = json.loads(said)
    except ValueError:
        pass
    else:
        return list(answers)
    if os.WIFEXITED(status):
        return [{"error": "ended without an answer"}]
    name = signal.Signals(os.WTERMSIG(status)).name
    return [{"error": f"no answer in {limit:g} s" if name == "SIGKILL" else f"ended by {name}"}]
