"""The port's library: descriptions, the order of the system calls, and that they are made."""

from __future__ import annotations

import ast
import json
import os
import queue
import shutil
import signal
import subprocess
import threading
from importlib import resources
from pathlib import Path

import pytest
from sessions import LIMIT

from harness.isolators.spawn import machine
from harness.isolators.spawn.description import DescriptionError, read
from harness.isolators.spawn.process import StartError, deduplicated, start
from harness.isolators.spawn.steps import Pipes, Program, plan

SOURCES = resources.files("harness.isolators.spawn")


def calls(**attributes: object) -> list[str]:
    """The names of the system calls for some attributes, without those that set signals to their default."""
    described = read(json.dumps({"Path": "/x", "SysProcAttr": attributes}))
    maps = (8, 9) if described.attributes.maps_ids else None
    made = plan(Program(b"/x", [b"x"], [], b"/d"), described.attributes, Pipes(7, maps), 1)
    return [step.name for step in made.steps if step.name and step.name != "rt_sigaction"]


def test_a_plain_program_takes_four_calls() -> None:
    """Without any attribute the child sets its signals, goes to its directory and executes."""
    assert calls() == ["clone", "rt_sigprocmask", "chdir", "execve"]


def test_everything_happens_in_the_order_of_go() -> None:
    """All attributes together give the sequence of Go's forkAndExecInChild1."""
    made = calls(
        Cloneflags=0x80,
        Unshareflags=0x10020000,
        UidMappings=[],
        GidMappings=[],
        Credential={"Groups": [1]},
        AmbientCaps=[21],
        Chroot="/r",
        Setsid=True,
        Foreground=True,
        Pdeathsig=9,
        Noctty=True,
    )

    write = ["openat", "write", "close"]
    assert made == [
        *("clone3", "prctl", "close", "read", "setsid", "setpgid", "getpid", "ioctl", "rt_sigprocmask"),
        *("unshare", *write, *write, *write, "mount", "chroot", "setgroups", "setgid", "setuid"),
        *("capget", "capset", "prctl", "chdir", "prctl", "getppid", "getpid", "kill", "ioctl", "execve"),
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not JSON"),
        ("{} {}", "not JSON: Extra data"),
        ('{"Path": NaN}', "not JSON"),
        ("[]", "the description: expected an object"),
        ('{"path": "x"}', "unknown field 'path'; expected one of Path, Args"),
        ('{"Path": 1}', "Path: expected text, got 1"),
        ('{"Stdin": true}', "Stdin: expected a whole number"),
        ('{"Args": ["a", 2]}', r"Args\[1\]: expected text, got 2"),
        ('{"SysProcAttr": {"Cloneflags": -1}}', "Cloneflags: expected a whole number from 0"),
        ('{"SysProcAttr": {"Credential": {"Uid": 4294967296}}}', "Uid: expected a whole number from 0"),
        ('{"SysProcAttr": {"UidMappings": [{"Size": "1"}]}}', "Size: expected a whole number"),
    ],
)
def test_a_bad_description_names_the_field(text: str, complaint: str) -> None:
    """What a description may not say is told in one line that names the field and what was expected."""
    with pytest.raises(DescriptionError, match=complaint) as raised:
        read(text)

    assert "\n" not in str(raised.value)


def test_null_is_what_go_has_for_it() -> None:
    """Null leaves a field as it is, and in a list of files stands for none."""
    described = read('{"Stdin": null, "ExtraFiles": [null, 3], "SysProcAttr": {"UidMappings": null}}')

    assert described.stdin is None
    assert described.extra_files == [None, 3]
    assert described.attributes.uid_mappings is None


def test_the_last_of_several_variables_counts() -> None:
    """Of entries with one name the last is kept in its place; entries without ``=`` stay."""
    entries = [b"A=1", b"odd", b"B=2", b"A=3", b"=C=4", b"=C=5", b"", b"odd"]

    assert deduplicated(entries) == [b"odd", b"B=2", b"A=3", b"=C=5", b"odd"]


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the instructions are for x86-64: test there")
def test_the_instructions_are_what_the_assembler_makes(tmp_path: Path) -> None:
    """The bytes in machine.py are machine.S, assembled."""
    if not (shutil.which("as") and shutil.which("objcopy")):
        pytest.skip("no assembler: install the package binutils")
    source = SOURCES.joinpath("machine.S").read_bytes()
    subprocess.run(["as", "-o", tmp_path / "object"], input=source, check=True, timeout=30)
    copy = ["objcopy", "-O", "binary", "-j", ".text", "object", "code"]
    subprocess.run(copy, cwd=tmp_path, check=True, timeout=30)

    assert (tmp_path / "code").read_bytes() == machine.CODE


