"""The sandbox: a bad probe costs only its own value, and a good one can answer either way."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import facts
from harness.errors import LabError
from harness.hosts.stage import Stage
from harness.notebook import Notebook
from harness.probes import cgroup, sandbox, syscalls
from harness.probes.children import held, identity, in_child
from harness.probes.main import settled
from harness.probes.mounts import workspace
from harness.probes.registry import Probe, Unmeasured
from harness.probes.syscalls import KINDS, NEWUTS, call, outcome, sethostname, unshare, word

LIMIT = 20.0
SHORT = 0.3


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """A host that can be thrown away."""
    with Stage(Notebook()) as made:
        yield made


def probe(function: Callable[..., Any], *arguments: object, place: str = "sandbox") -> Probe:
    """A probe that no registry knows."""
    return Probe("test.fact", function, arguments, place, True, "meaning", "source")


def hang() -> None:
    """Never answer."""
    signal.pause()


def hang_with_child() -> None:
    """Never answer, and leave a child behind that holds the pipe for the answer."""
    with held():
        signal.pause()


def crash() -> None:
    """Read where nothing is."""
    faulthandler.disable()
    ctypes.string_at(0)


def leave() -> None:
    """End without a word."""
    os._exit(3)


def stumble() -> None:
    """Fail as a program with a mistake does."""
    raise KeyError("missing")


def decline() -> None:
    """Say that the host's user may not find this out."""
    raise Unmeasured("no second user")


BAD = {
    "hang": (hang, {"error": "no answer in 0.3 s"}),
    "hang_with_child": (hang_with_child, {"error": "no answer in 0.3 s"}),
    "crash": (crash, {"error": "ended by SIGSEGV"}),
    "leave": (leave, {"error": "ended without an answer"}),
    "stumble": (stumble, {"error": "KeyError: 'missing'"}),
    "decline": (decline, {"unmeasured": "no second user"}),
}


@pytest.mark.parametrize(
    ("how", "place"),
    # On the host a probe has no children: it only looks.
    [
        (how, place)
        for how in BAD
        for place in ("sandbox", "host")
        if (how, place) != ("hang_with_child", "host")
    ],
)
def test_a_bad_probe_costs_only_its_own_value(how: str, place: str) -> None:
    """A probe that hangs, crashes or stumbles is an error by name, and the next one has its value."""
    function, expected = BAD[how]
    limit = SHORT if how.startswith("hang") else LIMIT
    began = time.monotonic()

    assert sandbox.measure(probe(function, place=place), limit) == expected
    assert time.monotonic() - began < LIMIT
    assert sandbox.measure(probe(os.getuid, place="sandbox"), LIMIT) == {"value": 0}


def test_a_sandbox_shares_only_what_it_says() -> None:
    """In the sandbox a probe is PID 1 and root, and shares with the host only network and time namespace."""

    def look() -> list[object]:
        return [os.getpid(), os.getuid(), {kind: identity(kind) for kind in KINDS}]

    pid, user, inside = sandbox.measure(probe(look), LIMIT)["value"]

    assert (pid, user) == (1, 0)
    assert {kind for kind in KINDS if inside[kind] == identity(kind)} == {"net", "time"}


def test_root_of_the_sandbox_is_nobody_on_the_host() -> None:
    """Root of the sandbox is an ordinary user of the host: it may not open what only the host's root may."""
    answer = sandbox.measure(probe(lambda: outcome(os.open, "/proc/sys/kernel/hostname", os.O_WRONLY)), LIMIT)

    assert answer == {"value": "EACCES"}


