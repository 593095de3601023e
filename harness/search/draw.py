"""What hypothesis draws: programs of operations over the model's universe."""

from __future__ import annotations

from collections.abc import Set

from hypothesis import strategies as st

from harness.propagation.programs import LIMITS, OPENINGS, Step, read

SCENES = 5
LONGEST_SCENE = 8
"""A program has at most 40 steps. Lists of lists are longer than a list is on average, and shrink as well."""


def programs(known: Set[str] = frozenset()) -> st.SearchStrategy[list[Step]]:
    """Programs with what the model says of each step."""
    # Numbers below 128 are drawn evenly; of greater ones hypothesis prefers small ones.
    draw = st.tuples(*(st.integers(0, limit - 1) for limit in LIMITS))
    scene = st.lists(draw, min_size=1, max_size=LONGEST_SCENE)
    scenes = st.lists(scene, min_size=1, max_size=SCENES)
    opening = st.integers(0, len(OPENINGS) - 1)
    return st.builds(
        lambda begun, drawn: [*read((draw for scene in drawn for draw in scene), known, begun)],
        opening,
        scenes,
    )
