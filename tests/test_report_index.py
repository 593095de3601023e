"""What does a reader find in the index over all runs?"""

from __future__ import annotations

import msgspec
from made_runs import in_order, record, run

from harness.report import RunHead, render_index, run_head


def test_index_leads_to_runs_newest_first() -> None:
    """Each run has its link, verdicts and hosts; an incomplete one is marked."""
    older = run_head(run(record("t", "failed")), "a/index.html")
    newer = run_head(
        msgspec.structs.replace(run(finished=None), id="newer", started="2026-12-01T00:00:00Z"),
        "b/index.html",
    )

    page = render_index([older, newer])

    assert in_order(page, "./b/index.html", "incomplete", "./a/index.html", "stage <small>6.1.0-test</small>")


def test_index_lists_an_unreadable_run_with_its_problem() -> None:
    """A damaged run is shown, explained and not linked."""
    page = render_index(
        [RunHead(id="broken", href="broken/index.html", problem="schema 9: use a newer nslab")]
    )

    assert in_order(page, "broken", "unreadable", "schema 9: use a newer nslab")
    assert "broken/index.html" not in page


def test_empty_index_tells_how_to_start() -> None:
    """Before the first run the index says how to make one."""
    assert "./lab pytest experiments/" in render_index([])
