"""From runs on disk to pages on disk; runs no commands, so that old runs can be rendered again."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from harness import known, runs
from harness.compare import compare
from harness.report import RunHead, comparison_page, go_page, render_index, render_run, run_head

PAGE = "index.html"
MATRIX = "matrix.html"
"""The page of a run of several hosts on which these are side by side."""

GO = "go.html"
"""The page of a run about Go and the port."""


def publish(folder: Path) -> Path:
    """Render one run and the index over all runs beside it; runs without a page get theirs too.

    Returns:
        The page of the run.

    Raises:
        UnreadableRunError: the run can't be read.
        OSError: the pages can't be written.
    """
    page = render(folder)
    heads = []
    for other in runs.folders(folder.parent):
        try:
            head = run_head(runs.read(other / runs.FILE), f"{other.name}/{PAGE}")
            if not (other / PAGE).exists():
                # Somebody else's run, which this user can't write to, is listed all the same.
                with contextlib.suppress(OSError):
                    render(other)
            heads.append(head)
        except runs.UnreadableRunError as problem:
            heads.append(RunHead(id=other.name, href=f"{other.name}/{runs.FILE}", problem=str(problem)))
    replace(folder.parent / PAGE, render_index(heads))
    return page


def render(folder: Path) -> Path:
    """Render one run's page from its file.

    Raises:
        UnreadableRunError: the run can't be read.
        UnmetNeedError: the known differences can't be read.
        OSError: the page can't be written.
    """
    run = runs.read(folder / runs.FILE)
    if len(run.hosts) > 1:
        comparison = compare([run], known.read())
        title = f"Hosts of run {run.id} side by side"
        replace(folder / MATRIX, comparison_page(comparison, title, [PAGE] * len(run.hosts), back=PAGE))
    if page := go_page(run, PAGE):
        replace(folder / GO, page)
    replace(folder / PAGE, render_run(run))
    return folder / PAGE


def replace(page: Path, content: str) -> None:
    """Replace a file at once: a reader never sees half of one."""
    half = page.with_name(f".{page.name}.{os.getpid()}")
    try:
        half.write_text(content, encoding="utf-8")
        half.chmod(0o644)
        half.replace(page)
    except OSError:
        half.unlink(missing_ok=True)
        raise
