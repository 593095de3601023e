"""Builds the Go program once per source, toolchain and machine, and keeps it in the user's cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from harness import private
from harness.errors import HostLacksError, LabError
from harness.isolators.base import MACHINE
from harness.programs import run_apart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.isolators.base import Progress
    from harness.isolators.toolchain import Toolchain

_GOARCH = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "i686": "386",
    "armv7l": "arm",
    "loongarch64": "loong64",
    "ppc64le": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
}
"""``uname -m`` to Go's names of architectures (``go tool dist list``)."""

_TIMEOUT = 1800
"""Seconds after which a build counts as hung; a busy machine without KVM took 400."""


def built(
    sources: Mapping[str, bytes], toolchain: Toolchain, progress: Progress, architecture: str = MACHINE
) -> bytes:
    """The static binary of a Go program of these files, from the cache if an earlier session built it.

    Raises:
        HostLacksError: Go builds nothing for that architecture.
        UnmetNeedError: the cache directory is not the user's alone.
        LabError: the build failed.
    """
    target = _target(architecture)
    cache = private.folder("go")
    key = hashlib.sha256(f"{toolchain.version} {architecture}\n".encode())
    for name, content in sorted(sources.items()):
        key.update(b"%b %d\n%b" % (name.encode(), len(content), content))
    kept = cache / key.hexdigest()
    if not private.trusted(kept):
        with private.locked(cache / "go isolator", progress):
            # Another session may have built it while this one waited for the lock.
            if not private.trusted(kept):
                _build(sources, toolchain, kept, progress, target)
    return kept.read_bytes()


def _target(architecture: str) -> dict[str, str]:
    """What makes Go build for an architecture; nothing where that is this machine's."""
    if architecture == MACHINE:
        return {}
    if architecture not in _GOARCH:
        raise HostLacksError(
            f"go isolator: no build for a host of architecture {architecture!r}; "
            "choose --isolator=python,unshare"
        )
    return {"GOOS": "linux", "GOARCH": _GOARCH[architecture]}


def _build(
    sources: Mapping[str, bytes],
    toolchain: Toolchain,
    kept: Path,
    progress: Progress,
    target: Mapping[str, str],
) -> None:
    """Compile in a scratch directory beside ``kept``, then move the result into place in one step."""
    for stale in kept.parent.glob("build-*"):
        # The lock is ours, so this is what a killed session left.
        shutil.rmtree(stale, ignore_errors=True)
    progress(f"building the go isolator with {toolchain.version} (once; half a minute or more)")
    try:
        with tempfile.TemporaryDirectory(prefix="build-", dir=kept.parent) as scratch:
            for name, content in sources.items():
                Path(scratch, name).write_bytes(content)
            _compile(toolchain, Path(scratch), [*sources], target)
            binary = Path(scratch, "isolate")
            binary.chmod(0o700)
            binary.replace(kept)
    except OSError as error:
        raise LabError(f"the go isolator could not be built in {kept.parent}: {error}") from error


def _compile(toolchain: Toolchain, scratch: Path, files: Sequence[str], target: Mapping[str, str]) -> None:
    environment = {**_environment(scratch), **target}
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
    with (scratch / "log").open("w+b") as log:
        status = run_apart([*command, *files], _TIMEOUT, cwd=scratch, output=log, env=environment)
        log.seek(0)
        said = log.read().decode(errors="replace")
    if status != 0:
        last = said.strip().splitlines()[-10:]
        raise LabError(f"{toolchain.go} build ({toolchain.version}) ended with {status}:\n" + "\n".join(last))


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
