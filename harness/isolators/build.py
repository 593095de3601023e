"""Builds the Go program once per source, toolchain and machine, and keeps it in the user's cache."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import signal
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from harness.errors import LabError, UnmetNeedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.isolators.base import Progress
    from harness.isolators.toolchain import Toolchain

_TIMEOUT = 600
"""Seconds after which a build counts as hung."""


def built(source: bytes, toolchain: Toolchain, progress: Progress) -> bytes:
    """The static binary of a one-file Go program, from the cache if an earlier session built it.

    Raises:
        UnmetNeedError: the cache directory is not the user's alone.
        LabError: the build failed.
    """
    cache = _private_directory(platformdirs.user_cache_path("nslab") / "go")
    key = hashlib.sha256(f"{toolchain.version} {platform.machine()}\n".encode() + source).hexdigest()
    kept = cache / key
    if not _trusted(kept):
        with _locked(cache / "lock", progress):
            # Another session may have built it while this one waited for the lock.
            if not _trusted(kept):
                _build(source, toolchain, kept, progress)
    return kept.read_bytes()


def _private_directory(path: Path) -> Path:
    """Make the directory if it is missing, and make sure that nobody else can put files there."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise UnmetNeedError(
            f"go isolator: no cache: {error}; set XDG_CACHE_HOME to a writable directory"
        ) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise UnmetNeedError(
            f"go isolator: the cache {path} is not a directory of user {os.geteuid()} (its owner is "
            f"{found.st_uid}); set XDG_CACHE_HOME to a directory of your own"
        )
    if found.st_mode & 0o022:
        raise UnmetNeedError(f"go isolator: others can write the cache {path}; remove it: rm -r {path}")
    return path


def _trusted(binary: Path) -> bool:
    """Whether only this user can have written the file."""
    try:
        found = binary.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


@contextlib.contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock that lets one session build at a time; the kernel drops it when the session dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another session that builds the go isolator")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _build(source: bytes, toolchain: Toolchain, kept: Path, progress: Progress) -> None:
    """Compile in a scratch directory beside ``kept``, then move the result into place in one step."""
    for stale in kept.parent.glob("build-*"):
        # The lock is ours, so this is what a killed session left.
        shutil.rmtree(stale, ignore_errors=True)
    progress(f"building the go isolator with {toolchain.version} (once; about 30 s)")
    try:
        with tempfile.TemporaryDirectory(prefix="build-", dir=kept.parent) as scratch:
            Path(scratch, "isolate.go").write_bytes(source)
            _compile(toolchain, Path(scratch))
            binary = Path(scratch, "isolate")
            binary.chmod(0o700)
            binary.replace(kept)
    except OSError as error:
        raise LabError(f"the go isolator could not be built in {kept.parent}: {error}") from error


def _compile(toolchain: Toolchain, scratch: Path) -> None:
    command = [
        str(toolchain.go),
        "build",
        "-trimpath",
        "-buildvcs=false",
        "-ldflags",
        "-s -w",
        "-o",
        "isolate",
    ]
    with subprocess.Popen(
        [*command, "isolate.go"],
        cwd=scratch,
        env=_environment(scratch),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as compiler:
        try:
            output, _ = compiler.communicate(timeout=_TIMEOUT)
        except BaseException as error:
            # go's own children would go on writing into the scratch directory.
            os.killpg(compiler.pid, signal.SIGKILL)
            compiler.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise LabError(f"{toolchain.go} build did not end within {_TIMEOUT} s") from None
            raise
    if compiler.returncode != 0:
        last = output.decode(errors="replace").strip().splitlines()[-10:]
        raise LabError(
            f"{toolchain.go} build ({toolchain.version}) ended with {compiler.returncode}:\n"
            + "\n".join(last)
        )


def _environment(scratch: Path) -> dict[str, str]:
    """All that the build sees: none of the user's settings, and the scratch directory as its only home."""
    home = scratch / "home"
    telemetry = home / "go" / "telemetry"
    telemetry.mkdir(parents=True)
    # Otherwise go starts a process of its own that keeps writing there when the build is over.
    (telemetry / "mode").write_text("off", encoding="utf-8")
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "TMPDIR": str(scratch),
        "GOCACHE": str(scratch / "cache"),
        "GOPATH": str(scratch / "path"),
        "CGO_ENABLED": "0",
        "GO111MODULE": "on",
        "GOENV": "off",
        "GOFLAGS": "",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
