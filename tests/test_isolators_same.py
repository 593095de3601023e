"""The Go program and the port, side by side: the same command line, the same outcome, byte for byte."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from harness.errors import UnmetNeedError
from harness.hosts.base import write_programs
from harness.isolators import ISOLATORS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAIR = ("go", "python")

DISPOSABLE = ["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]
"""What keeps a test's namespaces from the machine; an ordinary user needs a user namespace around them."""
if os.geteuid() != 0:
    DISPOSABLE[1:1] = ["--user", "--map-root-user"]

PATH = {"PATH": os.environ.get("PATH", os.defpath)}


class Outcome(NamedTuple):
    """All that a caller can tell of a program that has ended."""

    status: int
    output: bytes
    errors: bytes


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Isolator → the directory where its programs are."""
    return install_pair(tmp_path_factory)


def install_pair(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Install the Go program and the port, each in a directory of its own; skip where there is no Go."""
    places = {}
    for name in PAIR:
        isolator = ISOLATORS[name]()
        try:
            isolator.prepare()
        except UnmetNeedError as need:
            pytest.skip(str(need))
        places[name] = install(isolator.programs(sys.executable), tmp_path_factory.mktemp(name))
    return places


def install(programs: Mapping[str, bytes], place: Path) -> Path:
    """Write the programs where a test can start them."""
    write_programs(place, programs)
    return place


def outcome(
    place: Path, words: Sequence[str | bytes], environment: Mapping[str, str] = PATH, cwd: Path | None = None
) -> Outcome:
    """Run ``PROGRAM ARGUMENT...`` in disposable namespaces; a date in the error text becomes DATE."""
    command = [*DISPOSABLE, "--", place / os.fsdecode(words[0]), *words[1:]]
    ran = subprocess.run(
        command, input=b"", capture_output=True, timeout=30, env=dict(environment), cwd=cwd, check=False
    )
    errors = re.sub(rb"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ", b"DATE ", ran.stderr)
    return Outcome(ran.returncode, ran.stdout, errors)


def started(path: str, words: str) -> Outcome:
    """The outcome of a command that could not be started: Go's text of clone's or exec's error."""
    return Outcome(1, b"", f"DATE fork/exec {path}: {words}\n".encode())


def not_found(quoted: str, words: str = "executable file not found in $PATH") -> Outcome:
    """The outcome of a command that was not found: Go's text of the search's error."""
    return Outcome(1, b"", f'DATE exec: "{quoted}": {words}\n'.encode())


def misused(program: str, option: str) -> Outcome:
    """The outcome of an option that the program does not have."""
    expected = "--uts, --ipc, --pid, --mount or --" if program == "isolate" else "no option, or --"
    line = f'{program}: unknown option "{option}"; expected {expected} before the command\n'
    return Outcome(2, b"", line.encode())


STATUSES = {
    "exit 0": 0,
    "exit 3": 3,
    "exit 255": 255,
    "kill -KILL $$": 137,
    "kill -TERM $$": 143,
    "kill -SEGV $$": 139,
    "echo end >&2; exit 1": 1,
}


@pytest.mark.parametrize("name", PAIR)
@pytest.mark.parametrize("program", ["uts", "isolate"])
@pytest.mark.parametrize("script", STATUSES)
def test_exit_status_is_handed_on(installed: dict[str, Path], name: str, program: str, script: str) -> None:
    """A command's exit status n is the program's, death by signal s is 128+s; its output gets no addition."""
    seen = outcome(installed[name], [program, "sh", "-c", script])

    assert seen == Outcome(STATUSES[script], b"", b"end\n" if "end" in script else b"")


COMMAND_LINES: dict[str, tuple[list[str | bytes], Outcome]] = {
    "default is sh": (["uts"], Outcome(0, b"", b"")),
    "no new namespaces": (["isolate", "echo", "a b"], Outcome(0, b"a b\n", b"")),
    "options end at the command": (["isolate", "--uts", "echo", "--ipc"], Outcome(0, b"--ipc\n", b"")),
    "options end at --": (["isolate", "--uts", "--", "echo", "--"], Outcome(0, b"--\n", b"")),
    "-- under a program's name": (["uts", "--", "echo", "x"], Outcome(0, b"x\n", b"")),
    "-- alone": (["isolate", "--"], Outcome(0, b"", b"")),
    "command like an option": (["isolate", "--", "--uts"], not_found("--uts")),
    "option twice": (["isolate", "--uts", "--uts", "echo", "x"], Outcome(0, b"x\n", b"")),
    "unknown option": (["isolate", "--uts", "--net", "true"], misused("isolate", "--net")),
    "short option": (["isolate", "-u"], misused("isolate", "-u")),
    "option with a value": (["isolate", "--uts=1"], misused("isolate", "--uts=1")),
    "hyphen": (["isolate", "-"], misused("isolate", "-")),
    "option under a program's name": (["mount", "--uts"], misused("mount", "--uts")),
    "option that is not text": (
        ["uts", b'-\xff"\n\\\xc3\xbc\xe2\x80\x8b'],
        misused("uts", '-\\xff\\"\\n\\\\ü\\u200b'),
    ),
    "empty name": (["uts", ""], Outcome(1, b"", b"DATE exec: no command\n")),
    "slash": (["uts", "/"], not_found("/", "is a directory")),
    "two slashes": (["uts", "//"], started("//", "permission denied")),
    "dot": (["uts", "."], not_found(".")),
    "dot dot": (["uts", ".."], not_found("..")),
    "not in PATH": (["uts", "nosuch", "x"], not_found("nosuch")),
    "name that is not text": (
        ["uts", b'\x07\xed\xa0\x80\xf0\x9f\x98\x80\x7f\t"'],
        not_found('\\a\\xed\\xa0\\x80😀\\x7f\\t\\"'),
    ),
}


@pytest.mark.parametrize("name", PAIR)
@pytest.mark.parametrize("case", COMMAND_LINES)
def test_command_line(installed: dict[str, Path], name: str, case: str) -> None:
    """Options, ``--``, the default command and what is wrong are the same in both, to the byte."""
    words, expected = COMMAND_LINES[case]

    assert outcome(installed[name], words) == expected
