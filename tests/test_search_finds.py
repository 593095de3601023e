"""The search finds by itself what a kernel does otherwise than the model, and makes it short."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Set
from pathlib import Path

import hypothesis
import pytest
from played import Played

from harness.hosts.stage import Stage
from harness.notebook import Notebook
from harness.propagation.programs import parse, replay
from harness.propagation.state import LOST_UNBINDABLE
from harness.search.draw import AT_ONCE
from harness.search.effort import PER_EXAMPLE
from harness.search.hold import WITNESSES, Search, deviations
from harness.search.kernel import Answer, Disagreement, Kernel, disagreement, seen, worker
from harness.search.script import script, told

LIMIT = 30.0
BUDGET = hypothesis.settings.get_profile("nslab").max_examples * PER_EXAMPLE
"""Programs of the search in `pytest experiments/`."""
SEEDS = range(10)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """A host of this machine."""
    with Stage(Notebook(), LIMIT) as made:
        yield made


@pytest.fixture(scope="module")
def kernel(stage: Stage) -> Iterator[Kernel]:
    """This machine's kernel."""
    with worker(stage) as running:
        yield Kernel(running)


def behind(kernel: Kernel) -> set[str]:
    """The known differences of this machine's kernel."""
    return deviations(kernel, lambda _: True)


@pytest.fixture(scope="module")
def losing(kernel: Kernel) -> Kernel:
    """This machine's kernel, where it loses `unbindable`."""
    if LOST_UNBINDABLE not in behind(kernel):
        pytest.skip(
            "this machine's kernel does not lose `unbindable`: run it on one that does, or say "
            "pytest experiments/test_propagation_search.py --kernels=6.12"
        )
    return kernel


@pytest.mark.parametrize("seed", SEEDS)
def test_search_finds_by_itself_what_the_kernel_loses(losing: Kernel, seed: int) -> None:
    """A search that knows of no difference finds that `unbindable` is lost, in five steps."""
    finds_what_is_lost(losing, seed, behind(losing))


@pytest.mark.parametrize("seed", SEEDS)
def test_search_finds_what_any_kernel_would_lose(seed: int) -> None:
    """The same of a kernel that is nothing but the model, less `unbindable`: on whatever machine."""
    finds_what_is_lost(Played(LOST_UNBINDABLE), seed, {LOST_UNBINDABLE})


def test_search_finds_nothing_where_nothing_is_lost() -> None:
    """Control: of a kernel that is the whole model nothing is found."""
    search = Search(Played())

    assert not [*search.run_on(BUDGET, 1)]
    assert BUDGET <= search.drawn < BUDGET + AT_ONCE


def finds_what_is_lost(kernel: Kernel, seed: int, there: Set[str]) -> None:
    """What a search finds is there, `unbindable` is among it, and all of it took no more than the budget."""
    search = Search(kernel)
    found: dict[str, Disagreement] = {}
    for held, difference in search.run_on(BUDGET, seed):
        assert difference in there, told(held, "of this machine")
        found[difference] = held
        if difference == LOST_UNBINDABLE:
            break

    assert search.drawn < BUDGET + AT_ONCE, "of the whole search, whatever else it found first"
    shortest = found[LOST_UNBINDABLE]
    assert len(shortest.steps) <= 5
    assert shortest.steps[-1].operation.kind.startswith("unshare")
    assert "unbindable" in told(shortest, "of this machine")


def run_script(stage: Stage, folder: Path, found: Disagreement) -> str:
    """What the script of a disagreement shows, without an error."""
    file = folder / "propagation.sh"
    file.write_text(script(found, "of this machine"))
    shown = subprocess.run(
        stage.enter(["sh", str(file)], terminal=False),
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    return shown.stdout


def test_script_shows_the_disagreement_alone(kernel: Kernel, stage: Stage, tmp_path: Path) -> None:
    """The script of a disagreement runs without the lab, and shows what the kernel has."""
    steps = replay(WITNESSES[LOST_UNBINDABLE])
    found = disagreement(steps, kernel.run(steps))
    if found is None:
        pytest.skip("this machine's kernel agrees with the model: there is nothing to show")

    ns0, _, ns1 = run_script(stage, tmp_path, found).partition("ns1:")

    assert "unbindable - tmpfs w" in ns0
    assert "- tmpfs w" in ns1
    assert "unbindable" not in ns1


@pytest.mark.parametrize("ended", ["", "; exit"], ids=["lives", "ended"])
def test_script_ends_a_namespace_as_the_program_does(
    kernel: Kernel, stage: Stage, tmp_path: Path, ended: str
) -> None:
    """A slave in a script has its master as long as that one's namespace lives, and no longer."""
    steps = replay(parse(f"mount t /a; make-shared /a; unshare; ns1: make-slave /a{ended}"))
    answers = kernel.run(steps)
    found = Disagreement(steps, answers[-1][0], seen(steps, answers))

    _, _, ns1 = run_script(stage, tmp_path, found).partition("ns1:")

    assert " - tmpfs t " in ns1
    assert ("master:" in ns1) == (not ended)


class Refusing(Played):
    """A kernel that refuses all."""

    def receive(self) -> list[Answer]:
        """An error for each step, and no tables."""
        return [("EIO", {}) for _ in self._sent.popleft()]


@pytest.mark.parametrize("name", WITNESSES)
def test_only_what_a_difference_makes_is_taken_for_it(name: str) -> None:
    """A kernel has a difference where it does with its program what that alone makes of it."""
    assert deviations(Played(name), lambda _: True) == {name}
    assert deviations(Refusing(), lambda _: True) == set()
