"""The user's own cache: nobody else can have written what is in it; sessions write it one at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import platformdirs

from harness.errors import UnmetNeedError

Progress = Callable[[str], None]
"""Takes one line for the person who waits."""

_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_REMEDY = "set XDG_CACHE_HOME to a folder of your own"


def folder(*names: str) -> Path:
    """A folder of the cache, made with all that leads to it if it is missing.

    Raises:
        UnmetNeedError: it can't be made, or others could write there or put another one in its place.
    """
    path = platformdirs.user_cache_path("nslab").absolute()
    steps = [path, *(path := path / name for name in names)]
    try:
        for step in steps:
            _make(step)
            _must_be_own(step)
        _must_stay(steps[0])
    except OSError as error:
        raise UnmetNeedError(f"no cache: {path}: {error.strerror}; {_REMEDY}") from None
    return path


def _make(path: Path) -> None:
    """Path.mkdir gives the mode to the last folder only."""
    if not path.is_dir():
        _make(path.parent)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)


def _must_be_own(path: Path) -> None:
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise UnmetNeedError(
            f"the cache {path} is not a folder of user {os.geteuid()} "
            f"(its owner is {found.st_uid}); {_REMEDY}"
        )
    if found.st_mode & _BY_OTHERS:
        raise UnmetNeedError(f"others can write the cache {path}; remove it: rm -r {path}")


def _must_stay(path: Path) -> None:
    """Whoever can write a folder above can rename what is in it, unless that is sticky (inode(7))."""
    for above in path.resolve().parents:
        found = above.stat()
        writable = found.st_mode & _BY_OTHERS and not found.st_mode & stat.S_ISVTX
        if writable or found.st_uid not in _trusted_users():
            raise UnmetNeedError(f"others can replace the cache {path}: they can write {above}; {_REMEDY}")


def _trusted_users() -> set[int]:
    """This user and root, who in a user namespace may be nobody that is known there (user_namespaces(7))."""
    trusted = {0, os.geteuid()}
    if Path("/proc/self/uid_map").read_text().split()[:2] != ["0", "0"]:
        trusted.add(int(Path("/proc/sys/kernel/overflowuid").read_text()))
    return trusted


def trusted(file: Path) -> bool:
    """Whether it is a file, no link, that only this user can have written."""
    try:
        found = file.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & _BY_OTHERS


@contextlib.contextmanager
def locked(file: Path, progress: Progress | None = None) -> Iterator[None]:
    """Hold a lock against other sessions; the system drops it when the session ends, however it ends.

    Raises:
        UnmetNeedError: its file can't be made.
    """
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise UnmetNeedError(f"no cache: {file}: {error.strerror}; {_REMEDY}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if progress:
                progress(f"waiting for another session that prepares {file.name}")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
