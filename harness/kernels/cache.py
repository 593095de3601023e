"""The user's cache of kernels: what is in it was finished, and only this user can have written it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import platformdirs

from harness.errors import UnmetNeedError

Progress = Callable[[str], None]
"""Takes one line for the person who waits."""

_HALF = ".half-"
"""How the names of unfinished things begin."""


def folder(name: str = "") -> Path:
    """A folder of the cache, made if it is missing.

    Raises:
        UnmetNeedError: it can't be made, or others could write there.
    """
    path = platformdirs.user_cache_path("nslab") / "kernels" / name
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat()
    except OSError as error:
        raise UnmetNeedError(
            f"no cache for kernels: {path}: {error.strerror}; set XDG_CACHE_HOME to a folder of your own"
        ) from None
    if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UnmetNeedError(
            f"others can write the cache {path}; remove it, or set XDG_CACHE_HOME to a folder of your own"
        )
    return path


@contextlib.contextmanager
def locked(name: str, progress: Progress | None = None) -> Iterator[None]:
    """Hold a lock against other sessions; the system drops it when the session ends, however it ends."""
    descriptor = os.open(folder("locks") / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if progress:
                progress(f"waiting for another session that prepares {name}")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def making(final: Path) -> Iterator[Path]:
    """A scratch folder that becomes ``final`` in one step when the block ends well, and else is removed.

    What a killed session left of the same thing is removed first: the caller holds the lock.

    Raises:
        UnmetNeedError: the disk refused, for example because it is full.
    """
    discard(final, halves_only=True)
    try:
        scratch = Path(tempfile.mkdtemp(prefix=f"{_HALF}{final.name}-", dir=final.parent))
    except OSError as error:
        raise _refused(final, error) from error
    try:
        yield scratch
        # The content must be on the disk before the name says that it is whole.
        os.sync()
        scratch.rename(final)
    except OSError as error:
        raise _refused(final, error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _refused(final: Path, error: OSError) -> UnmetNeedError:
    return UnmetNeedError(
        f"cannot write {final}: {error.strerror or error}; free some space, or set XDG_CACHE_HOME"
    )


def replace(file: Path, content: bytes) -> None:
    """Write a small file in one step for whoever looks."""
    half = file.with_name(f"{_HALF}{file.name}-{os.getpid()}")
    half.write_bytes(content)
    half.replace(file)


def discard(final: Path, *, halves_only: bool = False) -> None:
    """Remove a finished thing, in one step for whoever looks, and what was left unfinished of it."""
    if final.exists() and not halves_only:
        final.rename(final.with_name(f"{_HALF}{final.name}-gone"))
    for half in final.parent.glob(f"{_HALF}{final.name}-*"):
        shutil.rmtree(half, ignore_errors=True)


def size(path: Path) -> int:
    """Bytes that a file or a folder takes on the disk: holes in sparse files do not count."""
    files = [path, *path.rglob("*")] if path.exists() else []
    return sum(file.lstat().st_blocks * 512 for file in files)