@pytest.mark.parametrize("file", [file.name for file in SOURCES.iterdir() if file.name.endswith(".py")])
def test_the_library_parses_as_python_3_8(file: str) -> None:
    """The library uses no syntax that Python 3.8 lacks."""
    assert ast.parse(SOURCES.joinpath(file).read_text(), feature_version=(3, 8)) is not None


def said(description: dict[str, object]) -> bytes:
    """What a program that was started says on standard output; it must end well."""
    reading, writing = os.pipe()
    started = start(read(json.dumps({**description, "Stdout": writing})), [b"A=1"])
    os.close(writing)
    with open(reading, "rb") as output:  # noqa: PTH123 - a descriptor
        told = output.read()
    assert os.waitpid(started.pid, 0)[1] == 0
    return told


@pytest.fixture(params=["instructions", "interpreter"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The calls are made by the instructions, or as on other architectures by the interpreter."""
    if request.param == "interpreter":
        monkeypatch.setattr("harness.isolators.spawn.process.run", machine._interpreted)


@pytest.mark.usefixtures("way")
def test_a_program_is_started_and_says_so() -> None:
    """Path, arguments, environment, directory and descriptors arrive."""
    script = 'echo "$0 $A $PWD"; readlink /proc/$$/fd/0 /proc/$$/fd/4; test -e /proc/$$/fd/3 || echo closed'

    told = said({"Path": "/bin/sh", "Args": ["x", "-c", script], "Dir": "/", "ExtraFiles": [None, 0]})

    assert told.decode().splitlines() == [
        "x 1 /",
        "/dev/null",
        str(Path("/proc/self/fd/0").readlink()),
        "closed",
    ]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("description", "words", "number"),
    [
        ({"Path": ""}, "exec: no command", 0),
        ({"Path": "/no\0"}, "fork/exec /no\0: invalid argument", 22),
        ({"Path": "/nothing"}, "fork/exec /nothing: no such file or directory", 2),
        ({"Path": "/bin/sh", "Stdout": 999}, "fork/exec /bin/sh: bad file descriptor", 9),
        ({"Path": "/bin/sh", "Dir": "/nothing"}, "chdir /nothing: no such file or directory", 2),
        (
            {"Path": "/bin/sh", "Dir": "/nothing", "SysProcAttr": {}},
            "fork/exec /bin/sh: no such file or directory",
            2,
        ),
        (
            {"Path": "/bin/sh", "SysProcAttr": {"AmbientCaps": [64]}},
            "fork/exec /bin/sh: invalid argument",
            22,
        ),
        (
            {"Path": "/bin/sh", "SysProcAttr": {"Setctty": True, "Foreground": True}},
            "fork/exec /bin/sh: both Setctty and Foreground set in SysProcAttr",
            0,
        ),
        ({"Path": "/bin/sh", "Env": ["A\0"]}, "exec: environment variable contains NUL", 0),
    ],
)
def test_what_cannot_be_started_leaves_nothing(
    description: dict[str, object], words: str, number: int
) -> None:
    """A failure has Go's words and number; no child and no descriptor is left of it."""
    before = os.listdir("/proc/self/fd")  # noqa: PTH208

    with pytest.raises(StartError) as raised:
        start(read(json.dumps(description)), [])

    assert (str(raised.value), raised.value.number) == (words, number)
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_threads_that_hold_locks_do_not_hang_the_child() -> None:
    """Programs start from several threads at once, while others keep malloc's and Python's locks busy."""
    end = threading.Event()
    told: queue.Queue[bytes] = queue.Queue()

    def busy() -> None:
        while not end.is_set():
            bytearray(1 << 20)

    def start_many() -> None:
        for _ in range(40):
            told.put(said({"Path": "/bin/pwd", "Dir": "/"}))

    for each in [busy] * 3 + [start_many] * 3:
        threading.Thread(target=each, daemon=True).start()
    try:
        # How long all take is the machine's affair; that none comes any more is a child that hangs.
        assert [told.get(timeout=LIMIT) for _ in range(120)] == [b"/\n"] * 120
    finally:
        end.set()


def test_signals_are_as_before_afterwards() -> None:
    """The starting thread blocks no signal afterwards that it did not block before."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    said({"Path": "/bin/true"})

    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
