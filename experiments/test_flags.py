"""Which namespaces does each set of flags make?

Rule (namespaces(7), clone(2)): each CLONE_NEW* flag puts the child in a new namespace of that kind; of
every other kind it stays in its parent's.
"""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.hosts.base import LabHost
from harness.isolate import Isolate
from harness.namespaces import Identity, Kind
from harness.shell import Shell

SUBSETS = [frozenset(subset) for size in range(len(Kind) + 1) for subset in combinations(Kind, size)]


def namespaces(side: LabHost | Shell) -> dict[str, int]:
    """The number of a side's namespace of each kind."""
    links = side.check_output("readlink /proc/self/ns/*").splitlines()
    return dict(Identity.parse(link) for link in links)


def test_exactly_the_named_namespaces_are_new(host: LabHost, isolate: Isolate) -> None:
    """Of the sixteen sets of the document's four flags, each makes exactly the namespaces that it names."""
    outside = namespaces(host)

    @settings(max_examples=len(SUBSETS))
    @given(st.sampled_from(SUBSETS))
    def search(wanted: frozenset[Kind]) -> None:
        inside = namespaces(isolate.shell(wanted))

        assert inside.keys() == outside.keys()
        assert {kind for kind in inside if inside[kind] != outside[kind]} == {kind.value for kind in wanted}

    search()
