"""Tables are compared without naming their groups: with the result that naming them would have."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import event, given, settings
from hypothesis import strategies as st

from harness.propagation.render import Raw, Tags, alike, named

Drawn = Mapping[int, list[Raw]]

GROUPS = st.integers(1, 3).map(str)
TAGS: st.SearchStrategy[Tags] = st.one_of(
    st.just(()),
    st.just(("unbindable",)),
    GROUPS.map(lambda it: (f"shared:{it}",)),
    GROUPS.map(lambda it: (f"master:{it}",)),
    st.tuples(GROUPS, GROUPS).map(lambda it: (f"shared:{it[0]}", f"master:{it[1]}")),
    st.tuples(GROUPS, GROUPS).map(lambda it: (f"master:{it[0]}", f"propagate_from:{it[1]}")),
)
PLACES = [(0, "/", "w", "/"), (1, "/a", "t1", "/"), (1, "/b", "t1", "/")]
LINES = st.tuples(st.sampled_from(PLACES), TAGS)
TABLES: st.SearchStrategy[Drawn] = st.dictionaries(
    st.integers(0, 2), st.lists(LINES, max_size=3, unique_by=lambda line: line[0]).map(sorted)
).map(lambda tables: {number: tables[number] for number in sorted(tables)})


def renumbered(tables: Drawn, numbers: Mapping[str, str]) -> Drawn:
    """Tables with other numbers of groups: each digit is one."""
    return {
        number: [
            (what, tuple("".join(numbers.get(it, it) for it in tag) for tag in tags)) for what, tags in lines
        ]
        for number, lines in tables.items()
    }


@settings(max_examples=1000)
@given(one=TABLES, other=TABLES, numbers=st.permutations("123"), mixed=st.booleans(), same=st.booleans())
def test_alike_is_what_has_the_same_names(
    one: Drawn, other: Drawn, numbers: list[str], mixed: bool, same: bool
) -> None:
    """Of any tables, and of those that differ by the numbers of groups alone, or where two became one."""
    if same:
        other = renumbered(one, dict(zip("123", ["1", "1", "2"] if mixed else numbers, strict=True)))
    alike_by_names = named(one) == named(other)
    event(f"alike: {alike_by_names}")

    assert alike(one, other) == alike_by_names
    assert alike(other, one) == alike_by_names


def beside(*groups: int) -> Drawn:
    """Two mounts at one place, of these groups, each with one on it; then one of the last group elsewhere."""
    first, on_first, second, on_second, last = (f"shared:{group}" for group in groups)
    return {
        0: [
            ((0, "/", "w", "/"), ()),
            ((1, "/a", "t", "/"), (first,)),
            ((2, "/a/b", "u", "/"), (on_first,)),
            ((1, "/a", "t", "/"), (second,)),
            ((2, "/a/b", "u", "/"), (on_second,)),
            ((1, "/b", "t", "/"), (last,)),
        ]
    }


def test_mounts_at_one_place_may_come_in_any_order() -> None:
    """Of two that only their groups tell apart either may come first, and takes what is on it along."""
    assert alike(beside(1, 2, 3, 4, 1), beside(5, 6, 7, 8, 7))
    assert alike(beside(1, 2, 3, 4, 2), beside(5, 6, 7, 8, 8))
    assert not alike(beside(1, 2, 3, 4, 1), beside(5, 6, 7, 8, 8))
    assert not alike(beside(1, 2, 3, 2, 1), beside(5, 6, 7, 8, 7))
