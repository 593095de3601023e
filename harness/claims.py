"""The document's numbered observations and what refutes them, from the data beside the experiments."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from harness.evidence import Claim, Sabotage

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = Path(__file__).parent.parent / "experiments" / "claims.toml"
SABOTAGES = FILE.with_name("sabotages.json")


def read(file: Path = FILE) -> dict[str, Claim]:
    """Every claim by its id, in the document's order.

    Raises:
        msgspec.ValidationError: an entry lacks a field or has another type than it should.
    """
    entries = tomllib.loads(file.read_text(encoding="utf-8"))["claim"]
    claims = msgspec.convert(entries, list[Claim])
    return {claim.id: claim for claim in claims}


def sabotages(file: Path = SABOTAGES) -> list[Sabotage]:
    """What the tests break on purpose, and the claims that each must refute.

    Raises:
        msgspec.ValidationError: an entry lacks a field or has another type than it should.
    """
    return msgspec.json.decode(file.read_bytes(), type=list[Sabotage])
