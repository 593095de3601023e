"""What hypothesis draws: programs of operations over the model's universe."""

from __future__ import annotations

from collections.abc import Iterator, Set

from hypothesis import strategies as st

from harness.propagation.programs import LIMITS, OPENINGS, Draw, Step, read

MOST_STEPS = 40
"""After the opening."""


def programs(known: Set[str] = frozenset()) -> st.SearchStrategy[list[Step]]:
    """Programs with what the model says of each step."""
    # One draw of bytes for all steps: drawn one by one, they would cost more than the kernel's work.
    each = len(LIMITS)
    drawn = st.integers(1, MOST_STEPS).flatmap(lambda n: st.binary(min_size=n * each, max_size=n * each))
    opening = st.integers(0, len(OPENINGS) - 1)
    return st.builds(lambda begun, data: [*read(_draws(data), known, begun)], opening, drawn)


def _draws(data: bytes) -> Iterator[Draw]:
    what, whom, source = LIMITS
    for first, second, third in zip(data[::3], data[1::3], data[2::3], strict=True):
        yield first % what, second % whom, third % source
