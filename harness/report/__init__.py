"""Runs as HTML: one self-contained page for each, readable without JavaScript, and an index over all.

Pure functions of their arguments: no commands are run and no files read but the templates beside this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.comparison import text_table
from harness.report.heads import RunHead, run_head
from harness.report.page import comparison_page, go_page, index_page, run_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.evidence import Run

__all__ = ["RunHead", "comparison_page", "go_page", "render_index", "render_run", "run_head", "text_table"]


def render_run(run: Run) -> str:
    """Render one run to a page that needs nothing beside itself."""
    return run_page(run)


def render_index(heads: Sequence[RunHead]) -> str:
    """Render the index over all runs, the newest first; unreadable ones are listed with their problem."""
    return index_page(heads)
