"""What the search of a model of namespaces found is tried first by the next one, until both agree."""

from __future__ import annotations

import pytest
from broken_models import breaking, otherwise, whole
from hypothesis.database import ExampleDatabase, InMemoryExampleDatabase

from harness import invariants
from harness.invariants import search
from harness.invariants.memory import Acts
from harness.models import MODELS
from harness.models.acts import Act
from harness.models.situations import SITUATIONS
from harness.search.effort import Effort

EFFORT, NONE = Effort(10, 0), Effort(0, 0)


def memory_of(kind: str, database: ExampleDatabase) -> Acts:
    """What is kept of a model."""
    return Acts(database, kind, MODELS[kind], {})


@pytest.mark.parametrize("kind", MODELS)
def test_programs_come_back_as_they_were(kind: str) -> None:
    """Acts with any argument come back, as far as the model can tell what becomes of them."""
    memory = memory_of(kind, InMemoryExampleDatabase())
    situations = [
        program
        for program in SITUATIONS[kind].values()
        if len([*invariants.predicted(MODELS[kind], program, {})]) == len(program)
    ]
    for program in situations:
        memory.keep(program)

    assert situations
    assert sorted(map(repr, memory)) == sorted(map(repr, situations))


@pytest.mark.parametrize(
    "damage",
    [
        b"\xff\xfe",
        b"[]",
        b'[["exit",0,',
        b'[["bend",0,null]]',
        b'[["exit","0",null]]',
        b'[["exit",4,null]]',
        b'[["exit",0,null],["exit",0,null]]',
        b'[["setns",0,4]]',
        b'[["sethostname",0,{}]]',
        b'[["clone",0,7]]',
    ],
)
def test_what_is_no_program_is_forgotten(damage: bytes) -> None:
    """What is damaged, foreign or of another version is passed over and gone; what is beside it stays."""
    database = InMemoryExampleDatabase()
    memory = memory_of("uts", database)
    memory.keep([Act("exit", 0)])
    ((key, kept),) = database.data.items()
    database.save(key, damage)

    assert [*memory] == [[Act("exit", 0)]]
    assert kept == {*database.fetch(key)}
    assert damage not in kept


@pytest.mark.parametrize("kind", MODELS)
def test_what_was_found_is_tried_first(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that draws nothing finds what the last one found, and forgets it when the rule is mended."""
    model, memory = MODELS[kind], memory_of(kind, InMemoryExampleDatabase())
    kernel = invariants.as_kernel(whole(kind), {})

    with monkeypatch.context() as patch:
        breaking(patch, otherwise(kind)[0])
        assert search.search(model, kernel, {}, NONE, memory=memory) is None, "control: it draws nothing"
        found = search.search(model, kernel, {}, EFFORT, SITUATIONS[kind].values(), memory)
        assert found
        assert [*memory] == [found.acts]
        assert search.search(model, kernel, {}, NONE, memory=memory) == found

    assert search.search(model, kernel, {}, NONE, memory=memory) is None
    assert not [*memory]
