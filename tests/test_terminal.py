"""Has a program that is started without fork(2) what pexpect's own would have?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pexpect
import pytest

from harness.terminal import OnTerminal

WAIT = 20.0


def shown(script: str, *, raw: bool = False) -> Sequence[str]:
    """The lines that a shell's script shows on a terminal of 30 lines of 100 characters."""
    child = OnTerminal(
        ["sh", "-c", script],
        raw=raw,
        env={**os.environ, "GIVEN": "word"},
        encoding="utf-8",
        dimensions=(30, 100),
        timeout=WAIT,
    )
    child.expect(pexpect.EOF)
    child.wait()
    child.close(force=False)
    assert isinstance(child.before, str)
    return child.before.splitlines()


def test_terminal_is_its_own() -> None:
    """It leads a session whose terminal it has, of the given size, and has the given environment."""
    leader = 'test $$ = "$(ps -o sid= -p $$ | tr -d " ")" && echo leader'
    assert shown(f"stty size; {leader}; echo here >/dev/tty; echo $GIVEN") == [
        "30 100",
        "leader",
        "here",
        "word",
    ]


@pytest.mark.parametrize(("raw", "expected"), [(True, {"-icanon", "-opost"}), (False, {"icanon", "opost"})])
def test_terminal_that_changes_nothing(raw: bool, expected: set[str]) -> None:
    """A raw terminal passes everything on; any other edits lines, and neither echoes."""
    modes = " ".join(shown("stty -a", raw=raw)).replace(";", " ").split()
    assert {*expected, "-echo"} <= {*modes}


def test_no_descriptor_is_passed_on() -> None:
    """What this process inherited, or left open for others, stays here."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    try:
        assert shown("ls /proc/self/fd") == ["0  1  2  3"], "3 is the listing's own"
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize(
    ("content", "error"), [(None, pexpect.ExceptionPexpect), ("#!/no/such/interpreter\n", FileNotFoundError)]
)
def test_program_that_cannot_be_started(tmp_path: Path, content: str | None, error: type[Exception]) -> None:
    """It is an error at once, and nothing of the terminal is left."""
    program = tmp_path / "program"
    if content is not None:
        program.write_text(content)
        program.chmod(0o755)
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 - their names alone
    with pytest.raises(error):
        OnTerminal([str(program)], env={}, encoding="utf-8", dimensions=(24, 80))
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208 - as above
