"""Kernels as hosts of a session: how guests are started, spread over workers, and refused. No network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.kernels import qemu, template, userland
from harness.kernels.vm import GuestError
from harness.plugin import workers
from harness.plugin.places import left_over, scope


def test_a_guest_is_reached_from_this_machine_only() -> None:
    """Its one port is on the loopback address, and nothing leads out of it."""
    nowhere = Path("/nowhere")
    command = qemu.command(
        disk=nowhere, image=nowhere, initrd=nowhere, memory=nowhere, shared=False, console="null", monitor=3
    )

    networks = [word for word in command if word.startswith("user,")]
    assert networks == ["user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:22"]


@pytest.mark.parametrize(
    ("nodeid", "divided", "expected"),
    [
        ("experiments/test_pid.py::test_a[6.1.192-go]", False, "6.1.192"),
        ("experiments/test_pid.py::test_a[6.1.192-go]", True, "6.1.192 experiments/test_pid.py"),
        ("experiments/test_pid.py::test_a[6.1.192+x-go-b]", False, "6.1.192+x"),
        ("experiments/test_uts.py::test_a[stage]", False, "stage"),
        ("tests/test_b.py::test_a[6]", False, "tests/test_b.py::test_a[6]"),
    ],
)
def test_one_guests_experiments_stay_in_one_worker(nodeid: str, divided: bool, expected: str) -> None:
    """The name of the host in the test's id decides."""
    names = ["6.1.192", "6.1.192+x", "stage"]

    assert scope(nodeid, names, names if divided else []) == expected


@pytest.mark.parametrize(
    ("workers", "expected"), [(0, ""), (1, ""), (2, "c"), (3, ""), (4, "abc"), (9, "abc")]
)
def test_last_hosts_are_divided_where_some_workers_would_be_idle(workers: int, expected: str) -> None:
    """Each worker has as many whole hosts as every other; what is left over is for all of them."""
    assert left_over(["a", "b", "c"], workers) == [*expected]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--kernels="], "expected versions such as 6.12"),
        (["--kernels=/nonexistent"], "/nonexistent"),
        (["--kernels=/etc/passwd"], "no x86 kernel"),
        (["--kernels=local", "--stage=machine", "--isolator=nobody"], "no such isolator"),
    ],
)
def test_pytest_refuses_in_one_line(arguments: list[str], said: str, pytestconfig: pytest.Config) -> None:
    """What can't be a host ends the session before it starts, with exit status 4."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "experiments/test_pid.py", "--collect-only", "-q", *arguments],
        cwd=pytestconfig.rootpath,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert said in done.stderr
    assert done.stderr.strip().count("\n") == 0


class Options(SimpleNamespace):
    """A session's options, as pytest's configuration hands them out."""

    def getoption(self, name: str, default: object = None) -> object:
        """One of them."""
        return getattr(self.option, name.lstrip("-"), default)


def options(**given: object) -> Any:
    """Those that a person gave, and pytest's own defaults."""
    defaults: dict[str, object] = {
        "kernels": None,
        "numprocesses": None,
        "dist": "no",
        "tx": [],
        "usepdb": False,
        "differential": False,
    }
    return Options(option=SimpleNamespace(collectonly=False, **defaults | given))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"kernels": "6.1,7.3"}, 2),
        ({"kernels": "all"}, 2),
        ({"kernels": "6.1,local"}, None),
        ({"kernels": None}, None),
        ({"kernels": "all", "numprocesses": 0}, 0),
        ({"kernels": "all", "numprocesses": 7}, 7),
        ({"kernels": "all", "usepdb": True}, None),
        ({"kernels": "all", "tx": ["ssh=there"]}, None),
    ],
)
def test_several_kernels_have_two_workers_unless_a_person_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, object], expected: int | None
) -> None:
    """One guest works while the other is waited for."""
    monkeypatch.setattr(workers, "affordable", lambda _: 16)
    config = options(**given)

    workers.pytest_cmdline_main(config)

    assert config.option.numprocesses == expected


def test_a_worker_has_no_workers_of_its_own() -> None:
    """It is handed the controller's options, and starts nobody."""
    config = options(kernels="all")
    config.workerinput = {}

    workers.pytest_cmdline_main(config)

    assert config.option.numprocesses is None


@pytest.mark.parametrize(("megabytes", "expected"), [(10, 1), (900, 2), (10**6, 4)])
def test_workers_fit_into_the_memory(monkeypatch: pytest.MonkeyPatch, megabytes: int, expected: int) -> None:
    """Each has a guest; there is one at least, and no more than processors."""
    said = f"MemTotal: 1 kB\nMemAvailable: {megabytes << 10} kB\n"
    monkeypatch.setattr(Path, "read_text", lambda _: said)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})

    assert workers.affordable() == expected


@pytest.mark.parametrize("boots", [True, False])
def test_kvm_is_no_longer_used_where_only_tcg_boots_a_kernel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, boots: bool
) -> None:
    """A kernel that boots by neither says nothing against KVM."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(qemu, "version", lambda: "7.2")
    monkeypatch.setattr(qemu, "_firmware_speaks", lambda: True)
    monkeypatch.setattr(os, "open", lambda *_: 0)
    monkeypatch.setattr(os, "close", lambda _: None)
    monkeypatch.setattr(userland, "get", lambda _: None)
    qemu.accelerator.cache_clear()
    tried: list[str] = []

    def get(*_: object) -> str:
        tried.append(qemu.accelerator())
        if tried[-1] == "kvm" or not boots:
            raise GuestError("it hangs")
        return "made"

    monkeypatch.setattr(template, "_get", get)
    kernel: Any = SimpleNamespace(name="6.1")
    if boots:
        assert template.get(kernel, lambda _: {}, print) == "made"  # type: ignore[comparison-overlap]  # a stand-in
    else:
        with pytest.raises(GuestError):
            template.get(kernel, lambda _: {}, print)

    qemu.accelerator.cache_clear()
    assert tried == ["kvm", "tcg"]
    assert qemu.accelerator() == ("tcg" if boots else "kvm")
    qemu.accelerator.cache_clear()
