"""Which namespaces does each set of flags make?

Rule (namespaces(7), clone(2)): each CLONE_NEW* flag puts the child in a new namespace of that kind; of
every other kind it stays in its parent's.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.hosts.base import LabHost
from harness.isolate import Isolate
from harness.namespaces import Identity, Kind

SUBSETS = [frozenset(subset) for size in range(len(Kind) + 1) for subset in combinations(Kind, size)]


NAMESPACES = "readlink /proc/self/ns/*"
"""Tells the number of its namespace of each kind."""


def numbers(links: Iterable[str]) -> dict[str, int]:
    """The number of the namespace of each kind, from the lines of readlink(1)."""
    return dict(map(Identity.parse, links))


@pytest.fixture
def outside(host: LabHost) -> Iterator[dict[str, int]]:
    """The number of each namespace of the host, which stays meanwhile: the dead ones' are given again."""
    pid, *links = host.check_output(f"tail -f /dev/null >/dev/null 2>&1 & echo $!; {NAMESPACES}").splitlines()
    yield numbers(links)
    host.check_output("kill %s", pid)


def test_exactly_the_named_namespaces_are_new(
    host: LabHost, isolate: Isolate, outside: dict[str, int]
) -> None:
    """Of the sixteen sets of the document's four flags, each makes exactly the namespaces that it names."""

    @settings(max_examples=len(SUBSETS))
    @given(st.sampled_from(SUBSETS))
    def search(wanted: frozenset[Kind]) -> None:
        # Without a terminal: a login for each would be half of what this costs.
        command = shlex.join(isolate.command(wanted, "sh", "-c", NAMESPACES))
        inside = numbers(host.check_output(command).splitlines())

        assert inside.keys() == outside.keys()
        assert {kind for kind in inside if inside[kind] != outside[kind]} == {kind.value for kind in wanted}

    search()
