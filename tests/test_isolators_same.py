"""The Go program and the port, side by side: the same command line, the same outcome, byte for byte."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from harness.errors import UnmetNeedError
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
    """Write the programs, executable."""
    for name, content in programs.items():
        (place / name).write_bytes(content)
        (place / name).chmod(0o755)
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
    """A command's exit status n is the program's, and death by signal s is 128+s; nothing is added to its output."""
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
    "option that is not text": (["uts", b'-\xff"\n\\\xc3\xbc\xe2\x80\x8b'], misused("uts", '-\\xff\\"\\n\\\\ü\\u200b')),
    "empty name": (["uts", ""], Outcome(1, b"", b"DATE exec: no command\n")),
    "slash": (["uts", "/"], not_found("/", "is a directory")),
    "two slashes": (["uts", "//"], started("//", "permission denied")),
    "dot": (["uts", "."], not_found(".")),
    "dot dot": (["uts", ".."], not_found("..")),
    "not in PATH": (["uts", "nosuch", "x"], not_found("nosuch")),
    "name that is not text": (["uts", b'\x07\xed\xa0\x80\xf0\x9f\x98\x80\x7f\t"'], not_found('\\a\\xed\\xa0\\x80😀\\x7f\\t\\"')),
}


@pytest.mark.parametrize("name", PAIR)
@pytest.mark.parametrize("case", COMMAND_LINES)
def test_command_line(installed: dict[str, Path], name: str, case: str) -> None:
    """Options, ``--``, the default command and what is wrong are the same in both, to the byte."""
    words, expected = COMMAND_LINES[case]

    assert outcome(installed[name], words) == expected


FILES = {
    "./missing": started("./missing", "no such file or directory"),
    "./plain": started("./plain", "permission denied"),
    "./directory": started("./directory", "permission denied"),
    "./no-format": started("./no-format", "exec format error"),
    "./empty": started("./empty", "exec format error"),
    "./no-interpreter": started("./no-interpreter", "no such file or directory"),
    "./loop": started("./loop", "too many levels of symbolic links"),
    "./plain/below": started("./plain/below", "not a directory"),
    "./" + "n" * 300: started("./" + "n" * 300, "file name too long"),
    "./script": Outcome(7, b"", b""),
}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A directory with one file for each way in which exec can go wrong, and some to be found by a search."""
    contents = {
        "no-format": "exit 5\n",
        "empty": "",
        "no-interpreter": "#!/nonexistent/interpreter\n",
        "script": "#!/bin/sh\nexit 7\n",
    }
    for file, content in {"plain": "", **contents, "found": "#!/bin/sh\nexit 8\n"}.items():
        (tmp_path / file).write_text(content)
        (tmp_path / file).chmod(0o644 if file == "plain" else 0o755)
    (tmp_path / "directory" / "found").mkdir(parents=True)
    (tmp_path / "denied").mkdir()
    (tmp_path / "denied" / "found").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path


@pytest.mark.parametrize("name", PAIR)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file[:20])
def test_file_that_exec_refuses(installed: dict[str, Path], name: str, file: str, files: Path) -> None:
    """Exec's error in the child is the parent's, with Go's text and status 1."""
    assert outcome(installed[name], ["pid", file], cwd=files) == FILES[file]


@pytest.mark.parametrize("name", PAIR)
def test_file_that_is_being_written_is_reported_alike(installed: dict[str, Path], name: str, files: Path) -> None:
    """ETXTBSY, where the kernel still knows it, reads the same in both."""
    shutil.copy("/bin/true", files / "busy")
    with (files / "busy").open("ab"):
        seen = outcome(installed[name], ["uts", "./busy"], cwd=files)

    assert seen in (started("./busy", "text file busy"), Outcome(0, b"", b""))


RELATIVE = "cannot run executable found relative to current directory"

