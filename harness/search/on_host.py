"""Carried to a host: runs programs of mount operations by system calls and reads the mount tables after each.

Every program has a mount namespace of its own whose one mount is an empty tmpfs. One process, which may do
anything in the namespaces that it makes, enters them in turn; only a namespace of another user namespace
takes a child, which ends at once. Python 3.8 and its standard library suffice.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import threading
from typing import Any, Dict, Tuple

from harness.search.births import NEWNS, copied, held
from harness.search.calls import LIBC, call, check, furnish, mount

channel: Any
"""execnet's, where this runs on a host."""


FS = 0x00000200
BIND, MOVE, REC, DETACH = 4096, 8192, 16384, 2
UNBINDABLE, PRIVATE, SLAVE, SHARED = 1 << 17, 1 << 18, 1 << 19, 1 << 20
KINDS = {"shared": SHARED, "slave": SLAVE, "private": PRIVATE, "unbindable": UNBINDABLE}
MAKE = {"make-" + kind: flag for kind, flag in KINDS.items()}
MAKE.update({"make-r" + kind: flag | REC for kind, flag in KINDS.items()})
MOUNTS = {"bind": BIND, "rbind": BIND | REC, "move": MOVE}
UNSHARES = ("unshare", "unshare-user", "unshare-first")
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

ME = os.open(f"/proc/{threading.get_native_id()}", os.O_RDONLY | os.O_DIRECTORY)
"""This thread's directory below /proc, which no namespace of a program shows."""

PAGE = 4 << 10
FULL = 3 << 10
"""Bytes: the kernel gives whole lines, a page of them at most, and no line here has a quarter of a page."""

AT_ROOT = b" / r"
"""In a mount table, in each line of a mount whose place is the root: before the rest of ``rw`` or ``ro``."""

Answer = Tuple[str, Dict[int, bytes]]
"""What comes of a step: the name of its error, and the tables that it changed: empty ones are gone."""

ORIGIN: Namespace
"""The namespace with an empty file system, of which each program gets a copy."""


class Table:
    """A mount table as it is seen by who opened it."""

    def __init__(self, table: int) -> None:
        """Hold it by its descriptor."""
        self.table = table
        self.seen = b""

    def news(self) -> bytes | None:
        """The mount table, or nothing where it is what it was when last asked for."""
        text = more = os.pread(self.table, PAGE, 0)
        while len(more) > FULL:
            more = os.pread(self.table, PAGE, len(text))
            text += more
        if text == self.seen:
            return None
        self.seen = text
        return text

    def close(self) -> None:
        """Let go of it."""
        os.close(self.table)


class Namespace(Table):
    """A mount namespace held by descriptors: itself, its root directory, its mount table, its owner."""

    def __init__(self, itself: int, root: int, table: int, owner: int | None = None) -> None:
        """Hold it by descriptors; who owns it is not told where that is this process's user namespace."""
        self.itself, self.root, self.owner = itself, root, owner
        super().__init__(table)

    def enter(self) -> None:
        """Become a process of the namespace; its root directory is the namespace's first mount."""
        check(LIBC.setns(self.itself, NEWNS))
        # It leads to what is uppermost there (setns(2)), which is that mount if no other one is at the root.
        if self.seen.count(AT_ROOT) != 1:
            os.fchdir(self.root)
            os.chroot(".")

    def close(self) -> None:
        """Let go of it: it dies."""
        super().close()
        os.close(self.itself)
        os.close(self.root)


def prepare(directories: list[str]) -> None:
    """Enter a mount namespace that holds an empty file system with these directories and nothing else."""
    global ORIGIN
    check(LIBC.unshare(NEWNS | FS))
    check(LIBC.mount(None, b"/", None, PRIVATE | REC, None))
    check(LIBC.mount(b"w", b"/tmp", b"tmpfs", 0, None))
    os.chdir("/tmp")
    os.mkdir("old")
    number = PIVOT_ROOT[os.uname().machine]
    call(number, b".", b"old")
    check(LIBC.umount2(b"/old", DETACH))
    os.chdir("/")
    os.rmdir("old")
    root = os.open("/", os.O_RDONLY)
    furnish(root, directories)
    os.close(root)
    ORIGIN = Namespace(*held(ME))


