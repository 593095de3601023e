"""Does the terminal inside tell what was shown, whatever is shown?"""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from sessions import LIMIT

from harness.errors import WaitExpiredError
from harness.hosts.base import EnteringBackend
from harness.hosts.stage import Stage
from harness.isolate import Isolate
from harness.shell import Shell, ShellEndedError

pytest_plugins = ["stand_ins"]


@pytest.fixture
def shell(isolated: Isolate) -> Shell:
    """A shell in no new namespace."""
    return isolated.shell()


def stubborn(stage: Stage, program: str) -> Shell:
    """A terminal on which a Python program stands in for the shell."""
    stage.wait = 5
    return Shell(stage, [stage.python, "-uISc", program], "stubborn")


PROMPTS = "import os, sys; prompt = os.environ['PS1'].replace('$?', '0'); print(end=prompt)\n"


def test_exit_status_and_output(shell: Shell) -> None:
    """A command's output and exit status are told, and the line itself is not echoed."""
    result = shell.run("echo shown; exit_with() { return 7; }; exit_with")

    assert (result.stdout, result.rc) == ("shown\n", 7)


def test_status_of_a_signal(shell: Shell) -> None:
    """A command that a signal ended has the status that the shell gives it."""
    assert shell.run("sh -c 'kill -KILL $$'").rc == 128 + signal.SIGKILL


def test_arguments_are_quoted(shell: Shell) -> None:
    """An argument with quotes and dollar signs arrives as it is."""
    odd = "a'b\"c $HOME `id` \\ *"

    assert shell.check_output("printf %%s %s", odd) == odd


def test_failing_command_is_told(shell: Shell) -> None:
    """check_output names the command, its status and what it showed."""
    with pytest.raises(AssertionError, match=r"exit status 1 of 'echo why; false' inside .*why"):
        shell.check_output("echo why; false")


