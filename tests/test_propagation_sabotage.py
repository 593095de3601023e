"""Each rule of the model can be refuted: broken, it is found by the search of `pytest experiments/`."""

from __future__ import annotations

import pytest
from propagation_table import EXPERIMENTS, rows, table
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


def test_every_script_is_told() -> None:
    """Each of fs_bind's 95 scripts is told by an experiment."""
    assert len({name.partition(",")[0] for name, _, _ in rows() if name.startswith("fs_bind")}) == 95


def test_page_says_what_is_tested_where() -> None:
    """docs/propagation.md is what the experiments make of it, and every experiment and situation is there."""
    assert (EXPERIMENTS.parent / "docs" / "propagation.md").read_text() == table()
    for _, _, experiment in rows():
        file, _, test = experiment.partition("::")
        assert f"def {test.partition('[')[0]}(" in (EXPERIMENTS / file).read_text()
