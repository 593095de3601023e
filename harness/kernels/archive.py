"""What kernels Debian's archive offers, and of which packages each consists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec
from debian.deb822 import Packages
from debian.debian_support import Version

from harness.kernels import apt, cache

_FILE = "builds.json"
_PATTERN = r"^linux-(image|binary|modules)-[0-9][^ ]*-cloud-amd64$"
_RELEASE = re.compile(r"linux-image-[0-9]+\.[0-9]+\.[0-9][^ ]*$")


class Package(NamedTuple):
    """One package of the archive, or one that has dropped out of its lists."""

    name: str
    version: str
    file: str
    """Its path below the mirror; empty where no list names it, and so no signature covers it."""
    size: int
    sha256: str


class Build(NamedTuple):
    """One kernel that the archive offers."""

    release: str
    """What ``uname -r`` shows in it."""
    package_version: str
    packages: tuple[Package, ...]

    @property
    def version(self) -> str:
        """The upstream version: ``6.12.117``."""
        return str(Version(self.package_version).upstream_version)

    @property
    def series(self) -> str:
        """The first two numbers of the version: ``6.12``."""
        return series(self.version)

    @property
    def size(self) -> int:
        """Bytes to download, as far as the archive's lists tell."""
        return sum(package.size for package in self.packages)

    @property
    def source(self) -> str:
        """Where it comes from, in a word or two."""
        unverified = not all(package.sha256 for package in self.packages)
        return "Debian, modules unsigned" if unverified else "Debian"


def series(version: str) -> str:
    """The first two numbers of a version."""
    return ".".join(version.split(".")[:2])


def order(build: Build) -> tuple[Version, str]:
    """The key by which builds sort from old to new."""
    return Version(build.package_version), build.release


def offered(progress: cache.Progress, *, refresh: bool = False) -> list[Build]:
    """Every kernel that the archive offers, old ones first.

    Raises:
        UnmetNeedError: the archive's lists can't be had.
    """
    apt.update(progress, force=refresh)
    # Reading the lists takes seconds; what was found in them is read in no time.
    found = cache.folder("apt") / _FILE
    try:
        if found.stat().st_mtime_ns > apt.updated().stat().st_mtime_ns:
            return msgspec.json.decode(found.read_bytes(), type=list[Build])
    except (OSError, msgspec.MsgspecError):
        pass
    builds = parse(apt.records(_PATTERN))
    cache.replace(found, msgspec.json.encode(builds))
    return builds


def parse(text: str) -> list[Build]:
    """The kernels in the archive's entries."""
    packages: dict[str, list[Packages]] = {}
    for entry in Packages.iter_paragraphs(text, use_apt_pkg=False):
        packages.setdefault(entry["Package"], []).append(entry)
    images = [entry for name, entries in packages.items() if _RELEASE.match(name) for entry in entries]
    builds = {_build(image, packages) for image in images}
    return sorted(builds, key=order)


def _build(image: Packages, packages: dict[str, list[Packages]]) -> Build:
    """An image's kernel: from 6.19 on the image is empty and needs the kernel and the modules beside it."""
    release = image["Package"].removeprefix("linux-image-")
    parts = [f"linux-binary-{release}", f"linux-modules-{release}"]
    needed = [name for name in parts if re.search(rf"(^|, ){re.escape(name)} ", image.get("Depends", ""))]
    chosen = tuple(_package(name, image["Version"], packages) for name in needed or [image["Package"]])
    return Build(release, image["Version"], chosen)


def _package(name: str, version: str, packages: dict[str, list[Packages]]) -> Package:
    for entry in packages.get(name, []):
        if entry["Version"] == version:
            return Package(name, version, entry["Filename"], int(entry["Size"]), entry["SHA256"])
    return Package(name, version, "", 0, "")


def newest_of_each_series(builds: Iterable[Build]) -> list[Build]:
    """What ``all`` means."""
    return list({build.series: build for build in builds}.values())


def matching(builds: Iterable[Build], asked: str) -> Build | None:
    """The newest build of a series, or the one of a version, a release or a package's version."""
    found = [build for build in builds if asked in _names(build)]
    return found[-1] if found else None


def _names(build: Build) -> Iterator[str]:
    yield from (build.series, build.version, build.release, build.package_version)


def near(builds: Iterable[Build], asked: str) -> list[str]:
    """The versions offered that are nearest to one that is not: of the same series, else the series."""
    same = [build.version for build in builds if build.series == series(asked)]
    return list(dict.fromkeys(same)) or list(dict.fromkeys(build.series for build in builds))
