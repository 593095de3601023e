"""Guests, booted for real: what an experiment finds, and what breaks costs. Skipped where QEMU is not."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sessions import PASSES, Project

from harness.environment import TAG
from harness.errors import UnmetNeedError
from harness.hosts.base import LabHost
from harness.hosts.guest import Guest, GuestPlace
from harness.isolate import Isolate
from harness.isolators import ISOLATORS
from harness.kernels import cache, qemu, store, template, userland
from harness.kernels.choice import Choice, choose
from harness.kernels.vm import GuestError
from harness.notebook import Notebook

pytest_plugins = ["stand_ins"]

SERIES = "6.12"
WAIT = 30.0

Open = Callable[[], LabHost]


def place_of(wish: str) -> GuestPlace:
    """Where guests of a kernel come from; booted once, which takes a minute where nothing is cached."""
    try:
        qemu.version()
        if not userland.here():
            pytest.skip(f"no guest was booted here yet: nslab kernels boot {SERIES}")
        place = GuestPlace(choose([wish], "", print)[0])
        place.prepare(print)
    except UnmetNeedError as missing:
        pytest.skip(str(missing))
    return place


@pytest.fixture(scope="module")
def place() -> Iterator[GuestPlace]:
    """Where guests come from."""
    made = place_of(SERIES)
    yield made
    made.close()


@pytest.fixture
def opened(place: GuestPlace) -> Iterator[Open]:
    """Opens a host as the session does for each experiment."""
    yield lambda: place.open(Notebook(), WAIT)
    place.close()


def pid_of(host: LabHost) -> int:
    """The process of the guest's QEMU."""
    assert isinstance(host, Guest)
    return host.pid


def test_the_kernel_is_the_one_that_was_asked_for(place: GuestPlace, opened: Open) -> None:
    """The guest runs it, and the run's description says so."""
    with opened() as host:
        assert host.check_output("uname -r") == place.describe().kernel
        assert host.check_output("uname -r").startswith(SERIES)
        assert host.name == place.name


def test_the_host_is_a_real_one(opened: Open) -> None:
    """Init is PID 1, kernel threads are seen, and `/` is shared."""
    with opened() as host:
        assert host.check_output("cat /proc/2/comm") == "kthreadd"
        assert "shared" in host.check_output("findmnt -no PROPAGATION /")


@pytest.mark.parametrize("name", ISOLATORS)
def test_isolators_are_carried_and_isolate(opened: Open, name: str) -> None:
    """A shell in a new PID namespace is PID 1 there, on a terminal of the guest."""
    isolator = ISOLATORS[name]()
    isolator.prepare()
    with opened() as host:
        inside = Isolate(host, isolator)("pid")

        assert inside.check_output("echo $$") == "1"
        assert inside.check_output("tty").startswith("/dev/pts/")
        assert inside.run("exit 3 | false; (exit 7)").rc == 7


def test_streams_and_status_are_kept_apart(opened: Open) -> None:
    """Output, errors and the exit status arrive as they were, also the status that ssh uses itself."""
    with opened() as host:
        result = host.run("printf 'a\\n\\n'; printf '\\377e' >&2; exit 255")

        assert (result.stdout, result.stderr, result.rc) == ("a\n\n", "\\xffe", 255)


MENDED = {
    "covered /proc": "mount -t tmpfs covered /proc",
    "hostname": "hostname changed",
    "domain name": "domainname changed",
    "message queue": "ipcmk -Q",
    "mount in the place for scratch files": "mkdir /dev/shm/a && mount -t tmpfs a /dev/shm/a",
    "process": "sleep 1000 >/dev/null 2>&1 & until pgrep -x sleep; do :; done",
    "process with lines in its environment": (
        f"env -i A='1\n2' {TAG}=${TAG} sleep 1000 >/dev/null 2>&1 & until pgrep -x sleep; do :; done"
    ),
    "POSIX queue": "touch /dev/mqueue/q",
    "hidden file in the place for scratch files": "touch /dev/shm/.hidden",
}
BROKEN = {
    "mount elsewhere": "mount -t tmpfs elsewhere /mnt",
    "propagation": "mount --make-rprivate /",
    "control group": "mkdir /sys/fs/cgroup/left",
    "hidden file elsewhere": "touch /root/.hidden",
    "limit": "echo 1000 >/proc/sys/kernel/msgmax",
}


@pytest.mark.parametrize("change", [*MENDED, *BROKEN])
def test_the_next_experiment_finds_a_pristine_guest(opened: Open, change: str) -> None:
    """What is cheap to undo is undone; a guest that was changed otherwise is thrown away."""
    look = "hostname; domainname; ipcs; cat /proc/self/mountinfo /proc/sys/kernel/msgmax; pgrep sleep"
    look += "; ls -A /dev/mqueue /dev/shm /root /sys/fs/cgroup"
    with opened() as host:
        before, first = host.run(look).stdout, pid_of(host)
        host.check_output((MENDED | BROKEN)[change])
        assert host.run(look).stdout != before, "control: the look shows the change"

    with opened() as host:
        assert host.run(look).stdout == before
        assert (pid_of(host) == first) == (change in MENDED)


