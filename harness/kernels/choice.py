"""From what a person asks for to kernels: versions of the archive, files, built trees."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from harness.errors import UnmetNeedError
from harness.kernels import archive, cache, modules, store
from harness.kernels.archive import Build
from harness.kernels.foreign import what_it_is
from harness.kernels.store import Kernel

_VERSION = 0x20E
"""Where a bzImage tells the offset of its version's text, less 0x200 (x86/boot.rst)."""

_BUILT_IMAGE = "arch/x86/boot/bzImage"


class Choice(msgspec.Struct, frozen=True):
    """A kernel that a person asked for, not yet fetched."""

    name: str
    """As test ids show it."""
    build: Build | None = None
    """What the archive offers, or nothing for a kernel of the person's own."""
    image: str = ""
    modules: str = ""
    """A folder with modules for that image; empty where it needs none."""

    def kernel(self, progress: cache.Progress) -> Kernel:
        """The kernel, fetched where it has to be.

        Raises:
            UnmetNeedError: it can't be had.
        """
        if self.build:
            return msgspec.structs.replace(store.fetch(self.build, progress), name=self.name)
        parts = _modules_of(Path(self.modules)) if self.modules else ()
        return Kernel(self.name, self.name, self.image, Path(self.image), parts)


def choose(asked: Iterable[str], folder: str, progress: cache.Progress) -> list[Choice]:
    """What a list of wishes names, each kernel once. ``folder`` holds modules for images of one's own.

    Raises:
        UnmetNeedError: nobody offers such a version, or a file is no kernel.
    """
    chosen: dict[str, Choice] = {}
    builds: list[Build] = []
    for wish in asked:
        if "/" in wish or Path(wish).exists():
            choice = _own(Path(wish), folder)
            chosen[choice.name] = choice
            continue
        builds = builds or archive.offered(progress)
        for choice in _offered(wish, builds):
            chosen[choice.name] = choice
    return list(chosen.values())


def _offered(wish: str, builds: list[Build]) -> Iterator[Choice]:
    if wish == "all":
        yield from (Choice(build.version, build) for build in archive.newest_of_each_series(builds))
        return
    build = archive.matching(builds, wish)
    if build is None:
        near = ", ".join(archive.near(builds, wish))
        raise UnmetNeedError(f"kernel {wish!r}: Debian's archive offers no such version; near it are {near}")
    newest = archive.matching(builds, build.version)
    yield Choice(build.version if newest == build else build.release, build)


def _own(path: Path, folder: str) -> Choice:
    """A kernel of the person's own: an image, or a tree in which one was built, with the modules there."""
    image = path / _BUILT_IMAGE if path.is_dir() else path
    if path.is_dir() and not image.exists():
        raise UnmetNeedError(f"{path} is no built kernel tree: it has no {_BUILT_IMAGE}; run make there")
    if folder and not Path(folder).is_dir():
        raise UnmetNeedError(f"--modules={folder}: no such folder")
    found = folder or (str(path.absolute()) if path.is_dir() else "")
    return Choice(version_of(image), None, str(image.absolute()), found)


def version_of(image: Path) -> str:
    """The release that an x86 kernel image carries in its header.

    Raises:
        UnmetNeedError: it can't be read, or is no such image.
    """
    try:
        with image.open("rb") as file:
            head = file.read(0x10000)
    except OSError as error:
        raise UnmetNeedError(f"kernel {image}: {error.strerror}") from None
    if kind := what_it_is(head):
        raise UnmetNeedError(f"{image} is {kind}: expected an x86-64 bzImage or a distribution's vmlinuz")
    (offset,) = struct.unpack_from("<H", head, _VERSION)
    text = head[offset + 0x200 :].partition(b"\0")[0] if offset else b""
    release = text.decode("ascii", "replace").partition(" ")[0]
    return release or image.name


def _modules_of(folder: Path) -> tuple[Path, ...]:
    """The modules that a guest needs, out of a folder and unpacked, in a folder of the cache."""
    paths = [Path(where, name) for where, _, names in os.walk(folder) for name in names]
    found = {
        modules.name_of(path.name): (str(path), path.read_bytes())
        for path in paths
        if modules.is_module(path.name)
    }
    ordered = modules.in_order(found)
    if not ordered:
        return ()
    target = cache.folder("own") / str(folder.absolute()).strip("/").replace("/", "_")[-100:]
    with cache.locked("own"):
        cache.discard(target)
        with cache.making(target) as scratch:
            store.write_modules(ordered, scratch / "modules")
    return tuple(sorted((target / "modules").iterdir()))
