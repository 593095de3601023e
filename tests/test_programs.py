"""Does a long program end with all that it started, however the wait for it ends?"""

from __future__ import annotations

import os
import tempfile
import threading
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
    """What does not end in time is ended, its children too, and also what ignores a polite signal."""
    monkeypatch.setattr(programs, "_GRACE", 0.2)
    os.mkfifo(tmp_path / "begun")
    child: list[int] = []

    def meet() -> None:
        child.append(os.pidfd_open(int((tmp_path / "begun").read_text())))

    meeting = threading.Thread(target=meet)
    meeting.start()
    with pytest.raises(LabError, match=r"^sh -c did not end within 1 s$"):
        run(f"{stubborn} (tail -f /dev/null & echo $! >begun; wait); tail -f /dev/null", tmp_path, 1)
    meeting.join(LIMIT)

    assert readable(child[0], LIMIT)
    os.close(child[0])


def test_it_may_clean_up(tmp_path: Path) -> None:
    """Before it is killed it is asked to end, so that it can remove what it has made."""
    script = "trap 'rm made; exit' TERM; : >made; while :; do sleep 0.05; done"
    with pytest.raises(LabError):
        run(script, tmp_path, 0.5)

    assert not list(tmp_path.iterdir())


def test_interrupted_wait(tmp_path: Path) -> None:
    """A Ctrl-C while it runs ends it and goes on as a Ctrl-C."""
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run("kill -INT $PPID; exec tail -f /dev/null", tmp_path)

    assert time.monotonic() - began < LIMIT


def test_program_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for a short answer is bounded too, and tells what the program has printed."""
    monkeypatch.setattr(programs, "AT_ONCE", 5.0)

    with pytest.raises(LabError, match=r"^sh -c did not answer within 5 s; it printed b'last words\\n'$"):
        programs.ask(["sh", "-c", "echo last words; exec tail -f /dev/null"])
