"""Does a long program end with all that it started, however the wait for it ends?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from sessions import LIMIT

from harness import programs
from harness.errors import LabError
from harness.hosts.base import readable


def run(script: str, folder: Path, seconds: float = LIMIT) -> tuple[int, str]:
    """Exit status and output of a shell's script."""
    with tempfile.TemporaryFile() as output:
        status = programs.run_apart(["sh", "-c", script], seconds, cwd=folder, output=output)
        output.seek(0)
        return status, output.read().decode()


def test_status_output_and_place(tmp_path: Path) -> None:
    """Its exit status is told, both streams go to one file, it is where it was sent, without a terminal."""
    status, said = run("pwd; echo wrong >&2; ps -o tty= -p $$; cat; exit 3", tmp_path)

    assert (status, said.split()) == (3, [str(tmp_path), "wrong", "?"])


@pytest.mark.parametrize("stubborn", ["", "trap '' TERM;"])
def test_it_ends_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stubborn: str
) -> None:
    """Where the wait for it is over it is ended, its children too, and also what ignores a polite signal."""
    monkeypatch.setattr(programs, "_GRACE", 0.2)
    with pytest.raises(KeyboardInterrupt):
        run(f"{stubborn} (tail -f /dev/null & echo $! >child; kill -INT {os.getpid()}; wait); exit", tmp_path)

    assert programs.ends(int((tmp_path / "child").read_text()), LIMIT)


def test_it_does_not_end(tmp_path: Path) -> None:
    """The wait for it is bounded, and the error names it."""
    with pytest.raises(LabError, match=r"^sh -c did not end within 0.2 s$"):
        run("exec tail -f /dev/null", tmp_path, 0.2)


def test_it_may_clean_up(tmp_path: Path) -> None:
    """Before it is killed it is asked to end, so that it can remove what it has made."""
    interrupt = f"kill -INT {os.getpid()}"
    script = f"trap 'mv made removed; exit' TERM; : >made; {interrupt}; while :; do sleep 0.05; done"
    with pytest.raises(KeyboardInterrupt):
        run(script, tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["removed"]


DIES = """
import pathlib, sys
from harness.programs import run_apart
folder = pathlib.Path(sys.argv[1])
with open(folder / "log", "wb") as output:
    run_apart(["sh", "-c", sys.argv[2]], 60, cwd=folder, output=output)
"""


@pytest.mark.parametrize("deaf", ["", "trap '' TERM; "])
def test_it_ends_when_who_waits_is_killed(tmp_path: Path, deaf: str) -> None:
    """After a kill -9 of the process that waits for it, it is asked to end too, and all of it ends."""
    os.mkfifo(tmp_path / "begun")
    child = f"({deaf}exec tail -f /dev/null)"
    script = f"trap 'mv made removed; exit' TERM; : >made; {child} & echo $! >begun; wait"
    with subprocess.Popen([sys.executable, "-c", DIES, str(tmp_path), script]) as waiting:
        begun = os.open(tmp_path / "begun", os.O_RDWR)
        assert readable(begun, LIMIT)
        started = os.pidfd_open(int(os.read(begun, 20)))
        waiting.kill()

    assert readable(started, LIMIT)
    for descriptor in (begun, started):
        os.close(descriptor)


def test_it_ends_when_its_leader_is_killed(tmp_path: Path) -> None:
    """After a kill -9 of the shell that leads it, it is asked to end too, and waited for."""
    script = "trap 'mv made removed; exit' TERM; : >made; kill -KILL $PPID; while :; do sleep 0.05; done"

    status, _ = run(script, tmp_path)

    assert status == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == ["removed"]


def test_nothing_outlives_it(tmp_path: Path) -> None:
    """What it leaves behind when it ends is ended."""
    assert run("tail -f /dev/null & echo $! >child; exit 5", tmp_path) == (5, "")

    assert programs.ends(int((tmp_path / "child").read_text()), 0)


def test_it_reads_what_it_is_given(tmp_path: Path) -> None:
    """A file can be its input."""
    (tmp_path / "given").write_text("read")
    with (tmp_path / "given").open() as given, (tmp_path / "log").open("wb") as output:
        programs.run_apart(["cat"], LIMIT, cwd=tmp_path, output=output, stdin=given.fileno())

    assert (tmp_path / "log").read_text() == "read"


def test_interrupted_wait(tmp_path: Path) -> None:
    """A Ctrl-C while it runs ends it and goes on as a Ctrl-C."""
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(f"kill -INT {os.getpid()}; exec tail -f /dev/null", tmp_path)

    assert time.monotonic() - began < LIMIT


def test_program_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for a short answer is bounded too, and tells what the program has printed."""
    monkeypatch.setattr(programs, "AT_ONCE", 5.0)

    with pytest.raises(LabError, match=r"^sh -c did not answer within 5 s; it printed b'last words\\n'$"):
        programs.ask(["sh", "-c", "echo last words; exec tail -f /dev/null"])
