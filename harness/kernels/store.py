"""Kernels in the user's cache: fetched once, whole or not at all, shared by sessions."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from harness.errors import LabError, UnmetNeedError
from harness.kernels import apt, cache, modules, pinned
from harness.kernels.archive import Build, Package

_FILE = "kernel.json"


class Kernel(msgspec.Struct, frozen=True):
    """A kernel that can be booted."""

    name: str
    """How test ids and reports call it: its version."""
    release: str
    """What ``uname -r`` shows in it; empty where only booting it would tell."""
    origin: str
    """Where it is from, for a person."""
    image: Path
    modules: tuple[Path, ...]
    """In the order of loading."""

    def digest(self) -> str:
        """One word for what the kernel is: its image and its modules."""
        content = hashlib.sha256()
        for path in (self.image, *self.modules):
            content.update(path.name.encode() + b"\0" + path.read_bytes())
        return content.hexdigest()


def cached() -> list[Kernel]:
    """Every kernel in the cache."""
    home = cache.folder("images")
    found = [_read(folder) for folder in sorted(home.iterdir()) if (folder / _FILE).exists()]
    return [kernel for kernel in found if kernel]


def kept(release: str) -> Kernel | None:
    """A kernel of the cache, by its release."""
    return _read(cache.folder("images") / release)


def _read(folder: Path) -> Kernel | None:
    try:
        said = msgspec.json.decode((folder / _FILE).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        return None
    parts = tuple(sorted((folder / "modules").glob("*.ko")))
    return Kernel(said["version"], said["release"], said["origin"], folder / "vmlinuz", parts)


def fetch(build: Build, progress: cache.Progress) -> Kernel:
    """The kernel of a build: from the cache, or downloaded, verified and unpacked into it.

    Raises:
        UnmetNeedError: no network, no space, or a file that is not what the archive's lists promise.
    """
    if found := kept(build.release):
        return found
    with cache.locked(build.release, progress):
        if found := kept(build.release):
            return found
        files = [_download(package, progress) for package in build.packages]
        progress(f"unpacking {build.release}")
        with cache.making(cache.folder("images") / build.release) as scratch:
            _unpack(files, scratch)
            said = {"version": build.version, "release": build.release, "origin": build.source}
            (scratch / _FILE).write_bytes(msgspec.json.encode(said))
        for file in files:
            file.unlink()
    made = kept(build.release)
    assert made is not None
    return made


def remove(release: str) -> int:
    """Remove a kernel from the cache; how many bytes that frees."""
    with cache.locked(release):
        folder = cache.folder("images") / release
        freed = cache.size(folder)
        cache.discard(folder)
    return freed


def _download(package: Package, progress: cache.Progress) -> Path:
    """A package's file: what an interrupted session had of it already is not asked for again."""
    into = cache.folder("downloads")
    progress(f"downloading {package.name} {_megabytes(package.size)}")
    if package.file:
        apt.download([f"{package.name}={package.version}"], into)
        # apt writes the epoch's colon, where there is one, as %3a.
        file = into / Path(package.file).name
    else:
        file = into / f"{package.name}_{package.version}_amd64.deb"
        _download_unlisted(package, file, progress)
    if not file.exists():
        raise LabError(f"apt downloaded {package.name} and left no {file}")
    if package.sha256 and _sha256(file) != package.sha256:
        file.unlink()
        raise UnmetNeedError(f"{file.name} is not the file that the archive's lists promise; fetch it again")
    return file


def _download_unlisted(package: Package, file: Path, progress: cache.Progress) -> None:
    mirror, _ = apt.mirrors()
    apt.download_file(f"{mirror.rstrip('/')}/pool/main/l/linux/{file.name}", file)
    known, is_ = pinned.SHA256.get(package.name), _sha256(file)
    if known and is_ != known:
        file.unlink()
        raise UnmetNeedError(
            f"{file.name} has SHA-256 {is_}, expected {known}: another file under its name; try another build"
        )
    covered = "its checksum is the one that nslab knows" if known else f"its SHA-256 is {is_}"
    progress(f"no signature covers {package.name}, which the archive's lists have dropped; {covered}")


def _megabytes(size: int) -> str:
    return f"({size / 1e6:.0f} MB)" if size else "(size unknown)"


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        digest = hashlib.sha256()
        while block := content.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _unpack(files: list[Path], folder: Path) -> None:
    """Take the image and the modules that a guest needs out of packages."""
    found: dict[str, tuple[str, bytes]] = {}
    for path, content in _members(files):
        if modules.is_module(path):
            found[modules.name_of(path)] = (path, content)
        else:
            (folder / "vmlinuz").write_bytes(content)
    if not (folder / "vmlinuz").exists():
        raise LabError(f"no kernel image in {', '.join(file.name for file in files)}")
    write_modules(modules.in_order(found), folder / "modules")


def write_modules(ordered: dict[str, bytes], folder: Path) -> list[Path]:
    """Write modules under names that sort in the order of loading."""
    folder.mkdir()
    paths = [folder / f"{number:02}-{name}.ko" for number, name in enumerate(ordered)]
    for path, content in zip(paths, ordered.values(), strict=True):
        path.write_bytes(content)
    return paths


def _members(files: list[Path]) -> Iterator[tuple[str, bytes]]:
    for file in files:
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", file], stdout=subprocess.PIPE) as unpacking:
            assert unpacking.stdout is not None
            with tarfile.open(fileobj=unpacking.stdout, mode="r|") as tar:
                for member in tar:
                    image = Path(member.name).name.startswith("vmlinuz")
                    content = tar.extractfile(member) if image or modules.is_module(member.name) else None
                    if content is not None:
                        yield member.name, content.read()
        if unpacking.returncode != 0:
            raise UnmetNeedError(f"{file} is damaged; remove it and fetch the kernel again")
