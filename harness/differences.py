"""The page ``docs/differences.md``: what is known of kernels' differences, and where baselines show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from harness import known, runs
from harness.compare import Comparison, Row, compare
from harness.evidence import KnownDifference

BASELINES = Path(__file__).parent.parent / "reports" / "baselines"

_HEAD = """\
# How kernels differ

Made by `python -m harness.differences > docs/differences.md` from `experiments/known_differences.toml` and
the baselines in `reports/baselines/`; the tests compare it with them.
"""


def page() -> str:
    """The whole page."""
    baselines = [runs.read(file) for file in BASELINES.glob("*.json")]
    baselines.sort(key=lambda run: [known.version(known.build_of(host)) for host in run.hosts.values()])
    data = known.read()
    comparison = compare(baselines, data)
    return "\n".join([_HEAD, *_differences(data.differences), *_changes(data.changes, comparison)]) + "\n"


def _differences(differences: Sequence[KnownDifference]) -> Iterator[str]:
    yield "## What documents promise and some kernels don't keep\n"
    for entry in differences:
        yield f"### {entry.id}\n"
        yield f"{entry.what}\n"
        yield f"- seen in {', '.join(entry.seen)}"
        if entry.not_seen:
            yield f"- not seen in {', '.join(entry.not_seen)}"
        yield f"- source: {entry.source}"
        if entry.facts:
            yield f"- facts: {', '.join(f'`{name}`' for name in entry.facts)}"
        yield f"\n```sh\n{entry.script.strip()}\n```\n"


def _changes(changes: Sequence[known.Change], comparison: Comparison) -> Iterator[str]:
    rows = [row for row in comparison.rows if row.sort == "fact" and row.contradicts]
    facts = sum(row.sort == "fact" for row in comparison.rows)
    builds = [column.build for column in comparison.columns]
    yield "## What came with a version\n"
    yield f"Of {facts} facts, {len(rows)} differ between the kept kernels ({', '.join(builds)}).\n"
    yield "| what | facts that differ | where they change | source |\n|---|---|---|---|"
    for change in changes:
        explained = [row for row in rows if row.explained.startswith(f"{change.id}: ")]
        names = ", ".join(f"`{pattern}`" for pattern in change.facts).replace("|", "\\|")
        steps = "; ".join(_steps(comparison, explained))
        yield f"| {change.what} | {len(explained)}: {names} | {steps} | {change.source} |"


def _steps(comparison: Comparison, rows: Sequence[Row]) -> Iterator[str]:
    """Between which kernels the facts change."""
    chosen = {row.name for row in rows}
    for step in comparison.steps:
        if any(row.name in chosen for row in step.rows):
            older, newer = comparison.columns[step.older], comparison.columns[step.newer]
            yield f"{older.build} and {newer.build}"


if __name__ == "__main__":
    print(page(), end="")
