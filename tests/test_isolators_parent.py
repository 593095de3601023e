"""How the program behaves that waits for its command: Go's, and the port's the same, on every Python."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from test_isolators_same import DISPOSABLE, PAIR, install, install_pair
from test_isolators_world import told

from harness.isolators import ISOLATORS
from harness.isolators.port import Port


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Isolator → the directory where its programs are."""
    return install_pair(tmp_path_factory)


DEADLY = {signal.SIGHUP: -1, signal.SIGINT: -2, signal.SIGTERM: -15, signal.SIGKILL: -9}
CRASHING = {signal.SIGQUIT: 2, signal.SIGABRT: 2}
HARMLESS = {
    getattr(signal, f"SIG{name}"): 0
    for name in [
        "USR1",
        "USR2",
        "PIPE",
        "ALRM",
        "XFSZ",
        "XCPU",
        "VTALRM",
        "PROF",
        "IO",
        "PWR",
        "URG",
        "WINCH",
        "CONT",
        "CHLD",
        "RTMAX",
    ]
}
LINES = {signal.SIGQUIT: b"SIGQUIT: quit", signal.SIGABRT: b"SIGABRT: abort"}


def parent_after(
    place: Path, number: signal.Signals, deadly: bool, ignored: bool = False
) -> tuple[int, bytes]:
    """The exit status of a program that gets a signal while its command waits, and its first error line."""
    with subprocess.Popen(
        [place / "isolate", "sh", "-c", "echo ready; read line"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=(lambda: signal.signal(number, signal.SIG_IGN)) if ignored else None,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        parent.send_signal(number)
        if deadly:
            # Before its command ends: else the program might end with that, having yet to see the signal.
            parent.wait(timeout=30)
        _, errors = parent.communicate(b"\n", timeout=30)
    return parent.returncode, errors.partition(b"\n")[0]


@pytest.mark.parametrize("name", PAIR)
@pytest.mark.parametrize(("number", "status"), [*DEADLY.items(), *CRASHING.items(), *HARMLESS.items()])
def test_signal_to_the_waiting_program(
    places: dict[str, Path], name: str, number: signal.Signals, status: int
) -> None:
    """HUP, INT and TERM kill the program, QUIT and ABRT crash it, others change nothing."""
    assert parent_after(places[name], number, deadly=status != 0) == (status, LINES.get(number, b""))


@pytest.mark.parametrize("name", PAIR)
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGHUP, 0), (signal.SIGINT, 0), (signal.SIGTERM, -15)]
)
def test_ignored_signal_to_the_waiting_program(
    places: dict[str, Path], name: str, number: signal.Signals, status: int
) -> None:
    """HUP and INT that were ignored at the start stay so; TERM does not."""
    assert parent_after(places[name], number, deadly=status != 0, ignored=True) == (status, b"")


@pytest.mark.parametrize("name", PAIR)
def test_message_to_nobody_kills_by_sigpipe(places: dict[str, Path], name: str) -> None:
    """An error message that nobody can read ends the program by SIGPIPE."""
    reading, writing = os.pipe()
    os.close(reading)
    ran = subprocess.run([places[name] / "isolate", "nosuch"], stderr=writing, timeout=30, check=False)
    os.close(writing)

    assert ran.returncode == -signal.SIGPIPE


@pytest.mark.parametrize("name", PAIR)
def test_process_bears_the_programs_name(places: dict[str, Path], name: str, tmp_path: Path) -> None:
    """The waiting parent shows in the process tree under the name that it was called by."""
    spaced = tmp_path / "a place"
    spaced.mkdir()
    (spaced / "python").symlink_to(sys.executable)
    elsewhere = install(ISOLATORS[name]().programs(str(spaced / "python")), spaced)

    for place in (places[name], elsewhere):
        assert told([f"{place}/isolate", "sh", "-c", "cat /proc/$PPID/comm"]) == "isolate\n"


def interpreters() -> dict[str, str]:
    """Version → path of every Python from 3.8 on that runs here."""
    found = {}
    for minor in range(8, 16):
        name = f"python3.{minor}"
        kept = sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/{name}"))
        for path in filter(None, [shutil.which(name), *map(str, kept)]):
            asked = [path, "-IS", "-c", "import sys; print(sys.executable)"]
            ran = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=False)
            if ran.returncode == 0:
                found[f"3.{minor}"] = ran.stdout.strip()
    return found


INTERPRETERS = interpreters()


@pytest.mark.parametrize("version", [f"3.{minor}" for minor in range(8, 15)])
def test_port_runs_on_every_python(version: str, tmp_path: Path) -> None:
    """From Python 3.8 on the port isolates, hands the status on, reports errors and adds nothing."""
    if version not in INTERPRETERS:
        pytest.skip(f"no python{version} on this machine")
    place = install(Port().programs(INTERPRETERS[version]), tmp_path)
    script = f"""
        cd /; env -i {place}/pid /bin/sh -c '/usr/bin/env; exit $$'; echo $?
        {place}/uts nosuch 2>&1 | cut -d' ' -f3-
        {place}/uts --bad 2>&1
        {place}/isolate sh -c 'kill -9 $$'; echo $?
        {place}/isolate sed -n '/^Sig[BIC]/p' /proc/self/status
    """
    none = "".join(f"Sig{which}:\t{'0' * 16}\n" for which in ("Blk", "Ign", "Cgt"))

    assert told([*DISPOSABLE, "sh", "-c", script]) == (
        'PWD=/\n1\nexec: "nosuch": executable file not found in $PATH\n'
        'uts: unknown option "--bad"; expected no option, or -- before the command\n'
        f"137\n{none}"
    )
