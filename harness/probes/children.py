"""Further processes of a probe: one that answers a question elsewhere, one that holds namespaces open."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
from typing import Any, Callable, Iterator

from harness.probes.registry import Unmeasured
from harness.probes.syscalls import KINDS, NEWUSER, call, unshare

CLONE_ARGS = {
    "flags": 0,
    "pidfd": 0,
    "child_tid": 0,
    "parent_tid": 0,
    "exit_signal": int(signal.SIGCHLD),
    "stack": 0,
    "stack_size": 0,
    "tls": 0,
    "set_tid": 0,
    "set_tid_size": 0,
    "cgroup": 0,
}
"""``struct clone_args`` of <linux/sched.h>: fields of 8 bytes, and their defaults here."""


def in_child(function: Callable[..., Any], *arguments: Any, flags: int = 0) -> Any:
    """What a function returns in a child that was cloned with these flags.

    Raises:
        OSError: the child could not be made, or the function raised one.
        Unmeasured: the function found that it may not measure.
        RuntimeError: the child ended or raised something else.
    """
    reading, writing = os.pipe()
    pid = call("clone", flags | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        _answer(writing, function, *arguments)
    os.close(writing)
    said = b"".join(iter(lambda: os.read(reading, 65536), b""))
    os.close(reading)
    os.waitpid(pid, 0)
    answer = json.loads(said or b'{"died": "without an answer"}')
    if "errno" in answer:
        raise OSError(answer["errno"], os.strerror(answer["errno"]))
    if "unmeasured" in answer:
        raise Unmeasured(answer["unmeasured"])
    if "died" in answer:
        raise RuntimeError(answer["died"])
    return answer["value"]


def _answer(writing: int, function: Callable[..., Any], *arguments: Any) -> None:
    """The child: it must never return into its copy of the probe."""
    answer: dict[str, Any]
    try:
        try:
            answer = {"value": function(*arguments)}
        except OSError as error:
            answer = {"errno": error.errno}
        except Unmeasured as reason:
            answer = {"unmeasured": str(reason)}
        except Exception as error:
            answer = {"died": f"{type(error).__name__}: {error}"}
        os.write(writing, json.dumps(answer).encode())
    finally:
        os._exit(0)


@contextlib.contextmanager
def held(flags: int = 0, prepare: Callable[[], Any] = lambda: None) -> Iterator[int]:
    """The PID of a child that was cloned with these flags, ran a function and now waits."""
    ready, readied = os.pipe()
    held_up, release = os.pipe()
    # clone(2) takes the flag of time namespaces for a signal; clone3 is forbidden in some containers.
    pid = clone3(flags=flags) if flags & KINDS["time"] else call("clone", flags | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os.close(release)
        _answer(readied, lambda: (prepare(), os.write(readied, b"!"), os.read(held_up, 1)))
    for descriptor in (readied, held_up):
        os.close(descriptor)
    try:
        said = os.read(ready, 4096)
        if said != b"!":
            raise RuntimeError(f"the child that should wait said {said!r}")
        yield pid
    finally:
        os.close(release)
        os.close(ready)
        os.waitpid(pid, 0)


def clone3(size: int = 64, tail: int = 0, **fields: int) -> int:
    """Clone with the fields of ``struct clone_args``; ``tail`` follows what this program knows of it."""
    values = [fields.pop(name, default) for name, default in CLONE_ARGS.items()]
    if fields:
        raise TypeError("not in struct clone_args: {}".format(", ".join(fields)))
    request = (ctypes.c_uint64 * 16)(*values, tail)
    return call("clone3", ctypes.byref(request), size)


def in_new_user_namespace(function: Callable[..., Any], *arguments: Any, flags: int = 0) -> Any:
    """What a function returns in a child that is root of a user namespace below this one."""

    def inside() -> Any:
        unshare(NEWUSER | flags)
        map_root()
        return function(*arguments)

    return in_child(inside)


def map_root() -> None:
    """Map root of this process' new user namespace to root of its parent (user_namespaces(7))."""
    write("/proc/self/setgroups", "deny")
    write("/proc/self/gid_map", "0 0 1\n")
    write("/proc/self/uid_map", "0 0 1\n")


def read(path: str) -> str:
    """A file's content, without the line end; a carriage return in it is no end of a line."""
    with open(path, newline="") as file:
        return file.read().rstrip("\n")


def write(path: str, content: str) -> None:
    """Write a file of /proc in one go.

    Raises:
        OSError: the kernel's answer.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, content.encode())
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def namespace(kind: str, process: object = "self") -> Iterator[int]:
    """A descriptor of a process' namespace."""
    descriptor = os.open(f"/proc/{process}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def identity(kind: str, process: object = "self") -> str:
    """A process' namespace as its link names it."""
    return os.readlink(f"/proc/{process}/ns/{kind}")
