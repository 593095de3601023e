"""Is each command of a shell that stays its own, whether a copy of the shell runs it or the shell itself?"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from harness.ssh.channel import Channel, ConnectionLostError, starts_one_program

WAIT = 20.0
SHELLS = [["sh"], ["bash"], ["busybox", "sh"]]


@pytest.fixture(params=SHELLS, ids=" ".join)
def channel(request: pytest.FixtureRequest) -> Iterator[Channel]:
    """A shell that stays, here."""
    if not shutil.which(request.param[0]):
        pytest.skip(f"no {request.param[0]}: install it")
    channel = Channel(request.param)
    yield channel
    channel.close()


@pytest.mark.parametrize(
    ("command", "statuses"),
    [
        ("cd /proc; left=here; export LC_ALL=left; exit 3", {3}),
        # bash tells a wrong command by another status than others do.
        ("if", {1, 2}),
        ("/bin/sh -c 'exit 7'", {7}),
        ("/bin/sh -c 'kill -9 $$'", {137}),
        ("/no/such/program", {127}),
        ("cat", {0}),
    ],
)
def test_nothing_of_a_command_lasts(channel: Channel, command: str, statuses: set[int]) -> None:
    """The next command finds the shell as it was, and a program reads nothing of what comes after it."""
    found = 'pwd; echo "$left $LC_ALL"'
    before = channel.run(found, WAIT, {"LC_ALL": "C"}).stdout
    assert before.endswith(b" C\n")
    assert channel.run(command, WAIT).returncode in statuses
    assert channel.run(found, WAIT).stdout == before


def test_variables_reach_all_later_commands(channel: Channel) -> None:
    """What is exported once is in the environment of each program, and replaced by what comes later."""
    for value in ("a 'quoted' one", "another"):
        assert channel.run(":", WAIT, {"GIVEN": value}).returncode == 0
        for command in ("/usr/bin/env", "env; :"):
            assert f"GIVEN={value}".encode() in channel.run(command, WAIT).stdout.splitlines()


def test_both_outputs_are_told_apart(channel: Channel) -> None:
    """A program's output and errors come back unmixed, whatever bytes they are."""
    done = channel.run("/bin/sh -c 'printf \"\\377\\nout\"; printf err >&2'", WAIT)
    assert (done.stdout, done.stderr) == (b"\xff\nout", b"err")


def test_shell_that_ends(channel: Channel) -> None:
    """A command that ends the shell that stays is told as a lost connection."""
    with pytest.raises(ConnectionLostError, match="ended before"):
        channel.run("kill -9 $$", WAIT)


@pytest.mark.parametrize(
    "command", ["hostname", "cat /proc/self/mountinfo", "/bin/echo 'a; b' c=d", "hostname -b 'a\nb'"]
)
def test_one_program(command: str) -> None:
    """A known program with plain or quoted words needs no copy of the shell."""
    assert starts_one_program(command)


@pytest.mark.parametrize(
    "command",
    [
        "",
        "exit",
        "cd /",
        "exec /bin/true",
        "unknown",
        "A=/b",
        "PATH=/b hostname",
        "hostname; exit",
        "hostname &",
        "hostname >/tmp/x",
        "hostname $HOME",
        "hostname *",
        "hostname ~",
        "hostname\nexit",
        "hostname  two-spaces",
        "'/bin/with blank' word",
        "hostname 'open",
        'hostname "$HOME"',
        "hostname #",
        "{ hostname; }",
    ],
)
def test_more_than_one_program(command: str) -> None:
    """What a shell could take for anything else is run by a copy of it."""
    assert not starts_one_program(command)
