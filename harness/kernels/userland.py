"""The programs of all guests: one minimal Debian, made by mmdebstrap, kept as a squashfs."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from harness.errors import UnmetNeedError
from harness.kernels import apt, cache
from harness.programs import run_apart

SUITE = "trixie"
PACKAGES = (
    "busybox-static",
    "crun",
    "dropbear-bin",
    "hostname",
    "iproute2",
    "kmod",
    "libpython3-stdlib",  # ctypes, which python3-minimal lacks
    "procps",
    "psmisc",
    "python3-minimal",
    "strace",
)
"""Beside Debian's essential packages, dash, coreutils and util-linux among them."""

_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
_TIMEOUT = 1800
_KEPT = 1
"""Userlands of other packages that are kept beside a new one: another session may use another nslab."""

_NAME_LENGTH = 16
_NEEDED = {"mmdebstrap": "mmdebstrap", "sqfstar": "squashfs-tools"}


class Userland(NamedTuple):
    """The programs of all guests."""

    disk: Path
    busybox: Path
    """The static busybox in it, of which initial ram disks are made."""
    key: str
    """Another word for another content."""


def get(progress: cache.Progress) -> Userland:
    """The userland from the cache, or made into it, which takes about half a minute.

    Raises:
        UnmetNeedError: a tool is missing, no network, no space.
    """
    folder = cache.folder("userland") / _name()
    if not folder.exists():
        check_tools()
        apt.update(progress)
        with cache.locked("userland", progress):
            if not folder.exists():
                cache.discard_old(_all(), _KEPT)
                with cache.making(folder) as scratch:
                    _make(scratch, progress)
    os.utime(folder)
    disk = folder / "root.squashfs"
    made = f"{folder.name}-{disk.stat().st_size}-{disk.stat().st_mtime_ns}"
    return Userland(disk, folder / "busybox", made)


def here() -> bool:
    """Whether there is a userland in the cache."""
    return (cache.folder("userland") / _name()).exists()


def remove() -> int:
    """Remove it, and what is kept of others; how many bytes that frees."""
    freed = 0
    with cache.locked("userland"):
        for folder in _all():
            freed += cache.size(folder)
            cache.discard(folder)
    return freed


def _all() -> list[Path]:
    """The userlands in the cache, of whatever packages."""
    return [*cache.folder("userland").glob("?" * _NAME_LENGTH)]


def _name() -> str:
    """Another word for other packages."""
    return hashlib.sha256(" ".join((SUITE, *PACKAGES, *_LEFT_OUT)).encode()).hexdigest()[:_NAME_LENGTH]


def check_tools() -> None:
    """Make sure that a userland can be made here.

    Raises:
        UnmetNeedError: a tool is missing; names its package.
    """
    for tool, package in _NEEDED.items():
        if not shutil.which(tool):
            raise UnmetNeedError(f"guests' userland is made with {tool}: install the package {package}")
    if os.geteuid() != 0 and not _may_map_ids():
        raise UnmetNeedError(
            "without root, guests' userland is made in a user namespace of many ids: "
            "install the package uidmap, and have this run for your account: "
            "usermod --add-subuids 100000-165535 --add-subgids 100000-165535"
        )


def _may_map_ids() -> bool:
    """Whether newuidmap(1) gives this user a range of ids, as mmdebstrap(1) needs without root."""
    try:
        account = pwd.getpwuid(os.geteuid()).pw_name
        lists = [Path("/etc", name).read_text().splitlines() for name in ("subuid", "subgid")]
    except (KeyError, OSError):
        return False
    ranges = all(any(line.startswith(f"{account}:") for line in lines) for lines in lists)
    return ranges and shutil.which("newuidmap") is not None


def _make(folder: Path, progress: cache.Progress) -> None:
    archive, disk, log = folder / "root.tar", folder / "root.squashfs", folder / "log"
    progress(f"making the guests' userland: Debian {SUITE} (once; about half a minute)")
    plain, _ = apt.mirrors()
    command = [
        "mmdebstrap",
        "--variant=minbase",
        "--architectures=amd64",
        f"--include={','.join(PACKAGES)}",
        *(f"--dpkgopt=path-exclude={path}" for path in _LEFT_OUT),
        f"--customize-hook=copy-out /usr/bin/busybox {folder}",
        SUITE,
        str(archive),
        f"deb [signed-by={apt.KEYRING}] {plain} {SUITE} main",
    ]
    # Whatever it mounts to run the packages' scripts stays in a mount namespace of its own.
    apart = ["unshare", "--mount", "--propagation", "private", "--"] if os.geteuid() == 0 else []
    _run([*apart, *command], log)
    progress("packing the guests' userland")
    with archive.open("rb") as content:
        _run(["sqfstar", "-comp", "lz4", "-Xhc", "-quiet", "-no-progress", str(disk)], log, content.fileno())
    archive.unlink()


def _run(command: Sequence[str], log: Path, stdin: int = subprocess.DEVNULL) -> None:
    with log.open("ab") as output:
        status = run_apart(command, _TIMEOUT, cwd=log.parent, output=output, stdin=stdin)
    if status != 0:
        raise UnmetNeedError(
            f"the guests' userland can't be made: {' '.join(command[:6])} … ended with status {status}: "
            f"{apt.reason(log.read_text(errors='backslashreplace'))}"
        )
