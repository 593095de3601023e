"""What a search finds is as short as it can be, is what the kernel does again, and takes a bounded time."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from broken_models import Broken, breaking, broken_rules, otherwise, whole

from harness import invariants
from harness.crews import Seen
from harness.errors import LabError
from harness.invariants import Disagreement, Hear, search
from harness.models import MODELS
from harness.models.acts import Act
from harness.models.simpler import playable, simplified
from harness.models.situations import SITUATIONS
from harness.search.effort import Effort

ALL = [(kind, broken) for kind in MODELS for broken in [*broken_rules(kind), *otherwise(kind)]]
LONG = [
    Act("fork", 0, 1),
    Act("get", 1, ("semaphore", 2, "create")),
    Act("get", 0, ("queue", 2, "create")),
    Act("exit", 1),
    Act("get", 0, ("queue", 1, "create")),
    Act("get", 0, ("segment", 0, "")),
    Act("remove", 0, ("queue", 1)),
    Act("unshare", 0, "ipc"),
    Act("remove", 0, ("queue", 1)),
]
"""Two acts of it show that what is not there cannot be removed, with another number; one shows it best."""


def rule(kind: str, name: str, how: str) -> Broken:
    """A rule of a model, broken in one way."""
    return next(it for broken, it in ALL if broken == kind and (it.rule, it.how) == (name, how))


def shortened(kind: str, program: Sequence[Act], patience: float = 60.0) -> Disagreement:
    """What is left of a program that tells the model, as it is now, from the whole one."""
    kernel = invariants.as_kernel(whole(kind), {})
    found = invariants.difference(MODELS[kind], kernel, program, {})
    assert found is not None
    return search.shortest(MODELS[kind], kernel, {}, found, patience)


def test_what_needs_no_other_act_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of nine acts one is left: what it is about stays what it is while others are left out."""
    breaking(monkeypatch, rule("ipc", "may_remove", "ok for EINVAL"))

    assert shortened("ipc", LONG).text.splitlines() == [
        "a# ipcrm --queue-id 1",
        "    # answer: kernel EINVAL, model ok",
    ]


def test_actors_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """What several actors do is done by one where one shows it."""
    breaking(monkeypatch, rule("ipc", "may_get", "EEXIST for found"))
    program = [
        Act("fork", 0, 1),
        Act("fork", 1, 2),
        Act("get", 2, ("queue", 1, "create")),
        Act("get", 1, ("queue", 1, "")),
    ]

    assert {act.actor for act in shortened("ipc", program).acts} == {0}


def test_actors_are_numbered_as_they_come() -> None:
    """Without the first child the second one has its number; what was the first one's is left out."""
    program = [Act("fork", 0, 2), Act("exit", 1), Act("setns", 0, 2), Act("setns", 2, 1), Act("exit", 2)]

    assert playable(MODELS["uts"], program, {}) == [Act("fork", 0, 1), Act("setns", 0, 1), Act("exit", 1)]


def test_nobody_is_made_to_stop_itself() -> None:
    """Where a child becomes its parent, what the one did to the other is left out."""
    program = [Act("fork", 0, 1), Act("kill", 1, (0, "STOP"))]

    assert [Act("kill", 0, (0, "STOP"))] not in [*simplified(MODELS["pid"], program, {})]


@pytest.mark.parametrize("kind", MODELS)
def test_situation_that_differs_is_made_shorter(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found in a named situation is as short as what is drawn: nothing simpler shows it."""
    broken = otherwise(kind)[0]
    breaking(monkeypatch, broken)
    kernel = invariants.as_kernel(whole(kind), {})

    found = search.search(MODELS[kind], kernel, {}, Effort(10, 0), SITUATIONS[kind].values())

    assert found is not None
    simpler = simplified(MODELS[kind], found.acts, {})
    assert not any(invariants.difference(MODELS[kind], kernel, it, {}) for it in simpler if it != found.acts)


def test_no_more_is_tried_when_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any patience the program stays as it was found."""
    breaking(monkeypatch, rule("ipc", "may_remove", "ok for EINVAL"))

    assert shortened("ipc", LONG, patience=0.0).acts == LONG


class Slow:
    """A kernel that ends a process later than in haste is waited for."""

    def __call__(self, program: Sequence[tuple[Act, Sequence[int]]], ends_within: float = 20.0) -> Hear:
        """Nobody has ended where that was not waited for."""
        hear = invariants.as_kernel(whole("uts"), {})(program)
        if ends_within == search.HASTE and any(ends for _, ends in program):
            return lambda: [*hear()[:1], Seen("dead", {"a: late": True})]
        return hear


def test_what_was_seen_in_haste_alone_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that was made so short that it is no disagreement any more is not told as one."""
    breaking(monkeypatch, otherwise("uts")[0])
    program = [Act("fork", 0, 1), Act("exit", 1), Act("unshare", 0, "uts")]
    found = invariants.difference(MODELS["uts"], Slow(), program, {})
    assert found is not None

    assert search.shortest(MODELS["uts"], Slow(), {}, found).acts == program


def test_kernel_that_does_not_do_it_again_is_no_verdict() -> None:
    """A disagreement that is not there when it is asked for again is an error of the lab."""
    found = Disagreement([Act("fork", 0, 1)], "a# sh")
    kernel = invariants.as_kernel(whole("uts"), {})

    with pytest.raises(LabError, match="not when asked again"):
        search.shortest(MODELS["uts"], kernel, {}, found)
