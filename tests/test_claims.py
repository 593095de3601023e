"""The claims: all there, all tested, and the page about them up to date."""

from __future__ import annotations

import re

import pytest
from claims_table import experiments_by_claim, table

from harness import claims
from harness.evidence import Claim

DOCUMENT = {"uts": 7, "ipc": 5, "pid": 4, "mnt": 6}
"""How many observations each chapter of the document has."""


@pytest.mark.parametrize("chapter", DOCUMENT)
def test_every_observation_of_the_document_is_a_claim(chapter: str) -> None:
    """Each chapter's observations are numbered without a gap."""
    ids = [claim.id for claim in claims.read().values() if claim.namespace == chapter]

    assert ids == [f"{chapter}-{number}" for number in range(1, DOCUMENT[chapter] + 1)]


def test_every_claim_has_an_experiment() -> None:
    """No claim is without an experiment, and no experiment names a claim that there is not."""
    assert experiments_by_claim().keys() == claims.read().keys()


@pytest.mark.parametrize("claim", claims.read().values(), ids=lambda claim: claim.id)
def test_every_claim_names_its_source(claim: Claim) -> None:
    """Each claim names the man pages or kernel documents that promise it, and the place in each."""
    page, place = r"(\w+\([1-8]\)|the kernel's [\w.-]+\.rst)", r"(, [^:]+(: .+)?|: .+)"

    assert [part for part in claim.source.split("; ") if not re.fullmatch(page + place, part)] == []


def test_page_about_claims_is_up_to_date() -> None:
    """The page in docs/ says what the experiments' marks say."""
    page = claims.FILE.parent.parent / "docs" / "claims.md"

    assert page.read_text() == table(), "run: python tests/claims_table.py > docs/claims.md"
