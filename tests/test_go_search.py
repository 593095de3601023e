"""The search for a description that two isolators start differently, with isolators that are made up."""

from __future__ import annotations

import sys
from collections.abc import Callable

import msgspec
from broken_port import BrokenPort

from harness.equivalence.pair import Outcome, Pair
from harness.equivalence.search import BATCH, ROUND, Search
from harness.equivalence.tally import Trial
from harness.hosts.stage import Stage
from harness.isolators.port import Port
from harness.notebook import Notebook


class MadeUp:
    """Two isolators whose worlds differ where ``odd`` says so; keeps what it was asked to try."""

    def __init__(self, odd: Callable[[Trial], bool]) -> None:
        """Differ where ``odd`` holds."""
        self.odd = odd
        self.batches: list[list[Trial]] = []

    def __call__(self, batch: list[Trial]) -> list[dict[str, Outcome]]:
        """What comes of a batch."""
        self.batches.append(batch)
        return [{"one": {"world": 1}, "other": {"world": 2 if self.odd(trial) else 1}} for trial in batch]


def attributes(trial: Trial) -> dict[str, object]:
    """What of SysProcAttr a trial asks for."""
    return dict(trial["description"].get("SysProcAttr", {}))


def test_each_trial_is_another_one() -> None:
    """As many trials as were asked for are tried, none of them twice, and many at once."""
    made_up = MadeUp(lambda _trial: False)
    search = Search(made_up, ("one", "other"), "/scratch")

    assert search.find(200) is None

    tried = [msgspec.json.encode(trial) for batch in made_up.batches for trial in batch]
    assert 200 <= search.tried == len(tried) == len({*tried}) < 200 + BATCH
    assert len(made_up.batches) < len(tried) / 4


def test_seed_decides_what_is_tried() -> None:
    """The same seed leads to the same trials, in several rounds too; another one to others."""
    one, again, other = (MadeUp(lambda _trial: False) for _ in range(3))
    for made_up, seed in ((one, 5), (again, 5), (other, "a word")):
        Search(made_up, ("one", "other"), "/scratch").find(ROUND + BATCH, seed)

    assert one.batches == again.batches
    assert one.batches[:2] != other.batches[:2]


def test_nothing_is_tried_when_time_is_over() -> None:
    """A search that has no end ends with its time."""
    made_up = MadeUp(lambda _trial: False)

    assert (
        Search(made_up, ("one", "other"), "/scratch").find(
            sys.maxsize, over=lambda: len(made_up.batches) > 60
        )
        is None
    )
    assert ROUND / BATCH < len(made_up.batches) < 2 * ROUND / BATCH


def test_a_difference_shrinks_to_what_makes_it() -> None:
    """Of the fields of a trial that differs those are left without which it would not."""
    search = Search(MadeUp(lambda trial: "Setsid" in attributes(trial)), ("one", "other"), "/scratch")

    found = search.find(200)

    assert found is not None
    assert found.lines == ["world: 1 | 2"]
    assert found.trial["fields"] == ["Setsid"]
    assert attributes(found.trial) == {"Setsid": True}


def test_a_difference_ends_the_search() -> None:
    """No batch is tried behind one in which a trial differs; unshrunk, it is as it was drawn."""
    made_up = MadeUp(lambda trial: "Chroot" in attributes(trial))
    search = Search(made_up, ("one", "other"), "/scratch")

    found = search.find(4000, shrink=False)

    assert found is not None
    assert found.trial in made_up.batches[-1]
    assert not any(made_up.odd(trial) for batch in made_up.batches[:-1] for trial in batch)


def test_what_starts_them_ends_by_itself() -> None:
    """Where nothing is left to try, the starters of both isolators end, and need not be killed."""
    with Stage(Notebook()) as stage:
        pair = Pair(stage, {"one": Port(), "other": BrokenPort("steps", "\n")})

        pair.close()

        assert pair.status == 0
