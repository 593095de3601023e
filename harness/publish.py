"""From runs on disk to pages on disk; runs no commands, so that old runs can be rendered again."""

from __future__ import annotations

import contextlib
import os
import tempfile
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
    """Render one run and the index over all runs beside it; this user's runs without a page get theirs too.

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
            run = runs.read(other / runs.FILE)
            if not (other / PAGE).exists() and _is_ours(other):
                with contextlib.suppress(OSError):
                    render(other)
            shown = PAGE if (other / PAGE).exists() else runs.FILE
            heads.append(run_head(run, f"{other.name}/{shown}"))
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


def _is_ours(folder: Path) -> bool:
    """Whether nobody else can have put links into it: root writes to where those lead."""
    return folder.lstat().st_uid == os.geteuid() and not folder.is_symlink()


def replace(page: Path, content: str) -> None:
    """Replace a file at once: a reader never sees half of one, and no link that lies there is followed."""
    descriptor, name = tempfile.mkstemp(prefix=f".{page.name}.", dir=page.parent)
    half = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            os.fchmod(descriptor, 0o644)
        half.replace(page)
    except BaseException:
        half.unlink()
        raise
