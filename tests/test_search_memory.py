"""What a search found is what the next one tries first, until kernel and model agree."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis.database import InMemoryExampleDatabase

from harness.hosts.stage import Stage
from harness.notebook import Notebook
from harness.propagation.operations import OPERATIONS, Operation
from harness.propagation.programs import OPENINGS, parse
from harness.propagation.state import State
from harness.search.hold import Search, deviations
from harness.search.kernel import Kernel, worker
from harness.search.memory import Memory

LIMIT = 30.0
RELEASE = "6.1"


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    """This machine's kernel."""
    with Stage(Notebook(), LIMIT) as stage, worker(stage) as running:
        yield Kernel(running)


def test_programs_come_back_as_they_were() -> None:
    """All that is kept for a release comes back, the shortest first, and nothing of another release."""
    database = InMemoryExampleDatabase()
    memory, other = Memory(database, RELEASE), Memory(database, "6.12")
    for opening in OPENINGS:
        memory.keep(opening)
    other.keep(parse("unshare"))

    assert {*map(tuple, memory)} == {*map(tuple, OPENINGS)}
    lengths = [len("; ".join(map(str, program))) for program in memory]
    assert lengths == sorted(lengths)

    memory.forget(OPENINGS[0])
    assert tuple(OPENINGS[0]) not in {*map(tuple, memory)}
    assert [*other] == [parse("unshare")]


def test_nothing_is_kept_without_a_database() -> None:
    """Where hypothesis keeps no examples, neither does a search."""
    memory = Memory()
    memory.keep(parse("unshare"))
    memory.forget(parse("unshare"))

    assert not [*memory]


def test_what_was_found_is_tried_first(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next search begins with what the last one found, and forgets it once kernel and model agree."""
    database = InMemoryExampleDatabase()
    known = deviations(kernel, lambda _: True)

    def broken(state: State, _operation: Operation) -> State:
        return state

    with monkeypatch.context() as patch:
        patch.setitem(OPERATIONS, "make-slave", broken)
        found = [it for it, _ in Search(kernel, known, Memory(database, RELEASE)).run_on(150, seed=1)]
        again = Search(kernel, known, Memory(database, RELEASE))
        assert again.run(150, seed=2) == found[-1]
        assert again.programs == 1

    assert [*Memory(database, RELEASE)]
    mended = Search(kernel, known, Memory(database, RELEASE))
    assert mended.run(1, seed=3) is None, "control: this kernel and the whole model agree"
    assert not [*Memory(database, RELEASE)]
