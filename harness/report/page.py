"""Fills the templates; the only module that knows them."""

from __future__ import annotations

import shlex
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from harness.known import stale
from harness.report import chapters, moments, verdicts
from harness.report.comparison import MOST_ROWS as MOST_COMPARED
from harness.report.comparison import change, groups, named, reasons, shown_rows
from harness.report.forest import drawn
from harness.report.golang import go_and_port
from harness.report.matrix import matrix
from harness.report.met import met
from harness.report.picture import picture
from harness.report.seen import facts_text, seen, value_text
from harness.report.terminal import terminal
from harness.report.text import plain, prose, visible
from harness.report.transcript import sessions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.compare import Comparison
    from harness.evidence import Run
    from harness.report.heads import RunHead

MOST_ROWS = 500
"""So many rows of one table are on the page; its run's file has all."""


def run_page(run: Run) -> str:
    """One self-contained page."""
    every = chapters.experiments(run)
    reading = chapters.chapters(run, every)
    counts = verdicts.count(run.records)
    return (
        _templates()
        .get_template("run.html")
        .render(
            run=run,
            command=shlex.join(run.command),
            counts=counts,
            headline=verdicts.headline(counts),
            took=moments.between(run.started, run.finished) if run.finished else "",
            chapters=reading,
            claim_anchors={part.claim.id: part.anchor for chapter in reading for part in chapter.sections},
            matrix=matrix(run, reading),
            broken=[each for outcome in verdicts.BROKEN for each in every if each.record.verdict == outcome],
            skipped=_by_reason(every),
            met=met(run, every),
            stale=stale(run, run.known_differences),
            more=chapters.without_claim(run, every),
            go=go_and_port(every).comparisons,
        )
    )


def go_page(run: Run, back: str) -> str:
    """The page about Go and the port; empty where the run holds no experiment about them."""
    go = go_and_port(chapters.experiments(run))
    if not go.comparisons:
        return ""
    return _templates().get_template("go.html").render(run=run, go=go, back=back)


def _by_reason(every: Sequence[chapters.Experiment]) -> dict[str, dict[str, list[chapters.Experiment]]]:
    """Skipped experiments by reason, and under each by title: the same on several hosts is one line."""
    skipped: defaultdict[str, dict[str, list[chapters.Experiment]]] = defaultdict(dict)
    for each in every:
        if each.record.verdict == "skipped":
            skipped[each.record.message].setdefault(each.record.title or each.record.test, []).append(each)
    return skipped


def index_page(heads: Sequence[RunHead]) -> str:
    """The page that leads to all runs, the newest first."""
    newest = sorted(heads, key=lambda head: (head.started, head.id), reverse=True)
    return _templates().get_template("index.html").render(heads=newest)


def comparison_page(
    comparison: Comparison, title: str, pages: Sequence[str], *, everything: bool = False, back: str = ""
) -> str:
    """Runs side by side; ``pages`` are the columns' pages of evidence, relative to this one or empty."""
    rows = shown_rows(comparison, everything=everything)
    return (
        _templates()
        .get_template("comparison.html")
        .render(
            comparison=comparison,
            title=title,
            rows=rows,
            groups=groups(rows, [_path(page) if page else "" for page in pages]),
            named=named,
            change=change,
            reasons=reasons,
            everything=everything,
            back=back,
            most=MOST_COMPARED,
        )
    )


@cache
def _templates() -> jinja2.Environment:
    """Whatever a template prints is made visible and escaped, unless our own functions made it markup."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("harness.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters.update(
        cell=value_text,
        duration=moments.duration,
        facts=facts_text,
        forest=drawn,
        moment=moments.moment,
        path=_path,
        picture=picture,
        plain=plain,
        prose=prose,
        sign=verdicts.SIGNS.__getitem__,
        sessions=sessions,
        terminal=terminal,
    )
    environment.globals.update(
        most_rows=MOST_ROWS, meanings=verdicts.MEANINGS, order=verdicts.ORDER, seen=seen
    )
    return environment


def _finalize(value: object) -> Markup:
    return value if isinstance(value, Markup) else visible(str(value))


def _path(href: str) -> str:
    """A link that stays a path below this page, whatever it holds."""
    return "./" + quote(href, errors="replace")
