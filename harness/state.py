"""What of this machine an experiment could change: read before and after, compared, told by name."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness import mountinfo, queues
from harness.environment import SESSION, TAG
from harness.mountinfo import Mount

_LOOKS = 100
"""How often an empty environment is looked at again; exec takes far less, and few have none."""

_CGROUPS = Path("/sys/fs/cgroup")

_MASTERS = {"/dev/ptmx", "/dev/pts/ptmx"}
"""Where the controlling side of a pseudoterminal is opened (pts(4))."""

_NAMESPACE = re.compile(r"[a-z]+:\[\d+\]")
"""What a descriptor of a namespace links to (namespaces(7)); a socket's or pipe's link looks alike."""


def mark(session: str) -> str:
    """The beginning of every name that a session gives to a file or a control group of the machine."""
    return f"nslab-{session}"


class Ipc(NamedTuple):
    """One System V object as ``/proc/sysvipc`` lists it (sysvipc(7))."""

    kind: str
    id: int
    key: int

    def __str__(self) -> str:
        """The object as ipcs(1) names it."""
        return f"{_IPC_WORDS[self.kind]} {self.id} (key {self.key & 0xFFFFFFFF:#010x})"


_IPC_WORDS = {"msg": "message queue", "sem": "semaphore array", "shm": "shared memory segment"}
_IPC_COLUMNS = {"msg": "msqid", "sem": "semid", "shm": "shmid"}


def listed_ipc(kind: str, text: str) -> list[tuple[Ipc, int | None]]:
    """The objects in a file of ``/proc/sysvipc``, with the PID of the creator where there is one to it."""
    lines = text.splitlines()
    rows = [dict(zip(lines[0].split(), line.split())) for line in lines[1:]]
    return [
        (
            Ipc(kind, int(row[_IPC_COLUMNS[kind]]), int(row["key"])),
            int(row["cpid"]) if kind == "shm" else None,
        )
        for row in rows
    ]


class State(NamedTuple):
    """The machine as it was at one moment."""

    hostname: str
    domainname: str
    mounts: tuple[Mount, ...]
    ipc: frozenset[Ipc]
    queues: frozenset[str]
    """Names of POSIX message queues (mq_overview(7))."""
    processes: frozenset[tuple[int, str]]
    """PID and name of each process that this session started on the machine and that still runs."""
    files: frozenset[str]
    """Temporary files and control groups that this session made."""
    held: frozenset[str] = frozenset()
    """Terminals and namespaces that this very process holds by a descriptor: they stay as long as it does."""
    others: frozenset[Ipc] = frozenset()
    """Objects of a living process that this session did not start, kept apart from :attr:`ipc`."""


class Machine:
    """Reads this machine's state, also while something covers its ``/proc``."""

    def __init__(self, session: str = SESSION) -> None:
        """Watch for what the programs of ``session`` leave behind."""
        self.session = session
        self._proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._proc)

    def state(self) -> State:
        """The state now."""
        mounts = self.mounts()
        ipc = dict(self._ipc())
        return State(
            hostname=self._read("sys/kernel/hostname")[:-1],
            domainname=self._read("sys/kernel/domainname")[:-1],
            mounts=mounts,
            ipc=frozenset(object_ for object_, foreign in ipc.items() if not foreign),
            queues=frozenset(queues.names(mounts)),
            processes=frozenset(self.processes()),
            files=frozenset(_session_files(self.session)),
            held=frozenset(self._held()),
            others=frozenset(object_ for object_, foreign in ipc.items() if foreign),
        )

    def mounts(self) -> tuple[Mount, ...]:
        """The mount table of this process's namespace."""
        return tuple(mountinfo.parse(self._read("self/mountinfo")))

    def reaches(self, mount: Mount) -> bool:
        """Whether a lookup of the mount's path ends in it, and not in one that hides it."""
        try:
            descriptor = os.open(mount.point, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return f"mnt_id:\t{mount.id}\n" in self._read(f"self/fdinfo/{descriptor}")
        finally:
            os.close(descriptor)

    def _read(self, path: str) -> str:
        return os.fsdecode(self._read_bytes(path))

    def _read_bytes(self, path: str) -> bytes:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
        with os.fdopen(descriptor, "rb") as file:
            return file.read()

    def _ipc(self) -> Iterator[tuple[Ipc, bool]]:
        """Each object, and whether its creator lives and is none of ours: desktop programs come and go."""
        for kind in _IPC_WORDS:
            try:
                listed = listed_ipc(kind, self._read(f"sysvipc/{kind}"))
            except FileNotFoundError:
                # A kernel without System V IPC.
                return
            for object_, creator in listed:
                yield object_, creator is not None and self._is_foreign(creator)

    def _is_foreign(self, pid: int) -> bool:
        """Whether a living process that this session did not start has this PID."""
        try:
            return not self._is_zombie(pid) and not self.is_ours(pid)
        except PermissionError:
            return True
        except OSError:
            return False

    def _is_zombie(self, pid: int) -> bool:
        """Whether it has ended and waits to be reaped: its environment, by which it was known, is gone."""
        return self._read(f"{pid}/stat").rpartition(")")[2].split()[0] in "ZX"

    def is_ours(self, pid: int) -> bool:
        """Whether the session started the process that now has this PID.

        Raises:
            OSError: it has ended, or this user may not know.
        """
        return f"{TAG}={self.session}".encode() in self._environment(pid).split(b"\0")

    def _environment(self, pid: int) -> bytes:
        """A process's environment; it is empty for an instant while the process executes another program."""
        for _ in range(_LOOKS):
            content = self._read_bytes(f"{pid}/environ")
            if content or not self._has_program(pid):
                break
        return content

    def _has_program(self, pid: int) -> bool:
        """Whether it is neither a zombie nor a thread of the kernel."""
        try:
            return bool(os.readlink(f"{pid}/exe", dir_fd=self._proc))
        except OSError:
            return False

    def processes(self) -> Iterator[tuple[int, str]]:
        """PID and name of each process that the session started and that still runs."""
        for name in os.listdir(self._proc):  # noqa: PTH208 - by descriptor, not by path
            if not name.isdigit():
                continue
            try:
                if self.is_ours(int(name)):
                    yield int(name), self._read(f"{name}/comm").strip()
            except OSError:
                # It ended while it was looked at, or belongs to somebody else.
                continue

    def _held(self) -> Iterator[str]:
        descriptors = os.open("self/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._proc)
        try:
            for name in os.listdir(descriptors):  # noqa: PTH208 - by descriptor, not by path
                with contextlib.suppress(OSError):
                    link = os.readlink(name, dir_fd=descriptors)
                    if link in _MASTERS:
                        yield f"terminal {_terminal(self._read(f'self/fdinfo/{name}'))} (descriptor {name})"
                    elif _NAMESPACE.fullmatch(link) and not link.startswith(("socket", "pipe")):
                        yield f"namespace {link} (descriptor {name})"
        finally:
            os.close(descriptors)


def _terminal(fdinfo: str) -> str:
    """The path of a pseudoterminal, of whose controlling side fdinfo tells the number since Linux 4.14."""
    number = re.search(r"^tty-index:\s*(\d+)$", fdinfo, re.MULTILINE)
    return f"/dev/pts/{number[1]}" if number else "of unknown number"


def _session_files(session: str) -> Iterator[str]:
    """What lies in the temporary directory and among the control groups under this session's mark."""
    for folder in _temporary_directories():
        yield from map(str, folder.glob(f"{mark(session)}*"))
    # Control groups come and go while they are walked, which os.walk passes over and glob does not.
    for parent, groups, _ in os.walk(_CGROUPS):
        yield from (f"{parent}/{group}" for group in groups if group.startswith(mark(session)))


def _temporary_directories() -> list[Path]:
    try:
        return [Path(tempfile.gettempdir())]
    except FileNotFoundError:
        # None can be written to, so nothing can be left there.
        return []


def differences(before: State, after: State) -> list[str]:
    """Each change, by name, in the order in which a reader would look for them."""
    changes = [
        f"{word} was {old!r} and is {new!r}"
        for word, old, new in (
            ("the hostname", before.hostname, after.hostname),
            ("the domain name", before.domainname, after.domainname),
        )
        if old != new
    ]
    changes += _mount_changes(before.mounts, after.mounts)
    # Who made an object may have ended meanwhile: it is neither new nor gone because of that.
    changes += _changed("", before.ipc - after.others, after.ipc - before.others)
    changes += _changed("POSIX message queue", before.queues, after.queues)
    changes += _changed("", before.files, after.files)
    changes += [f"{held} is still held by this process" for held in sorted(after.held - before.held)]
    changes += [f"process {pid} ({name}) is left" for pid, name in sorted(after.processes - before.processes)]
    return [change.encode("utf-8", "backslashreplace").decode("utf-8") for change in changes]


def _mount_changes(before: tuple[Mount, ...], after: tuple[Mount, ...]) -> list[str]:
    old, new = _by_meaning(before), _by_meaning(after)
    appeared = [f"mount {new[key]} appeared" for key in sorted(new.keys() - old.keys())]
    return appeared + [f"mount {old[key]} is gone" for key in sorted(old.keys() - new.keys())]


def _by_meaning(mounts: tuple[Mount, ...]) -> dict[Mount, Mount]:
    """The mounts by what they mean: a peer group is named by its first member, for its number may change."""
    first = {
        tag.partition(":")[2]: mount.id
        for mount in sorted(mounts, reverse=True)
        for tag in mount.tags
        if tag.startswith("shared:")
    }
    return {
        mount._replace(tags=tuple(_tag_by_meaning(tag, first) for tag in mount.tags)): mount
        for mount in mounts
    }


def _tag_by_meaning(tag: str, first: dict[str, int]) -> str:
    kind, _, group = tag.partition(":")
    return f"{kind} of {first[group]}" if group in first else tag


def _changed(word: str, before: object, after: object) -> list[str]:
    old, new = set(before), set(after)  # type: ignore[call-overload]  # any two collections
    appeared = [f"{word} {item} appeared".strip() for item in sorted(new - old)]
    return appeared + [f"{word} {item} is gone".strip() for item in sorted(old - new)]
