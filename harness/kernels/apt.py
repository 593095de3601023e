"""apt with a state of its own: Debian's suites beside those of the machine, verified by Debian's keys."""

from __future__ import annotations

import os
import shutil
import subprocess
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from harness.errors import LabError, UnmetNeedError
from harness.kernels import cache

SUITES = ("bullseye", "bookworm", "bookworm-backports", "trixie", "trixie-backports")
"""Where kernels are looked for; those of one suite can be installed on a machine of another."""

SECURITY_SUITES = ("bullseye-security", "bookworm-security", "trixie-security")

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

_MAX_AGE = 7 * 24 * 3600
"""Seconds after which the lists are asked for again, where the network answers."""

_CHECK = "the network and the space in the cache"

_TIMEOUT = 1800
"""Seconds that one download may take."""

_READABLE = 400
"""Characters of a message: apt and mmdebstrap may name hundreds of files in one."""


def mirrors() -> tuple[str, str]:
    """The machine's own mirrors of Debian and of Debian's security updates (empty: none).

    Raises:
        UnmetNeedError: the machine's apt knows no mirror of Debian, or there is no apt.
    """
    if not shutil.which("apt-get"):
        raise UnmetNeedError(
            "kernels come from Debian's archive by apt-get, which is not here; name a bzImage"
        )
    listed = _run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)"]).stdout
    plain = security = ""
    for line in listed.splitlines():
        uri, _, release = line.partition(" ")
        last = urlsplit(uri).path.rstrip("/").rpartition("/")[2]
        if last == "debian":
            plain = uri
        elif last == "debian-security" or release.endswith("-security"):
            security = uri
    if not plain:
        raise UnmetNeedError(
            "this machine's apt has no mirror of Debian; add one to its sources (deb URI/debian trixie main)"
        )
    if not KEYRING.exists():
        raise UnmetNeedError(f"{KEYRING} is missing: install the package debian-archive-keyring")
    return plain, security


def sources() -> str:
    """The lines of the private ``sources.list``."""
    plain, security = mirrors()
    option = f"[arch=amd64 signed-by={KEYRING}]"
    lines = [f"deb {option} {plain} {suite} main" for suite in SUITES]
    lines += [f"deb {option} {security} {suite} main" for suite in SECURITY_SUITES if security]
    return "\n".join(lines) + "\n"


def update(progress: cache.Progress, *, force: bool = False) -> None:
    """Bring the private lists up to date where they are missing, old or of other sources.

    Old lists are better than none: without network they are used as they are.

    Raises:
        UnmetNeedError: there are no lists and none can be had.
    """
    home, stamp = cache.folder("apt"), updated()
    if not force and _are_new(stamp):
        return
    wanted = sources()
    with cache.locked("apt", progress):
        if not force and _are_new(stamp):
            # Another session was faster.
            return
        usable = stamp.exists() and stamp.read_text() == wanted
        progress("asking Debian's archive what kernels it has")
        with cache.writing(home):
            for part in ("state/lists/partial", "cache/archives/partial", "parts"):
                (home / part).mkdir(parents=True, exist_ok=True)
        cache.replace(home / "sources.list", wanted.encode())
        done = _run(["apt-get", *options(), "--error-on=any", "update"], check=False)
        if done.returncode == 0:
            cache.replace(stamp, wanted.encode())
        elif not usable:
            raise UnmetNeedError(f"Debian's archive can't be read: {reason(done.stderr)}; check {_CHECK}")
        else:
            progress(f"going on with older lists: {reason(done.stderr)}")


def _are_new(stamp: Path) -> bool:
    return stamp.exists() and time.time() - stamp.stat().st_mtime < _MAX_AGE


def updated() -> Path:
    """The file that was written when the lists were last brought up to date."""
    return cache.folder("apt") / "updated"


def options() -> list[str]:
    """What makes apt use the private state instead of the machine's."""
    home = cache.folder("apt")
    settings = {
        "Dir::State": home / "state",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": home / "cache",
        "Dir::Etc::sourcelist": home / "sources.list",
        "Dir::Etc::sourceparts": home / "parts",
        "Acquire::Languages": "none",
        "Acquire::Retries": "2",
        "APT::Architecture": "amd64",
        # apt's own user may not write the private folders.
        "APT::Sandbox::User": "root",
    }
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def records(pattern: str) -> str:
    """The archive's entries of the packages whose names match a regular expression, as apt-cache prints."""
    return _run(["apt-cache", *options(), "search", "--names-only", "--full", pattern]).stdout


def download(packages: Sequence[str], into: Path) -> None:
    """Download packages (``name=version``) of the archive, verified by apt.

    Raises:
        UnmetNeedError: they can't be had.
    """
    done = _run(["apt-get", *options(), "download", *packages], check=False, cwd=into)
    if done.returncode != 0:
        raise UnmetNeedError(f"cannot download {' '.join(packages)}: {reason(done.stderr)}; check {_CHECK}")


def download_file(uri: str, to: Path) -> None:
    """Download a file that no list names; nobody has verified it.

    Raises:
        UnmetNeedError: it can't be had.
    """
    done = _run(["/usr/lib/apt/apt-helper", *options(), "download-file", uri, str(to)], check=False)
    if done.returncode != 0:
        raise UnmetNeedError(f"cannot download {uri}: {reason(done.stderr)}")


def reason(said: str) -> str:
    """The first error among apt's messages, in one line that can be read."""
    errors = [line[2:].strip() for line in said.splitlines() if line.startswith("E:")]
    lines = errors or [line for line in said.splitlines() if line.strip()]
    return textwrap.shorten((lines or ["no reason given"])[0], _READABLE, placeholder=" …")


def _run(
    command: list[str], *, check: bool = True, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="backslashreplace",
            check=False,
            cwd=cwd,
            timeout=_TIMEOUT,
            stdin=subprocess.DEVNULL,
            # The settings of a proxy are the user's own.
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"{command[0]} did not end within {_TIMEOUT} s") from None
    if check and done.returncode != 0:
        raise LabError(f"{command[0]} ended with status {done.returncode}: {reason(done.stderr)}")
    return done
