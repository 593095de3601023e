"""The models of namespaces, without a kernel: what they say, and that each broken rule would be found."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from broken_models import Broken, breaking, broken_rules, otherwise, whole

from harness import invariants
from harness.invariants import search
from harness.models import MODELS, rules
from harness.models.__main__ import page
from harness.models.acts import Act
from harness.models.deviations import LEVEL_33, LINKED_EARLY
from harness.models.situations import SITUATIONS
from harness.search.draw import hunt
from harness.search.effort import Effort

DEFAULT = Effort(10, 0)
"""What the default profile has a search do."""

ANSWERS: Mapping[str, Mapping[str, list[object]]] = {
    "uts": {
        "a name is set and seen by who joins": ["ok", "ok", "ok", "dead"],
        "root sets the name of a namespace over which it has no capability": ["ok", "EPERM", "ok"],
        "a namespace that is kept open is inherited": ["ok", "ok", "ok", "ok", "ok"],
    },
    "ipc": {
        "what is there is not made, and what is not there is not found": [0, "EEXIST", "ENOENT", "ENOENT"],
        "a removed segment lives until the last one detaches": [
            0,
            "ok",
            "ok",
            "ok",
            "ENOENT",
            "ok",
            "ok",
            "dead",
        ],
        "attached memory is shared across namespaces": [0, "ok", "ok", "ok", "ok"],
        "attached memory outlives the namespace that it was made in": [
            0,
            "ok",
            "ok",
            "ok",
            "ok",
            "ok",
            "ok",
            "ENOENT",
            "ok",
            "dead",
        ],
        "a namespace outlives its members where it is kept open": [
            "ok",
            "ok",
            "ok",
            "ENOENT",
            "ok",
            "EEXIST",
        ],
    },
    "pid": {
        "who has its children elsewhere makes no namespace": ["ok", "EINVAL"],
        "nobody is born after the init": ["ok", "ok", "ok", "ENOMEM"],
        "a subreaper adopts, and its children do not": ["ok", "ok", "ok", "ok", "dead"],
        "the init in the parent's namespace adopts": ["ok", "ok", "ok", "ok", "dead"],
        "an init is ended from outside alone": ["ok", "ok", "ok", "ok", "EINVAL", "ok", "ok"],
        "thirty-two levels and no more": ["ENOSPC", "ok"],
        "an init is stopped from outside alone, and continued from inside": ["ok"] * 6,
        "what is sent to who is stopped comes when it goes on, and once": ["ok"] * 6,
        "who is stopped ends by what waited for it": ["ok"] * 5,
        "who is stopped is killed and continued at once": ["ok"] * 7,
    },
    "groups": {
        "groups are set once they are mapped, and no more denied": [
            "ok",
            "EPERM",
            "ok",
            "ok",
            "EINVAL",
            "EPERM",
            "ok",
        ],
        "one's own group is mapped without capabilities, at the price of setgroups": [
            *("ok", "ok", "EPERM"),
            *("ok", "EPERM"),
            *("EPERM", "ok", "EPERM", "EPERM"),
        ],
        "what is denied is denied below": [
            *("ok", "ok", "ok", "ok", "EPERM"),
            *("EPERM", "EPERM", "ok", "EPERM"),
        ],
        "maps are applied one after the other": ["ok", "ok", "ok", "ok", "ok"],
        "who has no group makes no namespace": ["ok", "EPERM", "ok", "ok", "EPERM", "ok", "EINVAL"],
        "a group that is not mapped is seen as the overflow group": [
            *("ok", "ok", "ok", "ok", "ok", "EINVAL"),
            *("ok", "ok", "EPERM", "EACCES", "ok"),
        ],
    },
    "user": {
        "who made a namespace is capable there": ["ok", "ok", "EPERM", "ok", "ok"],
        "who has no capabilities stays who it is, and so do its children": [
            *("ok", "ok", "EPERM", "ok", "EPERM"),
        ],
        "a map is written once, and not from afar": ["ok", "ok", "ok", "EPERM", "ok", "EPERM"],
        "a range outside is within one line of the parent's map": ["ok", "ok", "ok", "EPERM", "ok"],
        "root without capabilities cannot hand on root": ["ok", "ok", "EPERM"],
        "a map is written by whom the files of the process obey": ["ok", "ok", "ok", "EACCES", "ok", "ok"],
        "thirty-two levels and no more": ["ok", "ENOSPC"],
        "below the deepest level no namespace is made": [
            "ok",
            "ok",
            "ENOSPC",
            "ENOSPC",
            "ENOSPC",
            "EPERM",
            "ok",
        ],
        "files belong to whom a map makes of their owners": [
            "ok",
            "ok",
            "ok",
            "ok",
            "EPERM",
            "ok",
            "ok",
            "ok",
            "EINVAL",
        ],
    },
}
"""What the manual pages have a kernel answer, act by act, in each situation that a search plays first."""


@pytest.mark.parametrize("kind", MODELS)
def test_situations_are_answered_as_the_pages_say(kind: str) -> None:
    """In each named situation the model gives the answers that the manual pages give."""
    answers = {
        name: [step.seen.answer for step in invariants.predicted(MODELS[kind], acts, {})]
        for name, acts in SITUATIONS[kind].items()
    }

    assert answers == ANSWERS[kind]


def test_page_is_up_to_date() -> None:
    """The page in docs/ has the rules of the models."""
    written = Path(__file__).parent.parent / "docs" / "models.md"

    assert written.read_text() == page(), "run: python -m harness.models > docs/models.md"


LAST_VIEW = [
    ("uts", "a name is set and seen by who joins", {"a: hostname": "red", "a: domain name": "start.example"}),
    ("ipc", "attached memory is shared across namespaces", {"a: memory": 2, "a: segments": []}),
    ("ipc", "attached memory outlives the namespace that it was made in", {"b: memory": 1}),
    ("pid", "a subreaper adopts, and its children do not", {"d: its parent": "a"}),
    (
        "pid",
        "the init in the parent's namespace adopts",
        {"d: its parent": 0, "c: sees a": 0, "a: sees c": "c"},
    ),
    (
        "groups",
        "a group that is not mapped is seen as the overflow group",
        {"a: group of b": 1000, "c: group of b": 65534, "c: further groups of b": [0, 65534]},
    ),
    ("user", "who made a namespace is capable there", {"a: user ID of b": 0, "a: capable": True}),
    ("user", "a map is written once, and not from afar", {"c: uid_map of b": [[0, 0, 1001]]}),
    ("user", "files belong to whom a map makes of their owners", {"b: owner of one": 65534}),
]


@pytest.mark.parametrize(("kind", "name", "expected"), LAST_VIEW)
def test_situations_end_with_the_view_that_the_pages_describe(
    kind: str, name: str, expected: dict[str, Any]
) -> None:
    """After a named situation everybody sees what the manual pages say."""
    *_, last = invariants.predicted(MODELS[kind], SITUATIONS[kind][name], {})

    assert {key: last.seen.view.get(key) for key in expected} == expected


BASES: Mapping[str, list[dict[str, Any]]] = {
    "uts": [{}, {"root": False}],
    "ipc": [{}],
    "pid": [{}, {"known": {LINKED_EARLY}}],
    "user": [{}, {"ids": [[0, 1]], "room": 32, "known": {LEVEL_33}}],
    "groups": [{}, {"ids": [[0, 1]], "allowed": False, "groups": [65534, 0]}],
}
"""Hosts as a crew describes them: root's, and an ordinary user's where that is another one to the model."""


@functools.cache
def programs(kind: str) -> list[list[Any]]:
    """What a search plays by default: the situations, then what hypothesis draws."""
    played: list[list[Any]] = [*SITUATIONS[kind].values()]

    def noted(draws: list[Any]) -> Callable[[], bool]:
        played.append(draws)
        return lambda: False

    hunt(search.drawn(MODELS[kind]), noted, DEFAULT.programs(search.PROGRAMS), DEFAULT.seed)
    return played


@pytest.mark.parametrize("kind", MODELS)
def test_search_reaches_each_answer_of_each_rule(kind: str) -> None:
    """The programs of a default run have every rule of the model give each of its answers."""
    rules.reached.clear()
    for program in programs(kind):
        assert all([*invariants.predicted(MODELS[kind], program, base)] for base in BASES[kind])

    assert [row for row in rules.coverage(MODELS[kind]) if row[2] == 0] == []


@pytest.mark.parametrize("kind", MODELS)
def test_search_finds_each_broken_rule(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held against a kernel that follows the model, the same model with any one rule broken is found."""
    missed = []
    for broken in [*broken_rules(kind), *otherwise(kind)]:
        with monkeypatch.context() as patch:
            breaking(patch, broken)
            if not any(told_apart(kind, program) for program in programs(kind)):
                missed.append(f"{broken.rule}: {broken.how}")

    assert missed == []


