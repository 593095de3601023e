"""Known differences of kernels from the models: told as known, with the search going on behind them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from broken_models import breaking, otherwise, whole
from hypothesis.database import InMemoryExampleDatabase

from harness import invariants, known
from harness.invariants import Begin, search
from harness.invariants.memory import Acts
from harness.invariants.search import deviations, having, run_on
from harness.models import MODELS
from harness.models.acts import Act
from harness.models.deviations import LEVEL_33, LINKED_EARLY, WITNESSES
from harness.models.simpler import simplified
from harness.search.effort import Effort

EFFORT = Effort(10, 0)
ALL = [(kind, name) for kind, switches in WITNESSES.items() for name in switches]


def kernel(kind: str, *differences: str) -> Begin:
    """A kernel that follows the pages but for these differences."""
    return invariants.as_kernel(whole(kind), having({}, {*differences}))


def found(kind: str, differences: Iterable[str], behind: Iterable[str] = (), **options: Any) -> list[str]:
    """The differences, known by the model or not (empty), that a search finds."""
    begin = kernel(kind, *differences)
    return [it.difference for it in run_on(kind, begin, {}, EFFORT, known={*behind}, **options)]


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_search_finds_by_itself_and_explains(kind: str, name: str) -> None:
    """A search that knows of no difference finds it, names it and ends where nothing else differs."""
    assert found(kind, [name]) == [name]


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_search_passes_over_what_is_known(kind: str, name: str) -> None:
    """A difference that the search begins behind is not found; where the kernel is without it, that is."""
    assert found(kind, [name], behind=[name]) == []
    assert found(kind, [], behind=[name]) == [""]


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_search_goes_on_behind(kind: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken rule is found behind a known difference; then nothing explains it, and the search ends."""
    breaking(monkeypatch, otherwise(kind)[0])

    assert found(kind, [name], behind=[name]) == [""]


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_what_is_found_is_kept_until_kernel_and_model_agree(kind: str, name: str) -> None:
    """A search that draws nothing finds it again, though the last one ended in agreement behind it."""
    memory = Acts(InMemoryExampleDatabase(), kind, MODELS[kind], {})
    found(kind, [name], memory=memory)

    first = next(run_on(kind, kernel(kind, name), {}, Effort(0, 0), memory))
    assert first.difference == name
    assert [*memory] == [first.disagreement.acts]

    assert found(kind, [], memory=memory) == []
    assert not [*memory]


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_deviation_has_to_be_known_of_the_build(kind: str, name: str) -> None:
    """Only what the kernel shows is asked for, and only what is known of it is passed over."""
    assert deviations(kind, kernel(kind, name), {}, lambda it: it == name) == {name}
    assert deviations(kind, kernel(kind, name), {}, lambda it: it != name) == set()
    assert deviations(kind, kernel(kind), {}, lambda _: True) == set()


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_witness_is_as_short_as_can_be(kind: str, name: str) -> None:
    """Each difference's witness shows it, and no simpler program does."""
    witness, begin = WITNESSES[kind][name], kernel(kind, name)

    assert invariants.difference(MODELS[kind], begin, witness, {})
    simpler = [it for it in simplified(MODELS[kind], witness, {}) if it != witness]
    assert not any(invariants.difference(MODELS[kind], begin, it, {}) for it in simpler)


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_difference_has_an_entry(kind: str, name: str) -> None:
    """Each switch of a model is a rule of the known-difference file: without one it would never be on."""
    assert any(
        known.explains(entry, "rules", f"{kind}.{name}", value=True) for entry in known.read().differences
    )


@pytest.mark.parametrize(
    ("base", "levels"),
    [({}, 32), ({"known": {LEVEL_33}}, 33), ({"room": 5}, 5), ({"room": 5, "known": {LEVEL_33}}, 5)],
)
def test_user_namespaces_nest_as_deep_as_the_page_says(base: dict[str, Any], levels: int) -> None:
    """32 levels fit below the initial one; below another one, as many as its host has found to fit."""
    answers = [
        step.seen.answer
        for depth in (levels, levels + 1)
        for step in invariants.predicted(MODELS["user"], [Act("descend", 0, depth)], base)
    ]

    assert answers == ["ok", "ENOSPC"]


def test_link_before_the_first_process_is_the_differences_alone() -> None:
    """The page has no link before the first child; only the known difference has one."""
    shown = [
        "a: pid_for_children namespace" in [*invariants.predicted(MODELS["pid"], program, base)][-1].seen.view
        for program in ([Act("unshare", 0, "pid")], [Act("unshare", 0, "pid"), Act("fork", 0, 1)])
        for base in ({}, {"known": {LINKED_EARLY}})
    ]

    assert shown == [False, True, True, True]
    assert search.having({}, set()) == {}
