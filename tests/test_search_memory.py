"""What a search found is what the next one tries first, until kernel and model agree."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest
from hypothesis.database import InMemoryExampleDatabase
from played import Played

from harness.hosts.stage import Stage
from harness.notebook import Notebook
from harness.propagation.operations import OPERATIONS, Operation
from harness.propagation.programs import OPENINGS, WEIGHTS, parse
from harness.propagation.state import LOST_UNBINDABLE, State
from harness.search import differential
from harness.search.beyond import BEGINNINGS
from harness.search.differential import KINDS
from harness.search.effort import PER_EXAMPLE
from harness.search.hold import WITNESSES, Search, deviations
from harness.search.kernel import Kernel, worker
from harness.search.memory import Memory

LIMIT = 30.0
BUDGET = hypothesis.settings.get_profile("nslab").max_examples * PER_EXAMPLE
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
    openings = [opening for opening in OPENINGS if opening]
    for opening in openings:
        memory.keep(opening)
    other.keep(parse("unshare"))

    assert {*map(tuple, memory)} == {*openings}
    lengths = [len(program) for program in memory]
    assert lengths == sorted(lengths)

    memory.forget(openings[0])
    assert tuple(openings[0]) not in {*map(tuple, memory)}
    assert [*other] == [parse("unshare")]


def test_operations_beyond_the_model_come_back() -> None:
    """A search on two hosts keeps what the model has no notion of; its own search takes none of it."""
    database = InMemoryExampleDatabase()
    beyond, own = Memory(database, RELEASE, KINDS), Memory(database, RELEASE)
    for beginning in filter(None, BEGINNINGS):
        beyond.keep(beginning)
    kept = [*beyond]

    assert {*map(tuple, kept)} == {*filter(None, BEGINNINGS)}
    assert [*own] == [it for it in kept if all(operation.kind in WEIGHTS for operation in it)]


@pytest.mark.parametrize(
    "damage",
    [
        b"\xff\xfe",
        b"",
        b"[]",
        b"ns0: make-shared /a",
        b'[["make-shared",0,"/a",""]',
        b'[["make-shared","0","/a",""]]',
        b'[["bend",0,"/a",""]]',
        b'[["make-shared",1,"/a",""]]',
        b'[["umount",0,"/../../etc",""]]',
    ],
)
def test_what_is_no_program_is_forgotten(damage: bytes) -> None:
    """What is damaged, foreign or of another version is passed over and gone; what is beside it stays."""
    database = InMemoryExampleDatabase()
    memory = Memory(database, RELEASE)
    memory.keep(parse("make-shared /a"))
    ((key, kept),) = database.data.items()
    database.save(key, damage)

    assert [*memory] == [parse("make-shared /a")]
    assert kept == {*database.fetch(key)}
    assert damage not in kept


@pytest.mark.parametrize("says", [False, True], ids=["silent", "raises"])
def test_what_cannot_be_kept_is_told(says: bool) -> None:
    """Where the database can't be written, a line says so, and nothing else breaks."""

    class Full(InMemoryExampleDatabase):
        def save(self, key: bytes, value: bytes) -> None:
            if says:
                raise OSError("full")

    memory, whole = Memory(Full(), RELEASE), Memory(InMemoryExampleDatabase(), RELEASE)
    for each in (memory, whole):
        each.keep(parse("unshare"))

    assert not whole.trouble
    assert len(memory.trouble) == 1
    assert "not kept" in memory.trouble[0]


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
        found = [it for it, _ in Search(kernel, known, Memory(database, RELEASE)).run_on(BUDGET, seed=1)]
        again = Search(kernel, known, Memory(database, RELEASE))
        assert again.run(BUDGET, seed=2) == found[-1]
        assert again.programs == 1

    assert [*Memory(database, RELEASE)]
    mended = Search(kernel, known, Memory(database, RELEASE))
    assert mended.run(1, seed=3) is None, "control: this kernel and the whole model agree"
    assert not [*Memory(database, RELEASE)]


def test_what_a_difference_explains_is_tried_first_too() -> None:
    """What a search goes on behind is found by the next one's first program, as long as it is not known."""
    database = InMemoryExampleDatabase()
    losing = Played(LOST_UNBINDABLE)
    Memory(database, RELEASE).keep(WITNESSES[LOST_UNBINDABLE])

    for _ in range(2):
        search = Search(losing, memory=Memory(database, RELEASE))
        (found,) = search.run_on(BUDGET)
        assert found.difference == LOST_UNBINDABLE
        assert [*Memory(database, RELEASE)] == [WITNESSES[LOST_UNBINDABLE]]

    assert Search(losing, {LOST_UNBINDABLE}, Memory(database, RELEASE)).run(1) is None
    assert not [*Memory(database, RELEASE)]


def test_what_two_hosts_did_otherwise_is_tried_first() -> None:
    """Where hosts were found to differ, the next search begins; it is forgotten once they do the same."""
    database = InMemoryExampleDatabase()
    pair = Played(), Played(LOST_UNBINDABLE)
    memory = Memory(database, RELEASE, KINDS)
    found = differential.Search(pair, memory=memory).run(BUDGET, seed=1)
    again = differential.Search(pair, memory=memory)

    assert found
    assert again.run(BUDGET, seed=2) == found
    assert again.programs == 1
    assert differential.Search((Played(), Played()), memory=memory).run(1) is None
    assert not [*memory]