SEARCHES = {
    "no PATH": ({}, not_found("found")),
    "empty PATH": ({"PATH": ""}, not_found("found")),
    "only a colon": ({"PATH": ":"}, not_found("found", RELATIVE)),
    "dot": ({"PATH": "."}, not_found("found", RELATIVE)),
    "relative": ({"PATH": "../{here}"}, not_found("found", RELATIVE)),
    "absolute": ({"PATH": "/nonexistent:{files}"}, Outcome(8, b"", b"")),
    "directory first": ({"PATH": "{files}/directory:{files}"}, Outcome(8, b"", b"")),
    "not executable first": ({"PATH": "{files}/denied:{files}"}, Outcome(8, b"", b"")),
    "only not executable": ({"PATH": "{files}/denied"}, not_found("found")),
}


@pytest.mark.parametrize("name", PAIR)
@pytest.mark.parametrize("case", SEARCHES)
def test_path_search(installed: dict[str, Path], name: str, case: str, files: Path) -> None:
    """The search is ``exec.LookPath``'s: what it passes over, what it refuses, and how it says so."""
    template, expected = SEARCHES[case]
    environment = {key: value.format(files=files, here=files.name) for key, value in template.items()}
    # env(1) sets the variables last, because the wrapper itself has to be found.
    settings = [f"{key}={value}" for key, value in environment.items()]
    words = ["env", "-i", *settings, str(installed[name] / "isolate"), "found"]
    seen = _anywhere(words, files)

    assert seen == expected


@pytest.mark.parametrize("name", PAIR)
def test_path_that_was_found_is_cleaned_in_the_message(installed: dict[str, Path], name: str, files: Path) -> None:
    """The path in an error is as ``filepath.Join`` leaves it: no double slash, no dot dot."""
    environment = {"PATH": f"/{files}/directory//../"}
    words = ["env", "-i", *(f"{k}={v}" for k, v in environment.items()), str(installed[name] / "isolate"), "no-format"]

    assert _anywhere(words, files) == started(f"{files}/no-format", "exec format error")


def _anywhere(words: list[str], cwd: Path) -> Outcome:
    """The outcome of a command that needs no namespace."""
    return outcome(Path("/usr/bin"), words, cwd=cwd)


@pytest.mark.parametrize("name", PAIR)
def test_clone_without_privilege_is_refused(installed: dict[str, Path], name: str) -> None:
    """Without CAP_SYS_ADMIN clone itself fails, with Go's text of EPERM and status 1."""
    command = [str(installed[name] / "uts"), "/bin/true"]
    if os.geteuid() == 0:
        # Root that execs with an empty bounding set has no capability, but may still read the programs.
        command[:0] = ["setpriv", "--bounding-set=-all", "--"]
    ran = subprocess.run(command, capture_output=True, timeout=30, check=False)

    assert ran.returncode == 1
    assert re.fullmatch(rb"\S+ \S+ fork/exec /bin/true: operation not permitted\n", ran.stderr)


@pytest.mark.parametrize("name", PAIR)
def test_argument_list_that_grows_too_long(installed: dict[str, Path], name: str, tmp_path: Path) -> None:
    """E2BIG, which only the command's longer path brings about, is reported like any error of exec."""
    deep = tmp_path.joinpath(*["d" * 250] * 12)
    deep.mkdir(parents=True)
    shutil.copy("/bin/true", deep / "true")
    command = [installed[name] / "isolate", deep / "true"]

    @cache
    def run(length: int) -> Outcome | None:
        try:
            ran = subprocess.run(
                [*command, *["x" * 1000] * (length // 1000), "x" * (length % 1000)],
                capture_output=True, timeout=30, check=False, env={}, preexec_fn=_small_stack,  # noqa: PLW1509
            )  # fmt: skip
        except OSError:
            return None
        return Outcome(ran.returncode, ran.stdout, ran.stderr)

    starts, refused = 1000, 200_000
    while refused - starts > 1:
        middle = (starts + refused) // 2
        starts, refused = (middle, refused) if run(middle) else (starts, middle)
    longest = run(starts)

    assert longest is not None
    assert longest.status == 1
    assert longest.errors.endswith(f"fork/exec {deep}/true: argument list too long\n".encode())


def _small_stack() -> None:
    resource.setrlimit(resource.RLIMIT_STACK, (512 * 1024, resource.getrlimit(resource.RLIMIT_STACK)[1]))
