"""What actors do and see where user namespaces are the question."""

from __future__ import annotations

import errno
import os
from typing import Any

from harness.crew.actor import Actor, Verb, letters
from harness.probes.children import map_root, read, write
from harness.probes.credentials import drop_capabilities
from harness.probes.syscalls import KINDS, mount, unshare

NEW, NAMESPACES = "user", (("user",),)
FIRST = 0

_FOLDER = "/tmp"
_DEEPER_THAN_ANY = 100


def prepare() -> dict[str, Any]:
    """Make a folder for everybody's files; tell which IDs there are here.

    How deep this namespace lies can't be told, unless it is the initial one: then how many levels fit below.
    """
    mount("files", _FOLDER, "tmpfs", 0, "mode=0777")
    os.umask(0)
    ids = [[*map(int, line.split())] for line in read("/proc/self/uid_map").splitlines()]
    return {"ids": [[first, count] for first, _, count in ids], "room": None if _initial() else _room()}


def _initial() -> bool:
    """Whether this is the initial user namespace (``PROC_USER_INIT_INO``)."""
    return os.readlink("/proc/self/ns/user") == "user:[4026531837]"


def _room() -> int:
    """How many levels of user namespaces fit below this one; tried in a child, which the kernel reaps."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            os.write(writing, bytes([_levels()]))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        return told.read()[0]


def _levels() -> int:
    """Go down as far as the kernel lets one; how many levels that were."""
    for level in range(_DEEPER_THAN_ANY):
        try:
            unshare(KINDS["user"])
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return level
        map_root()
    return _DEEPER_THAN_ANY


def fresh() -> None:
    """Remove the files of the program before."""
    for name in os.listdir(_FOLDER):
        os.unlink(f"{_FOLDER}/{name}")


def settle(flags: int) -> None:
    """Map the group of a new user namespace: without one, there could be no further namespace."""
    if flags & KINDS["user"]:
        write("/proc/self/setgroups", "deny")
        write("/proc/self/gid_map", "0 0 1\n")


def _map(actor: Actor, argument: Any, file: int | None) -> None:
    pid, lines = argument
    write(f"/proc/{pid}/uid_map", "".join("{} {} {}\n".format(*line) for line in lines))


def _descend(actor: Actor, levels: Any, file: int | None) -> None:
    for _ in range(levels):
        own = os.getuid()
        unshare(KINDS["user"])
        actor.settle(KINDS["user"])
        write("/proc/self/uid_map", f"0 {own} 1\n")


def _setuid(actor: Actor, number: Any, file: int | None) -> None:
    os.setuid(number)


def _create(actor: Actor, name: Any, file: int | None) -> None:
    os.close(os.open(f"{_FOLDER}/{name}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _chown(actor: Actor, argument: Any, file: int | None) -> None:
    name, number = argument
    os.chown(f"{_FOLDER}/{name}", number, -1)


def _drop(actor: Actor, argument: Any, file: int | None) -> None:
    drop_capabilities()


VERBS: dict[str, Verb] = {
    "map": _map,
    "descend": _descend,
    "setuid": _setuid,
    "create": _create,
    "chown": _chown,
    "drop": _drop,
}


def look(actor: Actor, living: Any) -> dict[str, Any]:
    """All actors' IDs, all files' owners, all maps."""
    seen: dict[str, Any] = {"capable": int(_field("self", "CapEff")[0], 16) != 0}
    for name in os.listdir(_FOLDER):
        seen[f"owner of {name}"] = os.stat(f"{_FOLDER}/{name}").st_uid
    senders = letters(actor, living)
    for other, pid in living:
        by_letter, by_proc = senders[other][1], int(_field(pid, "Uid")[1])
        name = "abcdefgh"[other]
        seen[f"user ID of {name}"] = by_letter if by_letter == by_proc else [by_letter, by_proc]
        seen[f"uid_map of {name}"] = [
            [*map(int, line.split())] for line in read(f"/proc/{pid}/uid_map").splitlines()
        ]
    return seen


def _field(pid: object, name: str) -> list[str]:
    lines = read(f"/proc/{pid}/status").splitlines()
    return next(line for line in lines if line.startswith(name + ":")).split()[1:]


def in_words(looks: dict[int, Any], pids: dict[int, int]) -> dict[int, Any]:
    """What actors saw, without the map of the first namespace: it tells of the world outside."""
    first = os.readlink("/proc/self/ns/user")
    there = ["abcdefgh"[actor] for actor, pid in pids.items() if os.readlink(f"/proc/{pid}/ns/user") == first]
    for saw in looks.values():
        for name in there:
            del saw[f"uid_map of {name}"]
    return looks
