"""The known differences that a run met, each once with the experiments that met it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.evidence import KnownDifference, Run
    from harness.report.chapters import Experiment


class Met(NamedTuple):
    """One known difference of one kernel."""

    words: str
    entry: KnownDifference | None
    """Everything that was known of it when the run was made."""
    experiments: list[Experiment]


def met(run: Run, every: Sequence[Experiment]) -> list[Met]:
    """What was met, in the order of the experiments."""
    entries = {entry.id: entry for entry in run.known_differences}
    found: dict[str, Met] = {}
    for each in every:
        for sighting in each.record.known:
            one = found.setdefault(sighting.words, Met(sighting.words, entries.get(sighting.id), []))
            if each not in one.experiments:
                one.experiments.append(each)
    return list(found.values())