class Program:
    """One run of a program."""

    def __init__(self, directories: list[str]) -> None:
        """Make the first namespace."""
        self.directories = directories
        self.namespaces: dict[int, Namespace] = {}
        self.inside: Namespace | None = None
        self.owners: list[int] = []
        self.gone: list[int] = []
        ORIGIN.enter()
        check(LIBC.unshare(NEWNS))
        self.hold(0, Namespace(*held(ME)))

    def hold(self, number: int, namespace: Namespace) -> None:
        """Keep a namespace in which this process is."""
        self.namespaces[number] = self.inside = namespace

    def step(self, kind: str, actor: int, target: str, source: str) -> Answer:
        """Do one operation; the name of its error, and the tables that it changed: empty ones are gone."""
        self.gone.clear()
        try:
            self.act(kind, actor, target, source)
            name = ""
        except OSError as error:
            name = errno.errorcode.get(error.errno or 0, str(error.errno))
        tables = dict.fromkeys(self.gone, b"")
        for number, namespace in self.namespaces.items():
            text = namespace.news()
            if text is not None:
                tables[number] = text
        return name, tables

    def act(self, kind: str, actor: int, target: str, source: str) -> None:
        """Do one operation."""
        if kind == "exit":
            self.exit(actor)
            return
        namespace = self.enter(actor)
        path = target.encode()
        if kind in MAKE:
            check(LIBC.mount(None, path, None, MAKE[kind], None))
        elif kind == "mount":
            mount(source, target, self.directories)
        elif kind in MOUNTS:
            check(LIBC.mount(source.encode(), path, None, MOUNTS[kind], None))
        elif kind == "umount":
            check(LIBC.umount2(path, 0))
        elif kind == "umount-l":
            check(LIBC.umount2(path, DETACH))
        elif kind in UNSHARES:
            self.unshare(kind, namespace)
        else:
            raise ValueError(f"no operation: {kind}")

    def enter(self, actor: int) -> Namespace:
        """Be a process of a namespace."""
        namespace = self.namespaces.get(actor)
        if namespace is None:
            raise OSError(errno.ESRCH, "no such namespace")
        if self.inside is not namespace:
            namespace.enter()
            self.inside = namespace
        return namespace

    def exit(self, actor: int) -> None:
        """Let a namespace die, of which this process is then none."""
        namespace = self.namespaces.pop(actor, None)
        if namespace is None:
            raise OSError(errno.ESRCH, "no such namespace")
        if self.inside is namespace:
            ORIGIN.enter()
            self.inside = None
        namespace.close()
        self.gone.append(actor)

    def unshare(self, kind: str, namespace: Namespace) -> None:
        """Copy the namespace in which this process is."""
        number = next(free for free in range(99) if free not in self.namespaces)
        owner = None if kind == "unshare-first" else namespace.owner
        if owner is None and kind != "unshare-user":
            check(LIBC.unshare(NEWNS))
            self.hold(number, Namespace(*held(ME)))
        else:
            itself, root, table, *made = copied(namespace.itself, owner, kind == "unshare-user")
            self.owners += made
            self.namespaces[number] = Namespace(itself, root, table, made[0] if made else owner)

    def close(self) -> None:
        """Let every namespace die."""
        ORIGIN.enter()
        for namespace in self.namespaces.values():
            namespace.close()
        for owner in self.owners:
            os.close(owner)


def serve(requests: Any, program: type[Program] = Program) -> None:
    """Run the programs that come through execnet's channel, each as a whole, some in one message."""
    prepared = False
    for request in requests:
        directories, programs = json.loads(request)
        if not prepared:
            prepare(directories)
            # What is there by now stays: it is neither searched for garbage nor copied for children by that.
            gc.freeze()
            prepared = True
        requests.send(joined([ran(program(directories), steps) for steps in programs]))


def ran(running: Program, steps: list[Any]) -> list[Answer]:
    """What a program's steps were answered."""
    try:
        return [running.step(*step) for step in steps]
    finally:
        running.close()


def joined(programs: list[list[Answer]]) -> bytes:
    """The answers to programs, parted by zeros: what is short, as JSON, and the tables in that order.

    What is short is for each step the name of its error and the numbers of the tables that it changed.
    Python has a library in C for either part; execnet would take values apart in Python.
    """
    short = json.dumps([[(name, [*tables]) for name, tables in answers] for answers in programs])
    texts = (text for answers in programs for _, tables in answers for text in tables.values())
    return b"\0".join([short.encode(), *texts])


if __name__ == "__channelexec__":
    serve(channel)  # noqa: F821 - execnet's
