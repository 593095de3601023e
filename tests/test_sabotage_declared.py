"""What is declared of the sabotages is complete, and the docs say the same."""

from __future__ import annotations

import ast
from pathlib import Path

from sabotage import declared, faults, table

from harness import claims
from harness.isolators.port import SOURCE

DOCS = Path(__file__).parent.parent / "docs" / "sabotage.md"


def test_each_declared_sabotage_is_carried_out() -> None:
    """Every sabotage that is declared has code that carries it out, and the other way round."""
    assert faults.ISOLATORS.keys() == declared.ISOLATORS.keys()
    assert faults.HOSTS.keys() == declared.HOSTS.keys()


def test_each_claim_is_refuted_by_a_sabotage() -> None:
    """For each claim there is a sabotage that must refute it."""
    unrefuted = [claim for claim in table.columns() if not table.refuted_by(claim)]

    assert not unrefuted, f"no sabotage refutes {', '.join(unrefuted)}: think of one, and declare it"


def test_only_known_claims_are_declared() -> None:
    """A sabotage names claims that exist."""
    for name, sabotage in declared.SABOTAGES.items():
        assert sabotage.refutes | sabotage.breaks <= {*table.columns()}, name
        assert not sabotage.refutes & sabotage.breaks, name


def test_faults_are_programs() -> None:
    """What a sabotage puts behind the port's functions is Python that compiles."""
    for sabotaged in faults.ISOLATORS.values():
        ast.parse(sabotaged.programs("/usr/bin/python3")[SOURCE])


def test_docs_show_what_is_declared() -> None:
    """The table in the docs is the declared one."""
    assert DOCS.read_text() == table.render(), (
        "docs/sabotage.md is out of date; run: python -m tests.sabotage > docs/sabotage.md"
    )


def test_report_is_told_what_is_declared() -> None:
    """The data from which reports tell how claims can fail is the declared one."""
    assert claims.SABOTAGES.read_text() == table.data(), (
        "out of date; run: python -m tests.sabotage json > experiments/sabotages.json"
    )
