"""The user's cache of kernels: what is in it was finished, and only this user can have written it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness import private
from harness.errors import UnmetNeedError
from harness.private import Progress as Progress

_HALF = ".half-"
"""How the names of unfinished things begin."""


def folder(name: str = "") -> Path:
    """A folder of the cache, made if it is missing.

    Raises:
        UnmetNeedError: it can't be made, or others could write there.
    """
    return private.folder("kernels", *filter(None, [name]))


def locked(name: str, progress: Progress | None = None) -> contextlib.AbstractContextManager[None]:
    """Hold a lock against other sessions; the system drops it when the session ends, however it ends."""
    return private.locked(folder("locks") / name, progress)


@contextlib.contextmanager
def making(final: Path) -> Iterator[Path]:
    """A scratch folder that becomes ``final`` in one step when the block ends well, and else is removed.

    What a killed session left of the same thing is removed first: the caller holds the lock.

    Raises:
        UnmetNeedError: the disk refused, for example because it is full.
    """
    discard(final, halves_only=True)
    with writing(final):
        scratch = Path(tempfile.mkdtemp(prefix=f"{_HALF}{final.name}-", dir=final.parent))
        try:
            yield scratch
            # The content must be on the disk before the name says that it is whole.
            os.sync()
            scratch.rename(final)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell in one line, with the remedy, where the disk refuses what the block writes for ``path``.

    Raises:
        UnmetNeedError: it refused, for example because it is full.
    """
    try:
        yield
    except OSError as error:
        raise UnmetNeedError(
            f"cannot write {path}: {error.strerror or error}; free some space, or set XDG_CACHE_HOME"
        ) from error


def replace(file: Path, content: bytes) -> None:
    """Write a small file in one step for whoever looks.

    Raises:
        UnmetNeedError: the disk refused.
    """
    half = file.with_name(f"{_HALF}{file.name}-{os.getpid()}")
    with writing(file):
        try:
            half.write_bytes(content)
            half.replace(file)
        finally:
            half.unlink(missing_ok=True)


def must_have_room(path: Path, wanted: int) -> None:
    """Make sure that ``wanted`` bytes can be written below a folder.

    Raises:
        UnmetNeedError: there is less room.
    """
    free = shutil.disk_usage(path).free
    if free < wanted:
        raise UnmetNeedError(
            f"no room in {path.parent}: {free >> 20} MB are free, {wanted >> 20} MB may be needed; "
            "free some space, or set XDG_CACHE_HOME"
        )


def discard(final: Path, *, halves_only: bool = False) -> None:
    """Remove a finished thing, in one step for whoever looks, and what was left unfinished of it."""
    if final.exists() and not halves_only:
        final.rename(final.with_name(f"{_HALF}{final.name}-gone"))
    for half in final.parent.glob(f"{_HALF}{final.name}-*"):
        shutil.rmtree(half, ignore_errors=True)


def discard_old(found: Iterable[Path], kept: int) -> None:
    """Remove finished things, but for the few that were used last."""
    for old in sorted(found, key=lambda folder: folder.stat().st_mtime)[:-kept]:
        discard(old)


def size(path: Path) -> int:
    """Bytes that a file or a folder takes on the disk: holes in sparse files do not count."""
    files = [path, *path.rglob("*")] if path.exists() else []
    return sum(file.lstat().st_blocks * 512 for file in files)
