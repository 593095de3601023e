"""The world that a command finds itself in: what Go gives it, and the same from the port."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest
from test_isolators_same import DISPOSABLE, PAIR, install_pair

from harness.isolators import ISOLATORS, toolchain
from harness.namespaces import Kind

SUBSETS = [frozenset(chosen) for size in range(5) for chosen in combinations(Kind, size)]

LIST_NAMESPACES = "for name in cgroup ipc mnt net pid user uts; do readlink /proc/self/ns/$name; done"


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Isolator → the directory where its programs are; unshare has none."""
    return {**install_pair(tmp_path_factory), "unshare": Path("/nonexistent")}


def told(command: list[str], **options: object) -> str:
    """What a command prints; it must succeed and say nothing on standard error."""
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, **options)  # type: ignore[call-overload]
    assert (ran.returncode, ran.stderr) == (0, "")
    return str(ran.stdout)


@pytest.mark.parametrize("name", ISOLATORS)
@pytest.mark.parametrize(
    "chosen", SUBSETS, ids=lambda kinds: "+".join(sorted(k.value for k in kinds)) or "none"
)
def test_exactly_the_named_namespaces_differ(
    places: dict[str, Path], name: str, chosen: frozenset[Kind]
) -> None:
    """Of all kinds of namespace the command is in new ones for exactly those that were asked for."""
    inside = ISOLATORS[name]().command(str(places[name]), chosen, ["sh", "-c", LIST_NAMESPACES])
    seen = told([*DISPOSABLE, "sh", "-c", f'{LIST_NAMESPACES}; exec "$@"', "sh", *inside]).split()
    before, after = seen[: len(seen) // 2], seen[len(seen) // 2 :]

    assert {old.split(":")[0] for old, new in zip(before, after, strict=True) if old != new} == {
        kind.value for kind in chosen
    }


@pytest.mark.parametrize("name", PAIR)
def test_command_is_the_first_process_of_its_namespace(places: dict[str, Path], name: str) -> None:
    """Under the name pid the shell's own PID is 1."""
    assert told([*DISPOSABLE, f"{places[name]}/pid", "sh", "-c", "echo $$"]) == "1\n"


@pytest.mark.parametrize("name", PAIR)
def test_hostname_changes_inside_only(places: dict[str, Path], name: str) -> None:
    """Under the name uts a new hostname is not seen outside."""
    script = f'hostname outside; {places[name]}/uts sh -c "hostname inside; hostname"; hostname'

    assert told([*DISPOSABLE, "sh", "-c", script]) == "inside\noutside\n"


@pytest.mark.parametrize("name", PAIR)
def test_mounts_keep_the_propagation_that_they_had(places: dict[str, Path], name: str) -> None:
    """Under the name mount a shared mount stays shared, as the document's mnt-2 shows."""
    script = f"mount --make-rshared /; {places[name]}/mount findmnt --noheadings --output PROPAGATION /"

    assert told([*DISPOSABLE, "sh", "-c", script]) == "shared\n"


@pytest.mark.parametrize("name", PAIR)
def test_streams_are_handed_through(places: dict[str, Path], name: str) -> None:
    """The command reads the program's standard input and writes to its standard output and error."""
    script = "cat; echo error >&2"
    ran = subprocess.run(
        [f"{places[name]}/isolate", "sh", "-c", script],
        input=b"in\0put",
        capture_output=True,
        timeout=30,
        check=True,
    )

    assert (ran.stdout, ran.stderr) == (b"in\0put", b"error\n")


def _everything_ignored_and_blocked() -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def _only_hangup_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _only_job_control_ignored() -> None:
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


INHERITED = {
    "nothing": None,
    "everything": _everything_ignored_and_blocked,
    "hangup": _only_hangup_ignored,
    "job control": _only_job_control_ignored,
}


@pytest.mark.parametrize("inherited", INHERITED)
def test_signals_of_the_command(places: dict[str, Path], inherited: str) -> None:
    """Which signals the command ignores and blocks follows from what the program inherited, as with Go."""
    pending = r"^Sig(?:Blk|Ign|Cgt):\t(\w+)$"
    seen = {}
    for name in PAIR:
        status = told(
            [f"{places[name]}/isolate", "cat", "/proc/self/status"], preexec_fn=INHERITED[inherited]
        )
        seen[name] = re.findall(pending, status, re.MULTILINE)

    assert seen["python"] == seen["go"]
    assert (inherited == "nothing") == (seen["go"] == ["0" * 16] * 3)


SCRIPT_DESCRIPTORS = """
(for n in 0 1 2 3 4 5 6 7 8 9; do
    if [ -e /proc/$$/fd/$n ]; then
        echo "$n $(readlink /proc/$$/fd/$n) $(grep flags /proc/$$/fdinfo/$n)"
    fi
done) >"$1"
"""


def _go_before_1_22() -> bool:
    found = re.match(r"go1\.(\d+)", toolchain.find().version)
    return found is not None and int(found[1]) < 22


@pytest.mark.parametrize("closing", ["", "<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", "<&- >&- 2>&-"])
def test_descriptors_of_the_command(places: dict[str, Path], closing: str, tmp_path: Path) -> None:
    """The command has the program's descriptors, inherited ones too, and /dev/null for a closed stream."""
    if closing and _go_before_1_22():
        pytest.skip("before Go 1.22 the runtime leaves closed streams closed, or takes them for itself")
    seen = {}
    for name in PAIR:
        command = [f"{places[name]}/isolate", "sh", "-c", SCRIPT_DESCRIPTORS, "sh", str(tmp_path / "list")]
        closer = f'exec 7</dev/zero; exec "$@" {closing}'
        told(["sh", "-c", closer, "sh", *command], stdin=subprocess.DEVNULL)
        seen[name] = re.sub(r"pipe:\[\d+\]", "pipe", (tmp_path / "list").read_text()).splitlines()

    assert seen["python"] == seen["go"]
    assert [line.split()[0] for line in seen["go"]] == ["0", "1", "2", "7"]
    assert seen["go"][3].split()[1] == "/dev/zero"


ODD_ENVIRONMENT = [
    b"A=1",
    b"PATH=/usr/bin:/bin",
    b"no-equals-sign",
    b"A=2",
    b"",
    b"=x",
    b"B=\xff",
    b"=y",
    b"no-equals-sign",
]

EXEC_WITH_ENVIRONMENT = """
import ctypes, sys
strings = lambda words: (ctypes.c_char_p * (len(words) + 1))(*words)
command = [word.encode() for word in sys.argv[2:]]
ctypes.CDLL(None).execve(command[0], strings(command), strings(eval(sys.argv[1])))
"""


def environment_of(place: Path, entries: list[bytes]) -> bytes:
    """The environment that a command gets if the program has these entries, in their order."""
    command = [sys.executable, "-c", EXEC_WITH_ENVIRONMENT, repr(entries), f"{place}/isolate"]
    ran = subprocess.run(
        [*command, "/bin/cat", "/proc/self/environ"], capture_output=True, timeout=30, check=True
    )
    return ran.stdout


@pytest.mark.parametrize("name", PAIR)
def test_environment_is_handed_on(places: dict[str, Path], name: str) -> None:
    """The environment goes through as with Go: the first of a name, entries without ``=``, nothing added."""
    expected = b"A=1\0PATH=/usr/bin:/bin\0no-equals-sign\0=x\0B=\xff\0no-equals-sign\0"

    assert environment_of(places[name], ODD_ENVIRONMENT) == expected


@pytest.mark.parametrize("name", PAIR)
def test_nothing_is_added_to_an_empty_environment(places: dict[str, Path], name: str) -> None:
    """An empty environment stays empty: no LC_CTYPE of the interpreter's."""
    assert environment_of(places[name], []) == b""


@pytest.mark.parametrize("name", PAIR)
def test_host_without_proc_is_enough(places: dict[str, Path], name: str) -> None:
    """Where /proc is another's or none the command still starts, with the environment."""
    script = f"mount -t tmpfs none /proc; exec env -i A=1 LC_ALL=C.UTF-8 {places[name]}/isolate /usr/bin/env"

    assert told([*DISPOSABLE, "sh", "-c", script]) == "A=1\nLC_ALL=C.UTF-8\n"