def test_a_probe_is_refused_where_no_sandbox_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe does not run when the kernel has silently dropped a flag."""
    clone = syscalls.call
    monkeypatch.setattr(syscalls, "call", lambda name, flags, *rest: clone(name, flags & ~NEWUTS, *rest))

    assert "still in the host's namespaces" in sandbox.measure(probe(os.getpid), LIMIT)["error"]


def test_a_probe_is_refused_where_ids_cannot_be_mapped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A probe does not run where the sandbox's IDs can't be mapped, and the error names the reason."""

    def refuse(_pid: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(sandbox, "_map_ids", refuse)
    answer = sandbox.measure(probe(tmp_path.joinpath("ran").touch, place="sandbox"), LIMIT)

    assert answer == {"error": "the sandbox's IDs can't be mapped: EPERM"}
    assert not tmp_path.joinpath("ran").exists()


def test_the_error_of_a_sandbox_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel makes no sandbox, that is the fact's error, with the kernel's reason."""
    monkeypatch.setitem(sandbox.FLAGS, "sandbox", sandbox.FLAGS["sandbox"] | 0x200)

    answer = sandbox.measure(probe(os.getpid), LIMIT)

    assert answer == {"error": "the sandbox can't be made: Invalid argument"}


def test_nothing_is_left_of_a_probe() -> None:
    """When the answer is there, every process that the probe had started has ended."""

    def start() -> str:
        if call("clone", signal.SIGCHLD, 0, 0, 0, 0) == 0:
            hang()
        return identity("pid")

    namespace = sandbox.measure(probe(start), LIMIT)["value"]
    processes = [path.name for path in Path("/proc").iterdir() if path.name.isdigit()]

    assert namespace not in {word(identity, "pid", process) for process in processes}


def test_no_control_group_stays_where_one_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the user's control group is delegated, the group that the probe makes is gone at once."""

    def delegated() -> None:
        workspace()
        Path("cgroup").mkdir()

    def ask() -> list[object]:
        return [cgroup.make_group_without_delegation(), [*map(str, Path("cgroup").iterdir())]]

    monkeypatch.setattr(cgroup, "_hierarchy", delegated)

    assert sandbox.measure(probe(ask), LIMIT) == {"value": ["ok", []]}


def test_answers_that_differ_are_an_error() -> None:
    """A probe that does not answer alike each time measures no fact."""
    varying = probe(time.monotonic_ns)

    assert "then" in settled([sandbox.measure(varying, LIMIT) for _ in range(2)])["error"]
    assert settled([sandbox.measure(probe(os.getpid), LIMIT) for _ in range(3)]) == {"value": 1}


@pytest.mark.parametrize("bad", ["hang", "crash", "leave", "stumble"])
def test_a_bad_probe_does_not_spoil_those_in_its_child(bad: str) -> None:
    """Of probes that share a child each has its own answer, also when one of them is bad."""
    function, expected = BAD[bad]
    limit = LIMIT
    if bad == "hang":
        limit, expected = 5.0, {"error": "no answer in 5 s"}  # enough for the good ones
    probes = [
        each._replace(name=name, alone=False)
        for name, each in (
            ("before", probe(os.getpid)),
            ("bad", probe(function)),
            ("after", probe(os.getuid)),
        )
    ]

    answers = sandbox.measure_all(probes, limit)

    assert answers == {"before": {"value": 1}, "bad": expected, "after": {"value": 0}}


def compare(flags: int) -> bool:
    """Whether a name that is set by a child is seen here."""
    sethostname(b"before")
    in_child(sethostname, b"after", flags=flags)
    return os.uname().nodename == "after"


@pytest.mark.parametrize(("flags", "crosses"), [(0, True), (NEWUTS, False)])
def test_a_probe_can_report_the_opposite(flags: int, crosses: bool) -> None:
    """The look that says that a name does not cross the boundary says that it does where there is none."""
    assert sandbox.measure(probe(compare, flags), LIMIT) == {"value": crosses}


@pytest.mark.parametrize(("flags", "said"), [(NEWUTS, "ok"), (0x1, "EINVAL")])
def test_an_outcome_is_ok_or_the_name_of_the_error(flags: int, said: str) -> None:
    """What the kernel accepts is `ok`, and what it refuses the name of its reason."""
    assert sandbox.measure(probe(outcome, unshare, flags), LIMIT) == {"value": said}


def test_a_child_that_dies_is_an_error_of_its_probe() -> None:
    """A child of a probe that ends without an answer is told apart from any answer."""
    answer = sandbox.measure(probe(in_child, leave), LIMIT)

    assert answer == {"error": "RuntimeError: without an answer"}


def test_facts_of_a_stage(stage: Stage) -> None:
    """On a stage every question of a subject is answered, by one command that stands in the evidence."""
    began = len(stage.notebook.observations)
    answers = facts.measure(stage, ["uts"])

    assert answers["uts.hostname_longest"].value == 64
    assert not [name for name, answer in answers.items() if answer.error]
    assert len(stage.notebook.observations) == began + 1


def test_a_host_without_python_is_one_line(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the probes do not run at all, the error says so and holds the reason."""
    monkeypatch.setattr(stage, "python", "/nowhere/python3")

    with pytest.raises(LabError, match=r"do not run on stage.*not found"):
        facts.measure(stage, ["uts"])