def first_error(act: Callable[[], object]) -> GuestError:
    """How it fails."""
    with pytest.raises(GuestError) as raised:
        act()
    return raised.value


LOST = {
    "panic": ("echo c >/proc/sysrq-trigger", "Kernel panic - not syncing: sysrq triggered crash"),
    "sshd": ("kill -9 $(pidof dropbear)", "the connection to its sshd was lost"),
    "power": ("echo o >/proc/sysrq-trigger; sleep 20", "QEMU ended with status 0"),
}


@pytest.mark.parametrize("way", LOST)
def test_a_lost_guest_is_an_error_of_its_own(opened: Open, way: str) -> None:
    """The message tells what happened and where the console's log lies; the next guest is as new."""
    command, said = LOST[way]
    with opened() as host:
        error = first_error(lambda: [host.run(command), host.run("true")])

    assert said in str(error)
    assert Path(str(error).rsplit(": ", 1)[1]).exists()
    with opened() as host:
        assert host.run("true").rc == 0


def test_a_guest_that_stands_still_is_given_up(place: GuestPlace) -> None:
    """Waiting ends after the given time, and the next guest answers."""
    host = place.open(Notebook(), 1.0)
    os.kill(pid_of(host), signal.SIGSTOP)

    with pytest.raises(GuestError, match="no answer within 1 s"):
        host.close()

    with place.open(Notebook(), WAIT) as host:
        assert host.run("true").rc == 0


def test_a_kernel_that_does_not_boot_is_told_from_the_others(place: GuestPlace) -> None:
    """Without modules there is no disk: the console's own words are in the message, at every experiment."""
    kernel = store.kept(place.describe().kernel)
    assert kernel
    broken = GuestPlace(Choice("broken", None, str(kernel.image), ""))

    with pytest.raises(GuestError, match=r"(?s)guest broken: .*the kernel shows no disk /dev/vda"):
        broken.prepare(print)
    with pytest.raises(GuestError, match="guest broken"):
        broken.open(Notebook(), WAIT)


NEVER_UP = {
    "wrong root": ("rdinit=/none root=/dev/none", template.BOOT_WAIT, r"Kernel panic - not syncing: VFS: "),
    "hangs": ("", 0.5, "did not boot within 0.5 s"),
}


@pytest.mark.parametrize("way", NEVER_UP)
def test_a_kernel_that_never_comes_up(place: GuestPlace, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """The message tells what the kernel said, or how long it was waited for, and where the log lies."""
    arguments, wait, said = NEVER_UP[way]
    kernel = store.kept(place.describe().kernel)
    assert kernel
    monkeypatch.setattr(qemu, "ARGUMENTS", f"{qemu.ARGUMENTS} {arguments}")
    monkeypatch.setattr(template, "BOOT_WAIT", wait)
    broken = GuestPlace(Choice("never", None, str(kernel.image), ""))

    error = first_error(lambda: broken.prepare(print))

    assert re.search(rf"(?s)^guest never: .*{said}", str(error))
    assert Path(str(error).rsplit(": ", 1)[1]).exists()
    assert not [*cache.folder("templates").glob("*never-*")]


def test_a_broken_kernel_costs_only_its_own_column(place: GuestPlace, project: Project) -> None:
    """Its experiments are errors with the console's words; those on the other kernel pass."""
    kernel = store.kept(place.describe().kernel)
    assert kernel
    project.experiment(PASSES)

    # Named by its file, the same kernel comes without modules.
    with subprocess.Popen(
        project.command(f"--kernels={kernel.image},{kernel.name}", "-n0", "-q"),
        cwd=project.folder,
        env=project.environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as session:
        said, _ = session.communicate(timeout=template.BOOT_WAIT)

    assert session.returncode == pytest.ExitCode.TESTS_FAILED, said
    assert "the kernel shows no disk /dev/vda" in said
    (run,) = project.runs()
    outcomes = {record["host"]: record["outcome"] for record in run["records"]}
    assert outcomes == {kernel.release: "error", kernel.name: "passed"}


_HOLDER = f"""
import sys
from harness.hosts.guest import GuestPlace
from harness.kernels.choice import choose
from harness.notebook import Notebook
place = GuestPlace(choose(["{SERIES}"], "", print)[0])
print(place.open(Notebook(), 30).pid, flush=True)
sys.stdin.read()
"""


def test_a_guest_dies_with_its_session(place: GuestPlace) -> None:
    """When the session's process is killed, the kernel kills QEMU."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as session:
        assert session.stdout is not None
        guest = os.pidfd_open(int(session.stdout.readline()))
        assert select.select([guest], [], [], 0)[0] == [], "control: it runs"
        session.kill()

        assert select.select([guest], [], [], WAIT)[0] == [guest]
        os.close(guest)