HOSTILE = {
    "ten megabytes on one line": ("head -c 10000000 /dev/zero | tr '\\0' x", "x" * 10_000_000),
    "NUL": (r"printf 'a\0b'", "a\0b"),
    "no UTF-8": (r"printf 'a\377\300\200b'", r"a\xff\xc0\x80b"),
    "escape sequences": (
        r"printf '\033[2J\033[31mred\033]0;title\007'",
        "\x1b[2J\x1b[31mred\x1b]0;title\x07",
    ),
    "the prompt's source": ('echo "$PS1"', None),
    "all variables": ("set; env", None),
    "a prompt with a word": (r"echo 'nslab-000000000000:0> '", "nslab-000000000000:0> \n"),
    "no line end": ("printf text", "text"),
    "nothing": (":", ""),
    "carriage returns": (r"printf 'one\rtwo\r\n'", "one\rtwo\r\n"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_output_is_told_and_ends_at_the_prompt(shell: Shell, stage: Stage, name: str) -> None:
    """Output that fights back is told as it was, and the next command is answered."""
    stage.wait = LIMIT
    command, shown = HOSTILE[name]
    result = shell.run(command)

    assert result.rc == 0
    assert shown is None or result.stdout == shown
    assert shell.run("echo next").stdout == "next\n"


def test_prompt_that_is_followed_by_much_output(shell: Shell) -> None:
    """A prompt is seen although a background process prints thousands of bytes right after it."""
    shell.run("mkfifo /dev/shm/go; (read go </dev/shm/go; seq 9999) & true")
    result = shell.run("echo before; echo >/dev/shm/go")

    assert result.rc == 0
    assert result.stdout.startswith("before\n")
    assert "9999" in result.stdout + shell.run("wait").stdout


def test_prompt_in_the_middle_of_a_chunk(stage: Stage) -> None:
    """A prompt is seen wherever in what is read at once it stands."""
    shell = stubborn(
        stage, PROMPTS + "print('x' * 3000, flush=True); input(); print(end='done' + prompt)\ninput()"
    )

    assert shell.run("next").stdout.endswith("done")


def test_line_that_is_too_long(shell: Shell) -> None:
    """A line that a terminal would cut is refused, one byte less is taken."""
    longest = "echo " + "x" * 4090

    assert shell.run(longest).stdout == "x" * 4090 + "\n"
    with pytest.raises(ValueError, match="not one line that a terminal takes"):
        shell.run(longest + "x")


@pytest.mark.parametrize("odd", ["\n", "\r", "\x03", "\x04", "\x7f", "\x15", "\t"])
def test_line_with_control_characters(shell: Shell, odd: str) -> None:
    """A line with a character on which a terminal acts is refused."""
    with pytest.raises(ValueError, match="not one line that a terminal takes"):
        shell.run(f"echo a{odd}b")


def test_shell_that_never_prompts(stage: Stage) -> None:
    """A shell that shows no prompt is an expired wait that tells what it showed."""
    with pytest.raises(
        WaitExpiredError, match=r"waited 5 s for the first prompt of stubborn; last seen: 'Hi'"
    ):
        stubborn(stage, "print(end='Hi'); input()")


def test_command_that_does_not_end(shell: Shell, stage: Stage) -> None:
    """A command that does not end is an expired wait that names the command and its last output."""
    stage.wait = 5
    with pytest.raises(
        WaitExpiredError,
        match=r"for the prompt after 'echo begun; tail -f /dev/null' of python none; last seen: 'begun",
    ):
        shell.run("echo begun; tail -f /dev/null")


def test_command_of_the_host_that_does_not_end(stage: Stage) -> None:
    """A command of the host that does not end is an expired wait with its last output."""
    assert isinstance(stage.backend, EnteringBackend)
    stage.backend.wait = 5
    with pytest.raises(
        WaitExpiredError, match=r"for the end of 'echo begun; tail -f /dev/null' on stage; last seen: 'begun"
    ):
        stage.run("echo begun; tail -f /dev/null")


def test_shell_that_echoes(stage: Stage) -> None:
    """A shell that switches the echo on shows the line, and its prompt is found all the same."""
    shell = stubborn(stage, "import os; os.execvp('sh', ['sh', '-c', 'stty echo; exec sh -i'])")

    assert "line" in shell.run("echo line").stdout


def test_shell_that_dies_while_it_is_read(shell: Shell) -> None:
    """A shell that ends instead of prompting is an error that tells its status and last output."""
    # The status is dash's own: it can't give the terminal back to a process group beyond the stage.
    with pytest.raises(
        ShellEndedError, match=r"python none ended with status \d while .* last seen: 'last words"
    ):
        shell.run("echo last words; exit 3")


def test_shell_that_is_killed(shell: Shell) -> None:
    """A shell that was killed is an error that tells the signal as a status."""
    with pytest.raises(ShellEndedError, match=r"ended with status 137"):
        shell.run("kill -KILL $$")


def test_command_on_which_the_terminal_hangs_up(isolated: Isolate, stage: Stage) -> None:
    """A command that a hangup ended is no output of a command, although the shell prompts once more."""
    shell = isolated.shell("uts")
    stage.check_output("mkfifo /dev/shm/begun")
    (isolator,) = Path(f"/proc/{shell._child.pid}/task/{shell._child.pid}/children").read_text().split()
    kill = f"read begun </proc/{stage.pid}/root/dev/shm/begun; kill -KILL {isolator}"
    with subprocess.Popen(["sh", "-c", kill]), pytest.raises(ShellEndedError, match="ended with status 137"):
        shell.run("sh -c 'echo >/dev/shm/begun; exec tail -f /dev/null'; echo answer")


def test_terminal_whose_process_was_reaped(shell: Shell) -> None:
    """A terminal's own process that pexpect has reaped before it was looked at has ended."""
    assert not shell._is_ending()
    shell._child.kill(signal.SIGKILL)
    shell._child.wait()

    assert shell._is_ending()


def test_shell_that_has_ended(shell: Shell) -> None:
    """What is typed to a shell that has ended is an error that says so."""
    with pytest.raises(ShellEndedError):
        shell.run("exit")
    with pytest.raises(ShellEndedError, match=r"ended before 'echo late' could be typed"):
        shell.run("echo late")


def test_shell_that_ignores_every_signal(isolated: Isolate, stage: Stage) -> None:
    """A shell that ignores what can be ignored ends with the stage."""
    shell = isolated.shell()
    shell.run("trap '' TERM HUP INT QUIT")
    stage.close()

    assert shell._child.closed


def test_program_that_cannot_be_started(stage: Stage) -> None:
    """A program that is not there is an error with the system's own words."""
    with pytest.raises(ShellEndedError, match="No such file"):
        Shell(stage, ["/no/such/program"], "nothing")
