"""What the index tells about one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from harness.report.verdicts import count

if TYPE_CHECKING:
    from harness.evidence import Run


class RunHead(msgspec.Struct, frozen=True, kw_only=True):
    """One run's line in the index."""

    id: str
    href: str
    """The run's page: a path relative to the index, not percent-encoded."""
    started: str = ""
    complete: bool = True
    counts: dict[str, int] = {}
    """Verdict to number of experiments."""
    hosts: dict[str, str] = {}
    """Host to kernel."""
    isolators: list[str] = []
    problem: str = ""
    """Why the run can't be read; empty where it can."""


def run_head(run: Run, href: str) -> RunHead:
    """The index's line for a run whose page is at ``href``."""
    return RunHead(
        id=run.id,
        href=href,
        started=run.started,
        complete=run.finished is not None,
        counts=dict(count(run.records).items()),
        hosts={name: host.kernel for name, host in run.hosts.items()},
        isolators=list(run.isolators),
    )
