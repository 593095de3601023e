"""A search hears the verdict on a program when the next ones have begun, and misses and mixes up none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import strategies as st

from harness.errors import LabError
from harness.search.draw import AT_ONCE, Verdict, hunt

_BYTES = 6
NUMBERS = st.binary(min_size=AT_ONCE * _BYTES, max_size=AT_ONCE * _BYTES).map(
    lambda data: [int.from_bytes(data[n : n + _BYTES], "big") for n in range(0, len(data), _BYTES)]
)
EXAMPLES = 15 * AT_ONCE


class Host:
    """What tries numbers: those that differ are told by a function of how many were asked and the number."""

    def __init__(self, differs: Callable[[int, int], bool]) -> None:
        """Nothing was tried."""
        self._differs = differs
        self.asked: list[int] = []
        self.heard: list[int] = []
        self.ahead = 0

    def ask(self, number: int) -> Verdict:
        """Begin to try a number."""
        place = len(self.asked)
        self.asked.append(number)

        def verdict() -> bool:
            self.heard.append(number)
            self.ahead = max(self.ahead, len(self.asked) - place)
            return self._differs(place, number)

        return verdict


class Twice(Host):
    """What tries each number twice: the first verdict is another one, that of the second."""

    def ask(self, number: int) -> Verdict:
        """Begin to try a number for the first time."""
        first = super().ask(number)

        def verdict() -> Verdict:
            first()
            return super(Twice, self).ask(number)

        return verdict


def search(host: Host, ahead: int = 1) -> int | None:
    """What is found by this seed."""
    return hunt(NUMBERS, host.ask, EXAMPLES, 1, ahead)


@pytest.mark.parametrize("ahead", [1, 5, EXAMPLES])
def test_each_program_is_heard_of_while_the_next_ones_run(ahead: int) -> None:
    """Where none differs, every program is tried and heard of, so many behind the ones before."""
    host = Host(lambda place, number: False)

    assert search(host, ahead) is None
    assert host.asked == host.heard
    assert (len(host.asked), host.ahead) == (EXAMPLES, min(ahead + 1, EXAMPLES))


@pytest.mark.parametrize("ahead", [1, 5])
@pytest.mark.parametrize("place", [0, 7, EXAMPLES - 1])
def test_program_that_differs_is_found(place: int, ahead: int) -> None:
    """The first, any, and the last program are found to differ, and nothing is left unheard."""
    every = Host(lambda place, number: False)
    search(every)
    host = Host(lambda _, number: number == every.asked[place])

    assert search(host, ahead) == every.asked[place]
    assert host.asked == host.heard


@pytest.mark.parametrize("ahead", [1, 5])
def test_first_of_those_that_differ_is_found(ahead: int) -> None:
    """What runs already when a program is found to differ is heard of too, and changes nothing."""
    host = Host(lambda place, number: place >= 9)

    assert search(host, ahead) == host.asked[9]
    assert host.asked == host.heard
    assert len(host.asked) == 10 + ahead


@pytest.mark.parametrize("ahead", [0, 1, 5])
def test_verdict_may_come_later(ahead: int) -> None:
    """What is tried once more is heard of in its turn, by the first verdict that is one."""
    every = Twice(lambda place, number: False)
    assert search(every, ahead) is None
    assert every.asked == every.heard
    assert len(every.asked) == 2 * EXAMPLES

    last = every.asked[-1]
    host = Twice(lambda _, number: number == last)
    assert search(host, ahead) == last
    assert host.asked == host.heard


@pytest.mark.parametrize("ahead", [1, 5])
def test_worker_that_breaks_is_no_verdict(ahead: int) -> None:
    """An error of the lab ends the search as such, and nothing is tried after it."""

    def broken(place: int, number: int) -> bool:
        if place == 3:
            raise LabError("broken")
        return False

    host = Host(broken)
    with pytest.raises(LabError, match="broken"):
        search(host, ahead)
    assert len(host.asked) == 4 + ahead
