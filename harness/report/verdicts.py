"""The verdicts: their order, signs and meaning."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.evidence import Record, Verdict

ORDER: tuple[Verdict, ...] = ("failed", "error", "known", "skipped", "passed")
"""What a reader must see first comes first."""

BROKEN: tuple[Verdict, ...] = ("failed", "error")
"""The verdicts that a reader must act on."""

SIGNS: dict[str, str] = {"failed": "✗", "error": "!", "known": "≈", "skipped": "○", "passed": "✓"}

MEANINGS: dict[Verdict, str] = {
    "passed": "The claim held here, and so did its control: the same procedure can detect the opposite.",
    "failed": "The claim was refuted on this host. The evidence shows by which observation.",
    "known": "The claim was refuted, by nothing but a known difference of this kernel, which is named.",
    "error": "The harness or the machine broke. Nothing is said about the claim.",
    "skipped": "Something that the experiment needs is missing. The reason names the remedy.",
}


def rank(outcome: Verdict) -> int:
    """The place of a verdict in :data:`ORDER`; usable as a sort key."""
    return ORDER.index(outcome)


def count(records: Iterable[Record]) -> dict[Verdict, int]:
    """How many records have each verdict, in the order of :data:`ORDER`, zeros included."""
    counted = Counter(record.verdict for record in records)
    return {outcome: counted[outcome] for outcome in ORDER}


def headline(counts: Mapping[Verdict, int]) -> str:
    """The whole run in one phrase."""
    total, skipped = sum(counts.values()), counts.get("skipped", 0)
    if not total:
        return "No experiment was run"
    if skipped == total:
        return f"All {total:,} skipped, nothing judged"
    bad = [f"{counts[outcome]:,} {outcome}" for outcome in BROKEN if counts.get(outcome)]
    if bad:
        return f"{', '.join(bad)} among {total:,} experiments"
    fine = "".join(f", {counts[each]:,} {each}" for each in ("known", "skipped") if counts.get(each))
    return f"All {total - skipped - counts.get('known', 0):,} passed{fine}"
