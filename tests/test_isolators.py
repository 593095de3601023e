"""The isolators' registry, command lines and carried files: what needs no namespace to be shown."""

from __future__ import annotations

import ast
import os
import shlex
import subprocess
import sys
from importlib import resources
from itertools import combinations
from pathlib import Path

import pytest

from harness.errors import UnmetNeedError
from harness.hosts.base import write_programs
from harness.isolators import ISOLATORS, isolate
from harness.isolators.port import COMPILED, SOURCE, Port, launcher
from harness.isolators.unshare import Unshare
from harness.namespaces import PROGRAMS, Kind

SUBSETS = [frozenset(chosen) for size in range(5) for chosen in combinations(Kind, size)]


@pytest.mark.parametrize("name", ISOLATORS)
def test_isolator_is_registered_under_its_own_name(name: str) -> None:
    """The name that ``--isolator`` takes is the name that the isolator bears."""
    assert ISOLATORS[name]().name == name


@pytest.mark.parametrize("name", ["go", "python"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_cumulative_set_runs_under_the_documents_name(name: str, program: str) -> None:
    """A set of namespaces that a program of the document makes is asked for by that program's name."""
    assert ISOLATORS[name]().command("/d", PROGRAMS[program]) == [f"/d/{program}"]


@pytest.mark.parametrize("name", ["go", "python"])
def test_other_sets_run_as_isolate_with_options_in_fixed_order(name: str) -> None:
    """Any other set is asked for by options, in the document's order whatever the set's."""
    command = ISOLATORS[name]().command("/d", [Kind.MOUNT, Kind.PID, Kind.UTS], ["ps", "-ef"])

    assert command == ["/d/isolate", "--uts", "--pid", "--mount", "ps", "-ef"]


@pytest.mark.parametrize("name", ["go", "python"])
def test_command_that_looks_like_an_option_is_separated(name: str) -> None:
    """A command whose name begins with a hyphen comes after ``--``."""
    assert ISOLATORS[name]().command("/d", PROGRAMS["uts"], ["-x"]) == ["/d/uts", "--", "-x"]


@pytest.mark.parametrize(
    "namespaces", SUBSETS, ids=lambda kinds: "+".join(sorted(k.value for k in kinds)) or "none"
)
def test_command_lines_mean_the_namespaces_that_were_asked_for(namespaces: frozenset[Kind]) -> None:
    """The program's own parser reads each generated command line back as exactly those flags."""
    program, *arguments = Port().command("/d", namespaces, ["true"])
    flags, command = isolate.parse(Path(program).name, [os.fsencode(word) for word in arguments])

    assert (flags, command) == (sum(kind.flag for kind in namespaces), [b"true"])


def test_unshare_always_forks_and_runs_sh() -> None:
    """Without a mount namespace unshare gets no propagation, and without a command it runs sh, not $SHELL."""
    assert Unshare().command("/d", [Kind.UTS]) == ["unshare", "--fork", "--uts", "--", "sh"]


def test_unshare_leaves_propagation_as_clone_does() -> None:
    """With a mount namespace unshare is told not to make the mounts private."""
    command = Unshare().command("/d", PROGRAMS["mount"], ["ps", "-ef"])

    assert shlex.join(command) == (
        "unshare --fork --uts --ipc --pid --mount --propagation unchanged -- ps -ef"
    )


def test_unshare_carries_nothing_and_knows_its_version() -> None:
    """Hosts have their own unshare; the controller's version is util-linux's."""
    isolator = Unshare()
    isolator.prepare()

    assert isolator.programs("/usr/bin/python3") == {}
    assert isolator.version().startswith("util-linux ")


@pytest.mark.parametrize(
    ("script", "complaint"),
    [(None, "no unshare in $PATH"), ("#!/bin/sh\necho BusyBox v1.36\n", "is not util-linux's")],
    ids=["missing", "busybox"],
)
def test_unshare_of_another_kind_is_an_unmet_need(
    script: str | None, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing unshare, or one that is not util-linux's, is named in one line with the remedy."""
    if script is not None:
        (tmp_path / "unshare").write_text(script)
        (tmp_path / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(UnmetNeedError) as raised:
        Unshare().prepare()

    assert complaint in str(raised.value)
    assert "install util-linux, or choose --isolator=go,python" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_port_is_carried_under_every_name() -> None:
    """The port is installed as the four programs and as isolate, of one content, and what that calls."""
    programs = Port().programs("/usr/bin/python3")

    assert set(programs) == {*PROGRAMS, "isolate", SOURCE, COMPILED, isolate.SPAWN}
    assert len({programs[name] for name in (*PROGRAMS, "isolate")}) == 1
    assert programs["uts"].startswith(b"#!/usr/bin/python3 -IS\n")


def test_port_runs_its_compiled_code(tmp_path: Path) -> None:
    """Where this version of Python runs it, the port's source is not compiled once more."""
    programs = Port().programs(sys.executable)
    write_programs(tmp_path, {**programs, SOURCE: b"raise SystemExit(9)"})

    assert subprocess.run([tmp_path / "isolate", "true"], timeout=30, check=False).returncode == 0

    (tmp_path / COMPILED).unlink()
    control = subprocess.run([tmp_path / "isolate", "true"], timeout=30, check=False)
    assert control.returncode == 9, "control: else the source is what runs"


def test_port_of_another_version_compiles_its_source_once(tmp_path: Path) -> None:
    """Where another version of Python runs it, the port is its source at first, and then what came of it."""
    write_programs(tmp_path, {**Port().programs(sys.executable), COMPILED: b"of another version"})
    compiled = tmp_path / COMPILED

    assert subprocess.run([tmp_path / "isolate", "true"], timeout=30, check=False).returncode == 0
    once = compiled.stat()
    assert once.st_size > len(b"of another version")

    assert subprocess.run([tmp_path / "isolate", "true"], timeout=30, check=False).returncode == 0
    assert compiled.stat() == once


@pytest.mark.parametrize("directory", ["plain", "with space", "l" * 200, "dollar $HOME `x`"])
def test_launcher_starts_the_interpreter_wherever_it_is(directory: str, tmp_path: Path) -> None:
    """A path that a ``#!`` line cannot hold still starts that interpreter, with the name and arguments."""
    place = tmp_path / directory
    place.mkdir()
    python = place / "python"
    python.symlink_to(sys.executable)
    script = tmp_path / "script"
    script.write_text(
        launcher(str(python)) + "import sys\nprint(sys.argv, sys.flags.isolated, sys.flags.no_site)\n"
    )
    script.chmod(0o755)

    ran = subprocess.run([script, "a b", "$c"], capture_output=True, text=True, timeout=30, check=True)

    assert ran.stdout == f"{[str(script), 'a b', '$c']} 1 1\n"


def test_launcher_refuses_a_path_that_two_languages_read_differently() -> None:
    """An interpreter whose path has a space and a quote is refused in one line that names it."""
    with pytest.raises(UnmetNeedError, match=r"cannot start .*my 'own'/python.* from a script"):
        launcher("/my 'own'/python")


def test_port_parses_as_python_3_8() -> None:
    """The port uses no syntax that Python 3.8 lacks."""
    source = resources.files("harness.isolators").joinpath("isolate.py").read_text()

    assert ast.parse(launcher("/a b/python") + source, feature_version=(3, 8))


def test_port_knows_the_flags_of_every_kind() -> None:
    """The port's own tables agree with the harness's."""
    assert {kind.option: kind.flag for kind in Kind} == isolate.OPTIONS
    assert {name: sum(kind.flag for kind in made) for name, made in PROGRAMS.items()} == isolate.PROGRAMS


def test_port_names_an_architecture_that_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """On an unknown machine the port says which one it is and which it knows."""
    monkeypatch.setattr(isolate, "SYS_CLONE", {"riscv64/64": 220})

    with pytest.raises(isolate.UsageError, match=r"unknown architecture .*/\d\d; expected one of riscv64/64"):
        isolate.clone_number()
