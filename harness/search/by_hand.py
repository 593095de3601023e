"""Carried in a script: does one operation beyond the model, as ``act FOLDER PID KIND TARGET SOURCE [NAME]``.

What has to last, such as a tree that is in no namespace, is kept by the process, which stays and writes its
number into the folder, under the name.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, Callable

from harness.search import calls

HELD = 9
"""The descriptor under which a process that stays has what it keeps."""


def enter(holder: str) -> None:
    """Have the mount namespace and the root directory of a process."""
    root = os.open(f"/proc/{holder}/root", os.O_RDONLY)
    namespace = os.open(f"/proc/{holder}/ns/mnt", os.O_RDONLY)
    calls.check(calls.LIBC.setns(namespace, 0))
    os.fchdir(root)
    os.chroot(".")
    os.close(root)
    os.close(namespace)


def kept(folder: int, word: str) -> str | int:
    """A word, or the tree that another process keeps under it."""
    if word.startswith("/"):
        return word
    try:
        with open(os.open(word, os.O_RDONLY, dir_fd=folder)) as file:
            return os.open(f"/proc/{file.read().strip()}/fd/{HELD}", os.O_PATH)
    except FileNotFoundError:
        return word


def moves(flags: int) -> Act:
    """Mount a tree or a mount at the target."""
    return lambda target, source: calls.move_mount(source, target, flags)


def copies(flags: int) -> Act:
    """Keep a copy of what is at the target."""
    return lambda target, _: keep(calls.open_tree(target, flags))


def sets(flags: int) -> Act:
    """Change attributes."""
    return lambda target, source: calls.set_attributes(target, source, flags)


def keep(descriptor: int) -> None:
    """Hold a descriptor for as long as the process stays."""
    os.dup2(descriptor, HELD)


Act = Callable[[Any, Any], None]

ACTS: dict[str, Act] = {
    "tree": copies(0),
    "tree-r": copies(calls.AT_RECURSIVE),
    "attach": moves(0),
    "attach-beneath": moves(calls.BENEATH),
    "move-beneath": moves(calls.BENEATH),
    "set-group": moves(calls.SET_GROUP),
    "mount-beneath": lambda target, source: calls.mount(
        source, target, os.environ["DIRECTORIES"].split(), calls.BENEATH
    ),
    "setattr": sets(0),
    "setattr-r": sets(calls.AT_RECURSIVE),
    "remount": lambda target, source: calls.remount(target, source),
    "open": lambda target, _: keep(os.open(target, os.O_RDONLY)),
    "write": lambda target, _: keep(os.open(target + "/file", os.O_WRONLY | os.O_CREAT)),
    "cwd": lambda target, _: os.chdir(target),
    "chroot": lambda target, _: os.chroot(target),
}


def act(folder: str, holder: str, kind: str, target: str, source: str, name: str = "") -> None:
    """Do one operation as the process that holds a namespace, and stay where what it makes has a name."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    home = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    where, what = kept(held, target), kept(held, source)
    enter(holder)
    ACTS[kind](where, what)
    if name and kind not in ("cwd", "chroot"):
        # Who only holds a descriptor does not keep the namespace from its end.
        calls.check(calls.LIBC.setns(home, 0))
    if name:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        with open(os.open(name, os.O_WRONLY | os.O_CREAT, dir_fd=held), "w") as file:
            file.write(f"{os.getpid()}\n")
        signal.sigwait([signal.SIGTERM])


if __name__ == "__main__":
    try:
        act(*sys.argv[1:])
    except OSError as error:
        sys.exit(f"{sys.argv[3]}: {error.strerror}")
