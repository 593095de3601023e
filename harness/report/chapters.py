"""A run's records in reading order: chapters of claims, each claim with its experiments."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from harness.report.verdicts import rank

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.evidence import Claim, Record, Run, Sabotage

TITLES = {"uts": "UTS", "ipc": "IPC", "pid": "PID", "mnt": "Mount"}
"""The document's chapters, in its order."""


class Experiment(NamedTuple):
    """One record and its place in the page."""

    anchor: str
    record: Record
    subject: str
    """Who was examined: the isolator, and the host where the run has several."""


class Section(NamedTuple):
    """One claim, the experiments told here, and those told under another claim that they also concern."""

    anchor: str
    claim: Claim
    told: Sequence[Experiment]
    elsewhere: Sequence[Experiment]
    sabotages: Sequence[Sabotage]
    """What the lab's own tests break on purpose to see the claim refuted."""

    @property
    def experiments(self) -> list[Experiment]:
        """Everything that bears on the claim, the worst first."""
        return sorted([*self.told, *self.elsewhere], key=lambda each: rank(each.record.verdict))


class Chapter(NamedTuple):
    """The claims about one kind of namespace."""

    anchor: str
    title: str
    sections: Sequence[Section]


def experiments(run: Run) -> list[Experiment]:
    """Every record with its anchor, in the order in which they were made."""
    several = len({record.host for record in run.records}) > 1
    return [Experiment(f"e{i}", record, _subject(record, several)) for i, record in enumerate(run.records, 1)]


def _subject(record: Record, several_hosts: bool) -> str:
    if record.isolator is None:
        return record.host
    return f"{record.isolator} on {record.host}" if several_hosts else record.isolator


def chapters(run: Run, every: Sequence[Experiment]) -> list[Chapter]:
    """The claims in reading order, by chapter."""
    claims = {claim.id: claim for claim in run.claims}
    ordered = sorted(claims.values(), key=_reading_order)
    told: defaultdict[str, list[Experiment]] = defaultdict(list)
    elsewhere: defaultdict[str, list[Experiment]] = defaultdict(list)
    for each in every:
        first, *others = _known(each.record, claims) or [""]
        told[first].append(each)
        for other in others:
            elsewhere[other].append(each)
    sections = [
        Section(
            f"c{i}",
            claim,
            _worst_first(told[claim.id]),
            _worst_first(elsewhere[claim.id]),
            [sabotage for sabotage in run.sabotages if claim.id in sabotage.refutes],
        )
        for i, claim in enumerate(ordered, 1)
    ]
    namespaces = list(dict.fromkeys(claim.namespace for claim in ordered))
    return [
        Chapter(f"n{i}", TITLES.get(name, name), [each for each in sections if each.claim.namespace == name])
        for i, name in enumerate(namespaces, 1)
    ]


def without_claim(run: Run, every: Iterable[Experiment]) -> list[Experiment]:
    """The experiments that no claim of the run mentions."""
    claims = {claim.id: claim for claim in run.claims}
    return _worst_first(each for each in every if not _known(each.record, claims))


def _known(record: Record, claims: dict[str, Claim]) -> list[str]:
    return [claim for claim in dict.fromkeys(record.claims) if claim in claims]


def _worst_first(some: Iterable[Experiment]) -> list[Experiment]:
    return sorted(some, key=lambda each: rank(each.record.verdict))


def _reading_order(claim: Claim) -> tuple[int, str, list[tuple[int, str]]]:
    """The document's chapters first, then others by name; ``uts-10`` comes after ``uts-9``."""
    chapter = list(TITLES).index(claim.namespace) if claim.namespace in TITLES else len(TITLES)
    parts = re.findall(r"[0-9]{1,9}|[^0-9]+", claim.id)
    return (
        chapter,
        claim.namespace,
        [(int(part), "") if part[0] in "0123456789" else (0, part) for part in parts],
    )
