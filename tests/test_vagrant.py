"""Would Vagrant take our machines, with either provider, and would we hear of a mistake in them?

`vagrant validate` asks for neither a hypervisor nor a box. It checks only the block of the provider that is
chosen, and VirtualBox only where there is a VBoxManage; a stub that tells a version is enough.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "vagrant"
SCRIPTS = [FOLDER / "box", FOLDER / "provision"]
PROVIDERS = ["libvirt", "virtualbox"]
SECONDS = 300  # it takes two, on a busy machine many more

needs_vagrant = pytest.mark.skipif(
    not shutil.which("vagrant"),
    reason="vagrant is missing: install the packages vagrant and vagrant-libvirt",
)


class Machines:
    """A copy of the folder, to be changed and validated."""

    def __init__(self, place: Path) -> None:
        """Make it below a folder, with a VBoxManage that knows its version."""
        self.place, self.folder, self.bin = place, place / "vagrant", place / "bin"
        self.folder.mkdir()
        self.bin.mkdir()
        for name in ("Vagrantfile", "provision"):
            shutil.copy(FOLDER / name, self.folder)
        stub = self.bin / "VBoxManage"
        stub.write_text('#!/bin/sh\n[ "$1" != --version ] || echo 7.0.20r163906\n')
        stub.chmod(0o755)

    def replace(self, old: str, new: str) -> None:
        """Change the Vagrantfile in one place."""
        path = self.folder / "Vagrantfile"
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))

    def validate(self, provider: str, **variables: str) -> tuple[int, str]:
        """`vagrant validate`'s status and all that it said."""
        done = subprocess.run(
            ["vagrant", "--no-tty", "validate"],
            cwd=self.folder,
            env={
                "PATH": f"{self.bin}:{os.environ['PATH']}",
                "HOME": str(self.place),
                "LANG": "C.UTF-8",
                "VAGRANT_DEFAULT_PROVIDER": provider,
                "VAGRANT_CHECKPOINT_DISABLE": "1",
                **variables,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return done.returncode, done.stdout


@pytest.fixture
def machines(tmp_path: Path) -> Machines:
    """Our machines, as they are until a test changes them."""
    return Machines(tmp_path)


@needs_vagrant
@pytest.mark.parametrize(
    ("provider", "variables"),
    [
        *((provider, {}) for provider in PROVIDERS),
        ("libvirt", {"NSLAB_KERNEL": "linux-lts", "NSLAB_CPUS": "2"}),
    ],
)
def test_vagrant_takes_our_machines(machines: Machines, provider: str, variables: dict[str, str]) -> None:
    """Either provider's settings are valid, with variables and without."""
    status, said = machines.validate(provider, **variables)

    assert (status, said.strip()) == (0, "Vagrantfile validated successfully.")


@needs_vagrant
@pytest.mark.parametrize("provider", PROVIDERS)
def test_misspelt_setting_is_noticed(machines: Machines, provider: str) -> None:
    """The canary: a mistake in a provider's block fails that provider's validation and is named."""
    machines.replace(f"{provider}.memory =", f"{provider}.memroy =")

    status, said = machines.validate(provider)

    assert status != 0
    assert "memroy" in said


@needs_vagrant
def test_missing_provisioner_is_noticed(machines: Machines) -> None:
    """The script that prepares a machine is looked for before one is started."""
    (machines.folder / "provision").unlink()

    status, said = machines.validate("libvirt")

    assert status != 0
    assert "provision" in said


@needs_vagrant
def test_variable_that_is_no_number_is_named(machines: Machines) -> None:
    """What was given in place of a number stands in the message."""
    status, said = machines.validate("libvirt", NSLAB_MEMORY="plenty")

    assert status != 0
    assert '"plenty"' in said


def test_machines_differ_and_are_told_of() -> None:
    """There are at least four, no two with the same box or kernel, and the README has a row for each."""
    table = (FOLDER / "Vagrantfile").read_text().partition("MACHINES = {")[2].partition("\n}")[0]
    rows = re.findall(r'"(\w+)" => { box: "(\S+)", kernel: "([^"]+)"', table)

    assert len(rows) >= 4
    for column in zip(*rows, strict=True):
        assert len(set(column)) == len(rows)
    told = re.findall(
        r"^\| `(\w+)` \| `(\S+)` \| ([^|]+?) \|", (FOLDER / "README.md").read_text(), re.MULTILINE
    )
    assert told == rows


def test_acceleration_is_left_to_the_machine() -> None:
    """Neither driver nor CPU is fixed: a box for machines without KVM brings its own, of lowest priority."""
    assert not re.search(r"\.(driver|cpu_mode|cpu_model)\b", (FOLDER / "Vagrantfile").read_text())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_sound(script: Path) -> None:
    """They can be executed, a POSIX shell can read them, and shellcheck, where it is, finds nothing."""
    assert os.access(script, os.X_OK)
    for checker in (["sh", "-n"], ["shellcheck"]):
        if shutil.which(checker[0]):
            done = subprocess.run(
                [*checker, script], capture_output=True, text=True, timeout=SECONDS, check=False
            )
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("script", "arguments", "named"),
    [
        ("box", [], "usage:"),
        ("box", ["--kmv", "bookworm"], "--kmv"),
        ("provision", ["toools"], "toools"),
        ("provision", [], "nothing"),
    ],
)
def test_bad_arguments_are_named(script: str, arguments: list[str], named: str) -> None:
    """A script that was called wrongly says what it got, and does nothing."""
    done = subprocess.run(
        [FOLDER / script, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert named in done.stderr
