"""Building the Go program, and the cache of what was built. The toolchains here are scripts."""

from __future__ import annotations

import importlib.util
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from harness.errors import UnmetNeedError
from harness.isolators import build, toolchain
from harness.isolators.base import silent
from harness.isolators.golang import Golang

if TYPE_CHECKING:
    from pathlib import Path

BUILDS = """printf binary >isolate"""


class Machine:
    """A machine whose only ``go`` is a script that the test writes."""

    def __init__(self, root: Path) -> None:
        """Keep ``go`` and the cache under one directory."""
        self.go = root / "bin" / "go"
        self.cache = root / "cache" / "nslab" / "go"
        self.log = root / "log"

    def install(self, version: str = "go1.22.5", building: str = BUILDS) -> None:
        """Put a ``go`` into $PATH that calls itself by that version and builds by that command."""
        self.go.parent.mkdir(exist_ok=True)
        self.go.write_text(
            "#!/bin/sh\n"
            f'if [ "$1" = version ]; then echo "go version {version} linux/amd64"; exit; fi\n'
            f'echo "$*" >>"{self.log}"\n{building}\n'
        )
        self.go.chmod(0o755)

    def builds(self) -> int:
        """How many builds the script was asked for."""
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0

    def kept(self) -> list[Path]:
        """The binaries in the cache."""
        return [path for path in self.cache.iterdir() if path.name != "go isolator"]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine without Go and without a cache."""
    return bare_machine(tmp_path, monkeypatch)


def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Hide this machine's Go and cache, and say where a script may stand in for them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(shutil, "which", lambda _name: _executable(tmp_path / "bin" / "go"))
    return Machine(tmp_path)


def _executable(path: Path) -> str | None:
    return str(path) if os.access(path, os.X_OK) else None


def test_binary_is_built_once(machine: Machine) -> None:
    """A second session takes the binary from the cache and says nothing."""
    machine.install()
    said: list[str] = []
    Golang().prepare(said.append)
    Golang().prepare(said.append)

    assert machine.builds() == 1
    assert said == ["building the go isolator with go1.22.5 (once; half a minute or more)"]


def test_new_toolchain_builds_anew(machine: Machine) -> None:
    """Another Go version has a binary of its own."""
    machine.install("go1.22.5")
    Golang().prepare()
    machine.install("go1.27.3")
    Golang().prepare()

    assert machine.builds() == len(machine.kept()) == 2


def test_cache_holds_only_private_binaries(machine: Machine) -> None:
    """The build leaves one file that only its user can write, in a directory that only its user can enter."""
    machine.install()
    Golang().prepare()
    [binary] = machine.kept()

    assert binary.stat().st_mode & 0o777 == 0o700
    assert machine.cache.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o720, 0o702])
def test_binary_that_others_can_write_is_built_anew(machine: Machine, mode: int) -> None:
    """A cached file that somebody else may have changed is replaced, not run."""
    machine.install()
    Golang().prepare()
    [binary] = machine.kept()
    binary.write_bytes(b"planted")
    binary.chmod(mode)
    isolator = Golang()
    isolator.prepare()

    assert isolator.programs("/usr/bin/python3")["uts"] == b"binary"
    assert machine.builds() == 2


def test_planted_link_is_replaced(machine: Machine, tmp_path: Path) -> None:
    """A symbolic link in the binary's place is not followed."""
    machine.install()
    Golang().prepare()
    [binary] = machine.kept()
    binary.unlink()
    (tmp_path / "planted").write_bytes(b"planted")
    binary.symlink_to(tmp_path / "planted")
    Golang().prepare()

    assert not binary.is_symlink()
    assert (tmp_path / "planted").read_bytes() == b"planted"


def test_cache_that_others_can_write_is_refused(machine: Machine) -> None:
    """A cache directory that others can write ends in one line that names it and the way out."""
    machine.install()
    machine.cache.mkdir(parents=True)
    machine.cache.chmod(0o777)

    with pytest.raises(UnmetNeedError, match=f"others can write the cache {machine.cache}; remove it"):
        Golang().prepare()


def test_cache_of_somebody_else_is_refused(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache directory of another user ends in one line that says whose it is."""
    machine.install()
    Golang().prepare()
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)

    with pytest.raises(UnmetNeedError, match=rf"its owner is {owner}\); set XDG_CACHE_HOME"):
        Golang().prepare()


def test_cache_that_cannot_be_made_is_an_unmet_need(machine: Machine, tmp_path: Path) -> None:
    """Where no cache directory can be made, the line says why and names the setting."""
    machine.install()
    (tmp_path / "cache").write_text("a file")

    with pytest.raises(UnmetNeedError, match=r"no cache: .*; set XDG_CACHE_HOME to a folder of your own"):
        Golang().prepare()


def test_interrupted_build_is_not_believed(machine: Machine, tmp_path: Path) -> None:
    """After Ctrl-C in the middle of a build its processes and files are gone, and the next session builds."""
    os.mkfifo(tmp_path / "never")
    interrupt = f"kill -INT {os.getpid()}"
    machine.install(building=f'printf half >isolate; {interrupt}; read line <"{tmp_path / "never"}"')
    with pytest.raises(KeyboardInterrupt):
        Golang().prepare()
    assert machine.kept() == []

    machine.install()
    isolator = Golang()
    isolator.prepare()

    assert isolator.programs("/usr/bin/python3")["uts"] == b"binary"


def test_leftover_of_a_killed_session_is_removed(machine: Machine) -> None:
    """The scratch directory of a session that was killed is gone after the next build."""
    machine.install()
    (machine.cache / "build-killed").mkdir(parents=True, mode=0o700)
    machine.cache.chmod(0o700)
    Golang().prepare()

    assert not (machine.cache / "build-killed").exists()


def test_two_sessions_at_once_build_once(machine: Machine) -> None:
    """Of two sessions that start together one builds, and both have the binary."""
    machine.install()
    together = threading.Barrier(2)
    found = toolchain.find()

    def session() -> bytes:
        together.wait(timeout=60)
        return build.built({"isolate.go": b"source"}, found, silent)

    with ThreadPoolExecutor(2) as sessions:
        binaries = [
            started.result(timeout=30) for started in [sessions.submit(session), sessions.submit(session)]
        ]

    assert binaries == [b"binary", b"binary"]
    assert machine.builds() == 1


def test_waiting_for_another_session_is_said(machine: Machine, tmp_path: Path) -> None:
    """A session that waits for another's build says so."""
    os.mkfifo(tmp_path / "go-on")
    machine.install(building=f'read line <"{tmp_path / "go-on"}"; {BUILDS}')
    found = toolchain.find()
    building, waiting = threading.Event(), threading.Event()

    with ThreadPoolExecutor(2) as sessions:
        first = sessions.submit(build.built, {"isolate.go": b"source"}, found, lambda _said: building.set())
        assert building.wait(timeout=60)
        second = sessions.submit(build.built, {"isolate.go": b"source"}, found, lambda _said: waiting.set())
        assert waiting.wait(timeout=60)
        (tmp_path / "go-on").write_text("now\n")

        assert first.result(timeout=30) == second.result(timeout=30) == b"binary"
