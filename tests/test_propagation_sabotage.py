"""Each rule of the model can be refuted: broken, it is found by the search of `pytest experiments/`."""

from __future__ import annotations

from pathlib import Path

import pytest
from propagation_table import SITUATION, file_of, rows, table
from sabotaged_models import SABOTAGES, Broken, Sabotage, Whole

from harness.search.hold import Search

PROGRAMS = 150
"""As many as the search of `pytest experiments/` runs."""


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.rule)
def test_broken_rule_is_found(sabotage: Sabotage) -> None:
    """A model with one rule broken is told from the whole one."""
    with Broken(sabotage) as broken:
        found = Search(Whole(broken)).run(PROGRAMS, seed=1)

    assert found, f"no program of {PROGRAMS} tells that {sabotage.rule}"


def test_page_says_what_is_tested_where() -> None:
    """docs/propagation.md is what the experiments make of it, and every experiment and situation is there."""
    root = Path(__file__).parent.parent

    assert (root / "docs" / "propagation.md").read_text() == table()
    for _, situation, test in rows():
        experiments = (root / "experiments" / file_of(test)).read_text()
        assert f"def {test.partition('[')[0]}(" in experiments
        assert test != SITUATION or f'"{situation}": (' in experiments
