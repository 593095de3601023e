"""The document's numbered observations, read from ``experiments/claims.toml``."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from harness.evidence import Claim

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = Path(__file__).parent.parent / "experiments" / "claims.toml"


def read(file: Path = FILE) -> dict[str, Claim]:
    """Every claim by its id, in the document's order.

    Raises:
        msgspec.ValidationError: an entry lacks a field or has another type than it should.
    """
    entries = tomllib.loads(file.read_text())["claim"]
    claims = msgspec.convert(entries, list[Claim])
    return {claim.id: claim for claim in claims}
