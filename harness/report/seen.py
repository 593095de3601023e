"""What was seen here for a claim: short enough to be held against the document's transcript."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from harness.report.transcript import transcript

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

    from harness.evidence import Claim, Observation, Record, Value, Verdict
    from harness.report.chapters import Experiment, Section

MOST_OBSERVATIONS, MOST_LINES, MOST_FACTS = 4, 12, 6
MOST_SEEN = 12
"""A claim on fifty kernels shows so many different results; all others are among the evidence."""


_TYPED = re.compile(r"^\S*[#$] +([\w.-]+)", re.MULTILINE)
"""The first word after a prompt in a transcript."""
_NAMED = re.compile(r"`([\w.-]+)[^`]*`")
"""The first word of code in a sentence."""


class Seen(NamedTuple):
    """One result, and everyone who had exactly this one."""

    outcome: Verdict
    message: str
    title: str
    facts: tuple[tuple[str, str], ...]
    session: Markup
    who: list[Experiment]


def seen(section: Section) -> list[Seen]:
    """The different results of a claim's experiments, the worst first."""
    several = len({each.record.title for each in section.experiments}) > 1
    found: dict[object, Seen] = {}
    for each in section.experiments:
        result = _result(each.record, section.claim, several)
        found.setdefault(result[:-1], result).who.append(each)
        if len(found) == MOST_SEEN:
            break
    return list(found.values())


def _result(record: Record, claim: Claim, several: bool) -> Seen:
    title = record.title if several else ""
    facts = facts_text(record.facts)[:MOST_FACTS]
    session = transcript(telling(record.observations, claim), MOST_LINES)
    return Seen(record.verdict, record.message, title, facts, session, [])


def telling(observations: Sequence[Observation], claim: Claim) -> list[Observation]:
    """The observations to hold against the document's: of the same programs, else the last of each side."""
    programs = set(_TYPED.findall(claim.saw)) | set(_NAMED.findall(claim.done))
    same = [each for each in observations if _program(each) in programs]
    if same:
        return same[-MOST_OBSERVATIONS:]
    last = {each.side: i for i, each in enumerate(observations)}
    return [observations[i] for i in sorted(last.values())]


def _program(observation: Observation) -> str:
    words = observation.command.split(maxsplit=1)
    return words[0].rsplit("/", 1)[-1] if words else ""


def facts_text(facts: Mapping[str, Value]) -> tuple[tuple[str, str], ...]:
    """Facts as the page shows them."""
    return tuple((name, value_text(value)) for name, value in facts.items())


def value_text(value: Value) -> str:
    """A value in words."""
    if isinstance(value, list):
        return ", ".join(value) if value else "(none)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "(none)" if value is None else str(value) or "(empty)"
