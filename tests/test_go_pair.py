"""Two isolators side by side, whatever pytest itself was started with."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from harness.equivalence.pair import Outcome, Pair
from harness.hosts.stage import Stage
from harness.isolators.port import Port
from harness.isolators.unshare import Unshare

pytest_plugins = ["stand_ins"]


@pytest.fixture
def ignoring() -> Iterator[None]:
    """This process, as nohup(1) in a shell's background starts it."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGHUP, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def outcomes(stage: Stage, ignored: list[int]) -> dict[str, Outcome]:
    """What comes of the smallest trial, by a program that is executed and by one that is Python."""
    with Pair(stage, {"unshare": Unshare(), "port": Port()}) as pair:
        trial = {"description": {"Path": f"{pair.scratch}/probe"}, "terminal": False, "without": []}
        arguments = ["unshare", "--fork", "--", f"{pair.scratch}/probe"]
        [seen] = pair.outcomes([{**trial, "ignored": ignored, "blocked": [], "arguments": arguments}])
    return seen


def test_signals_that_pytest_ignores_are_not_ignored_in_a_trial(stage: Stage, ignoring: None) -> None:
    """A trial ignores what it says and nothing else."""
    seen = outcomes(stage, [])
    control = outcomes(stage, [signal.SIGHUP, signal.SIGINT])

    for name in seen:
        assert seen[name]["world"]["status"]["SigIgn"] == f"{0:016x}", name
        assert control[name]["world"]["status"]["SigIgn"] == f"{3:016x}", f"control, {name}"
