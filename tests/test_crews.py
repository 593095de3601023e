"""Crews on a host: what they see refutes a broken model, and what breaks them is never a verdict."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from broken_models import breaking, otherwise

from harness import crews
from harness.crews import Crew
from harness.errors import LabError
from harness.hosts.stage import Stage
from harness.invariants import search
from harness.models import MODELS
from harness.models.acts import Act
from harness.models.situations import SITUATIONS
from harness.notebook import Notebook
from harness.search.effort import Effort

MUCH = Effort(100, 0)
"""On an ordinary user's stage, whose first namespace maps one ID, fewer programs tell of a rule."""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """A host of this machine."""
    with Stage(Notebook()) as made:
        yield made


@pytest.mark.parametrize("kind", MODELS)
def test_kernel_refutes_a_broken_model(stage: Stage, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held against this kernel, a model with a broken rule is found to disagree."""
    broken = otherwise(kind)[0]
    breaking(monkeypatch, broken)

    with Crew(stage, kind) as crew:
        found = search.search(MODELS[kind], crew.begin, crew.base, MUCH, SITUATIONS[kind].values())

    assert found is not None
    assert "kernel" in found.text.splitlines()[-1]


def test_actor_that_breaks_is_no_verdict(stage: Stage) -> None:
    """An act that an actor does not know is an error of the lab, which says so."""
    with Crew(stage, "uts") as crew, pytest.raises(LabError, match=r"broke: .*KeyError"):
        crew.play([(Act("no such act", 0), [])])


def test_actor_that_ends_is_seen_no_more(stage: Stage) -> None:
    """Who has ended is in nobody's view any more; until then it is."""
    with Crew(stage, "pid") as crew:
        seen = crew.play([(Act("fork", 0, 1), []), (Act("exit", 1), [1])])

    assert [sorted(key for key in one.view if key.endswith("its parent")) for one in seen] == [
        ["a: its parent"],
        ["a: its parent", "b: its parent"],
        ["a: its parent"],
    ]


def test_numbers_of_namespaces_side_by_side_are_told_apart(stage: Stage) -> None:
    """Whose parent has a number that another process has in a namespace just as deep still has its own."""
    births = [("nest", 0, (1, 2)), ("nest", 0, (2, 2)), ("fork", 2, 3), ("fork", 1, 4), ("fork", 3, 5)]
    with Crew(stage, "pid") as crew:
        seen = crew.play([(Act(*birth), []) for birth in births])

    assert seen[-1].view["f: its parent"] == "d"
    assert seen[-1].view["f: sees e"] == 0


def test_actor_that_is_stopped_sees_nothing_until_it_is_continued(stage: Stage) -> None:
    """Who is stopped is told to be so and sees nothing, until it is continued."""
    program: list[tuple[Act, list[int]]] = [
        (Act("fork", 0, 1), []),
        (Act("kill", 0, (1, "STOP")), []),
        (Act("kill", 0, (1, "CONT")), []),
    ]
    with Crew(stage, "pid") as crew:
        seen = crew.play([*program, (Act("kill", 1, (0, "STOP")), []), (Act("exit", 0), [])])

    told = [{key: value for key, value in one.view.items() if "b: s" in key} for one in seen]
    assert told == [
        {},
        {"b: signals handled": 0, "b: sees a": "a"},
        {"b: stopped": True},
        {"b: signals handled": 0, "b: sees a": "a"},
        # The first is stopped now: it does nothing more, and is seen by nobody.
        {"b: signals handled": 0},
    ]


def test_program_ends_where_somebody_lives_on_who_should_have_ended(stage: Stage) -> None:
    """What follows has no sense any more; the view tells that there still is somebody."""
    program: list[tuple[Act, list[int]]] = [
        (Act("fork", 0, 1), []),
        (Act("sethostname", 0, "red"), [1]),
        (Act("sethostname", 0, "blue"), []),
    ]
    with Crew(stage, "uts") as crew:
        seen = crew.begin(program, ends_within=0.1)()

    assert [one.view["a: hostname"] for one in seen] == ["start", "start", "red"]
    assert "b: hostname" in seen[-1].view


def test_program_ends_where_somebody_would_be_born_again(stage: Stage) -> None:
    """A child of which the model told that it could not be born is not taken for another one."""
    with Crew(stage, "uts") as crew:
        seen = crew.play([(Act("fork", 0, 1), []), (Act("fork", 0, 1), []), (Act("exit", 0), [0])])

    assert len(seen) == 2


def test_director_that_ends_is_no_verdict(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A director that ends before it has answered is an error of the lab."""
    monkeypatch.setattr(crews, "_APART", ["true"])

    with pytest.raises(
        LabError, match="the crew for uts namespaces on stage broke: 'its director has ended'"
    ):
        Crew(stage, "uts")


def test_director_refuses_to_share_its_pid_namespace(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not PID 1, the director ends nothing but itself."""
    monkeypatch.setattr(crews, "_APART", ["env"])

    with pytest.raises(LabError, match="its director has ended"):
        Crew(stage, "uts")


def test_machine_keeps_its_name(stage: Stage) -> None:
    """What actors set in the first namespace of a program reaches neither the host nor the next program."""
    before = stage.check_output("hostname")
    with Crew(stage, "uts") as crew:
        first = crew.play([(Act("sethostname", 0, "red"), [])])
        second = crew.play([])

    assert first[-1].view["a: hostname"] == "red"
    assert second[-1].view["a: hostname"] == "start"
    assert stage.check_output("hostname") == before
