"""``nslab compare`` and ``nslab baseline``: runs side by side, and what is kept of them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness import baseline, known, publish, runs
from harness.compare import Comparison, compare
from harness.errors import UnmetNeedError
from harness.evidence import Run
from harness.export import junit, kcidb, ktap
from harness.report import comparison_page, text_table

REPORTS = Path("reports")


class Found(NamedTuple):
    """What was named on the command line, and where what is made of it goes."""

    paths: list[Path]
    runs: list[Run]
    comparison: Comparison
    everything: bool
    output: Path | None


def _text(found: Found) -> str:
    colour = found.output is None and sys.stdout.isatty()
    width = None if colour else 200
    return text_table(found.comparison, everything=found.everything, width=width, colour=colour)


def _html(found: Found) -> str:
    pages = [
        _page(path, found.output)
        for path, run in zip(found.paths, found.runs, strict=True)
        for _ in run.hosts
    ]
    kernels = list(dict.fromkeys(column.build or column.kernel for column in found.comparison.columns))
    named = (
        ", ".join(kernels) if len(kernels) < 4 else f"{len(kernels)} kernels, {kernels[0]} to {kernels[-1]}"
    )
    title = f"Comparison of {named}"
    return comparison_page(found.comparison, title, pages, everything=found.everything)


def _page(path: Path, output: Path | None) -> str:
    """A run's page as seen from where the comparison is written; empty where it has none."""
    page = runs.file_of(path).with_name(publish.PAGE)
    below = output.parent if output else Path()
    return os.path.relpath(page, below) if runs.file_of(path).name == runs.FILE and page.exists() else ""


def _json(found: Found) -> str:
    rows = found.comparison.rows if found.everything else found.comparison.differing
    steps = [
        {"older": step.older, "newer": step.newer, "rows": [row.name for row in step.rows]}
        for step in found.comparison.steps
    ]
    whole = {"columns": found.comparison.columns, "rows": rows, "steps": steps}
    return msgspec.json.format(msgspec.json.encode(whole), indent=2).decode() + "\n"


FORMATS: dict[str, Callable[[Found], str]] = {
    "text": _text,
    "html": _html,
    "json": _json,
    "ktap": lambda found: ktap.render(found.runs),
    "junit": lambda found: junit.render(found.runs),
    "kcidb": lambda found: kcidb.render(found.runs),
}


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add both commands to those of ``nslab``."""
    side_by_side = commands.add_parser(
        "compare", help="put runs side by side; exit 1 where something regressed since the first column"
    )
    side_by_side.add_argument(
        "folder",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="a run's folder or a baseline's file; the first is the base",
    )
    side_by_side.add_argument("--all", action="store_true", help="also the rows that are equal everywhere")
    side_by_side.add_argument(
        "--format", choices=list(FORMATS), default="text", help="what is written (default: %(default)s)"
    )
    side_by_side.add_argument(
        "--json", action="store_const", dest="format", const="json", help="--format=json"
    )
    side_by_side.add_argument("--output", type=Path, metavar="FILE", help="where to (default: the terminal)")
    side_by_side.set_defaults(run=_compare)
    keep = commands.add_parser(
        "baseline", help="keep what kernels answered, for --baseline=kernel to compare with"
    )
    keep.add_argument(
        "folder", nargs="+", type=Path, metavar="RUN", help="runs that were finished; later ones count"
    )
    keep.add_argument(
        "--folder",
        dest="kept_in",
        type=Path,
        default=REPORTS / baseline.FOLDER,
        metavar="DIR",
        help="where baselines are kept (default: %(default)s)",
    )
    keep.set_defaults(run=_baseline)


def _compare(options: argparse.Namespace) -> int:
    read = [runs.read(runs.file_of(path)) for path in options.folder]
    comparison = compare(read, known.read())
    found = Found(options.folder, read, comparison, options.all, options.output)
    content = FORMATS[options.format](found)
    if options.output:
        try:
            publish.replace(options.output, content)
        except OSError as error:
            raise UnmetNeedError(
                f"cannot write {options.output}: {error.strerror}; name another file"
            ) from error
        print(options.output)
    else:
        sys.stdout.write(content)
    return int(bool(comparison.regressions))


def _baseline(options: argparse.Namespace) -> int:
    written = baseline.write([runs.read(runs.file_of(path)) for path in options.folder], options.kept_in)
    for file, new in written.items():
        print(f"{file}: {'written' if new else 'unchanged'}")
    return 0
