"""What a person reads in the terminal below a refuted claim: the promise, its source, and what was seen."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterable

import pytest

from harness import claims
from harness.evidence import Claim, Observation
from harness.report.text import plain

_LATEST = 12
"""How many of the latest observations are shown; the run holds them all."""
_LINES = 8


@functools.cache
def _known() -> dict[str, Claim]:
    return claims.read()


def explain(report: pytest.TestReport, ids: Iterable[str], observations: list[Observation]) -> None:
    """Add the claims and the latest observations to a report that tells of a failure."""
    promised = [_known()[id_] for id_ in ids if id_ in _known()]
    if promised:
        text = "\n".join(f"{claim.id}: {claim.claim}\n  promised by {claim.source}" for claim in promised)
        report.sections.append(("the claim", text))
    if observations:
        text = "\n".join(map(_as_typed, observations[-_LATEST:]))
        report.sections.append(("what was done and seen last, in time", plain(text)))


def make_visible(report: pytest.TestReport) -> None:
    """Let nothing that a host printed act on the reader's terminal; whoever holds the old text keeps it."""
    report.longrepr = copy.deepcopy(report.longrepr)
    if isinstance(report.longrepr, str):
        report.longrepr = plain(report.longrepr)
    for traceback, crash, _ in getattr(report.longrepr, "chain", []):
        for entry in traceback.reprentries:
            entry.lines[:] = map(plain, entry.lines)
        if crash:
            crash.message = plain(crash.message)


def _as_typed(seen: Observation) -> str:
    """One observation as at a terminal: where, the command, what it showed, a status other than 0."""
    lines = (seen.output + seen.stderr).splitlines()
    if len(lines) > _LINES:
        lines = [*lines[: _LINES - 1], f"… {len(lines) - _LINES + 1} more lines"]
    if seen.status != 0:
        lines.append("(not ended)" if seen.status is None else f"(exit status {seen.status})")
    return "\n  ".join([f"{seen.side} [{seen.where}]# {seen.command}", *lines])
