"""Carried to a host beside on_host.py and calls.py: operations that the model does not have.

Trees that are in no namespace, attributes of mounts, mounts put beneath others, peer groups that are handed
on, what keeps a mount busy, and readers of mount tables whose root directory is another. Python 3.8 and its
standard library suffice.
"""

from __future__ import annotations

import errno
import os
import resource
from typing import Any, Callable

from harness.search.calls import (
    AT_RECURSIVE,
    BENEATH,
    SET_GROUP,
    mount,
    move_mount,
    open_tree,
    remount,
    set_attributes,
)
from harness.search.on_host import ME, Namespace, Program, Table, serve

channel: Any
"""execnet's, where this runs on a host."""

FIRST_READER = 10
"""The number of the table of the first reader with a root directory of its own."""


class Beyond(Program):
    """One run of a program with operations beyond the model."""

    def __init__(self, directories: list[str]) -> None:
        """Make the first namespace."""
        self.trees: dict[str, int] = {}
        self.held: list[int] = []
        self.children: list[tuple[int, int]] = []
        self.readers: dict[int, tuple[Namespace, Table]] = {}
        super().__init__(directories)

    def step(self, kind: str, actor: int, target: str, source: str) -> tuple[str, dict[int, bytes]]:
        """Do one operation; the name of its error, and the tables that it changed: empty ones are gone."""
        name, tables = super().step(kind, actor, target, source)
        for number, (_, reader) in self.readers.items():
            text = reader.news()
            if text is not None:
                tables[number] = text
        return name, tables

    def act(self, kind: str, actor: int, target: str, source: str) -> None:
        """Do one operation."""
        if kind in ACTS:
            ACTS[kind](self, self.enter(actor), target, source)
        else:
            super().act(kind, actor, target, source)

    def exit(self, actor: int) -> None:
        """Let a namespace die, and its readers, who would keep it alive."""
        theirs = [
            number for number, (whose, _) in self.readers.items() if whose is self.namespaces.get(actor)
        ]
        for number in theirs:
            self.readers.pop(number)[1].close()
            self.gone.append(number)
        super().exit(actor)

    def close(self) -> None:
        """Let go of everything."""
        self.let_go()
        for _, reader in self.readers.values():
            reader.close()
        for tree in self.trees.values():
            os.close(tree)
        super().close()

    def named(self, name: str) -> str | int:
        """A path, or the tree that a name stands for."""
        if name.startswith("/"):
            return name
        if name not in self.trees:
            raise OSError(errno.EBADF, "no such tree")
        return self.trees[name]

    def tree(self, name: str, target: str, flags: int) -> None:
        """Copy what is at a path into a tree that is in no namespace."""
        self.trees[name] = open_tree(target, flags)

    def close_trees(self, kept: str) -> None:
        """Let go of all trees but one."""
        for name in [name for name in self.trees if name != kept]:
            os.close(self.trees.pop(name))

    def keep_open(self, target: str, flags: int, name: str = "") -> None:
        """Keep a directory, or a file in it, open."""
        self.held.append(os.open(target + name, flags | os.O_CLOEXEC, 0o600))

    def work_in(self, namespace: Namespace, target: str) -> None:
        """Have a process whose working directory it is."""
        os.chdir(target)
        wait, release = os.pipe()
        ready, say = os.pipe()
        child = os.fork()
        if child == 0:
            # Whatever else it held would live on: namespaces that end, for one.
            os.dup2(wait, 0)
            os.dup2(say, 1)
            os.closerange(2, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
            os.write(1, b".")
            os.read(0, 1)
            os._exit(0)
        os.close(wait)
        os.close(say)
        os.read(ready, 1)
        os.close(ready)
        os.fchdir(namespace.root)
        self.children.append((child, release))

    def read_in(self, namespace: Namespace, target: str) -> None:
        """Have a reader of the mount table whose root directory it is."""
        os.chdir(target)
        try:
            os.chroot(".")
            number = next(free for free in range(FIRST_READER, 99) if free not in self.readers)
            self.readers[number] = (namespace, Table(os.open("mountinfo", os.O_RDONLY, dir_fd=ME)))
        finally:
            os.fchdir(namespace.root)
            os.chroot(".")

    def let_go(self) -> None:
        """End what keeps mounts busy."""
        while self.held:
            os.close(self.held.pop())
        while self.children:
            child, release = self.children.pop()
            os.close(release)
            os.waitpid(child, 0)


Act = Callable[[Beyond, Namespace, str, str], None]


ACTS: dict[str, Act] = {
    "tree": lambda it, _, target, source: it.tree(source, target, 0),
    "tree-r": lambda it, _, target, source: it.tree(source, target, AT_RECURSIVE),
    "attach": lambda it, _, target, source: move_mount(it.named(source), target, 0),
    "attach-beneath": lambda it, _, target, source: move_mount(it.named(source), target, BENEATH),
    "move-beneath": lambda it, _, target, source: move_mount(source, target, BENEATH),
    "mount-beneath": lambda it, _, target, source: mount(source, target, it.directories, BENEATH),
    "set-group": lambda it, _, target, source: move_mount(source, target, SET_GROUP),
    "setattr": lambda it, _, target, source: set_attributes(it.named(target), source, 0),
    "setattr-r": lambda it, _, target, source: set_attributes(it.named(target), source, AT_RECURSIVE),
    "remount": lambda it, _, target, source: remount(target, source),
    "open": lambda it, _, target, source: it.keep_open(target, os.O_RDONLY | os.O_DIRECTORY),
    "write": lambda it, _, target, source: it.keep_open(target, os.O_WRONLY | os.O_CREAT, "/file"),
    "cwd": lambda it, namespace, target, source: it.work_in(namespace, target),
    "chroot": lambda it, namespace, target, source: it.read_in(namespace, target),
    "let-go": lambda it, _, target, source: it.let_go(),
    "close": lambda it, _, target, source: it.close_trees(source),
}
"""What is done for each kind of operation beyond the model's; the last one is never drawn.

It tells whether trees are why two kernels differ (``unless`` of known_differences.toml).
"""

if __name__ == "__channelexec__":
    serve(channel, Beyond)  # noqa: F821 - execnet's