def told_apart(kind: str, program: list[Act]) -> bool:
    """Whether a program shows the model, as it is now, to be another than the whole one."""
    model, kernel = MODELS[kind], whole(kind)
    try:
        return any(
            invariants.difference(model, invariants.as_kernel(kernel, base), program, base)
            for base in BASES[kind]
        )
    except (AssertionError, KeyError):
        return True  # it contradicts itself


@pytest.mark.parametrize("kind", MODELS)
def test_each_rule_is_broken_somehow(kind: str) -> None:
    """No rule of a model is left out when they are broken one by one."""
    broken: list[Broken] = [*broken_rules(kind), *otherwise(kind)]
    ruled = {rule.name for rule in rules.rules_of(MODELS[kind])}

    assert ruled - {one.rule for one in broken} == set()


@pytest.mark.parametrize("kind", MODELS)
def test_whole_model_agrees_with_itself(kind: str) -> None:
    """Control: the unbroken model is told apart from itself by no program."""
    assert not any(told_apart(kind, program) for program in programs(kind))


def test_disagreement_is_printed_as_the_shortest_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disagreement is told as shell lines, with what kernel and model say of the last."""
    breaking(monkeypatch, otherwise("uts")[0])

    found = search.search(MODELS["uts"], invariants.as_kernel(whole("uts"), {}), {}, DEFAULT)

    assert found is not None
    assert found.text.splitlines() == [
        "a# exec unshare --uts sh",
        "    # a: hostname: kernel 'start', model ''",
        "    # a: domain name: kernel 'start.example', model ''",
    ]
