"""Carried in a script: does one operation beyond the model, as ``act FOLDER KIND TARGET SOURCE [NAME]``.

What has to last, such as a tree that is in no namespace, is kept by the process, which stays and writes its
number into the folder, under the name.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Callable

from harness.search import calls

HELD = 9
"""The descriptor under which a process that stays has what it keeps."""


def named(folder: str, name: str) -> str | int:
    """A path, or the tree that another process keeps."""
    if "/" in name:
        return name
    with open(os.path.join(folder, name)) as file:
        return os.open(f"/proc/{file.read()}/fd/{HELD}", os.O_PATH)


def moves(flags: int) -> Act:
    """Mount a tree or a mount at the target."""
    return lambda folder, target, source: calls.move_mount(named(folder, source), target, flags)


def copies(flags: int) -> Act:
    """Keep a copy of what is at the target."""
    return lambda _, target, source: keep(calls.open_tree(target, flags))


def sets(flags: int) -> Act:
    """Change attributes."""
    return lambda folder, target, source: calls.set_attributes(named(folder, target), source, flags)


def keep(descriptor: int) -> None:
    """Hold a descriptor for as long as the process stays."""
    os.dup2(descriptor, HELD)


Act = Callable[[str, str, str], None]

ACTS: dict[str, Act] = {
    "tree": copies(0),
    "tree-r": copies(calls.AT_RECURSIVE),
    "attach": moves(0),
    "attach-beneath": moves(calls.BENEATH),
    "move-beneath": moves(calls.BENEATH),
    "set-group": moves(calls.SET_GROUP),
    "mount-beneath": lambda _, target, source: calls.mount(
        source, target, os.environ["DIRECTORIES"].split(), calls.BENEATH
    ),
    "setattr": sets(0),
    "setattr-r": sets(calls.AT_RECURSIVE),
    "remount": lambda _, target, source: calls.remount(target, source),
    "open": lambda _, target, source: keep(os.open(target, os.O_RDONLY)),
    "write": lambda _, target, source: keep(os.open(target + "/file", os.O_WRONLY | os.O_CREAT)),
    "cwd": lambda _, target, source: os.chdir(target),
    "chroot": lambda _, target, source: os.chroot(target),
}


def act(folder: str, kind: str, target: str, source: str, name: str = "") -> None:
    """Do one operation, and stay where what it makes has a name."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    ACTS[kind](folder, target, source)
    if name:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        with open(os.open(name, os.O_WRONLY | os.O_CREAT, dir_fd=held), "w") as file:
            file.write(str(os.getpid()))
        signal.sigwait([signal.SIGTERM])


if __name__ == "__main__":
    try:
        act(*sys.argv[1:])
    except OSError as error:
        sys.exit(f"{sys.argv[2]}: {error.strerror}")
