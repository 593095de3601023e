"""What one experiment left behind: its record, made where the experiment runs."""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterable
from typing import Any, cast

import msgspec
import pytest

from harness.evidence import Outcome, Record
from harness.notebook import Notebook, printable
from harness.plugin.explain import explain, make_visible
from harness.plugin.outcomes import broke
from harness.plugin.places import places

NOTEBOOK = pytest.StashKey[Notebook]()
KNOWN = "known: "
"""How the reason begins with which an experiment is expected to fail, if only known differences refute it."""
ISOLATED_BY = ("isolator", "described", "golang")
"""The parameters that name the isolator of an experiment."""
_PHASES = pytest.StashKey[list[pytest.TestReport]]()


def claims_of(item: pytest.Item) -> list[str]:
    """The ids of the document's observations that an experiment tests."""
    return _marked(item, "claim", "id='uts-1'")


def rules_of(item: pytest.Item) -> list[str]:
    """The rules of models for which an experiment asks the kernel: where it passes, the kernel keeps them."""
    return _marked(item, "rule", "name='levels of user namespaces'")


def _marked(item: pytest.Item, mark: str, example: str) -> list[str]:
    keyword = example.partition("=")[0]
    marks = list(item.iter_markers(mark))
    if any(each.args or each.kwargs.keys() != {keyword} for each in marks):
        raise pytest.UsageError(f"{item.nodeid}: name the {mark} by keyword, @pytest.mark.{mark}({example})")
    return sorted(str(each.kwargs[keyword]) for each in marks)


class RecordTaker:
    """Runs where experiments run: makes each one's record and hands it on with its last report."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Attach the record to the report of the teardown, when all is known."""
        report = yield
        phases = item.stash.setdefault(_PHASES, [])
        phases.append(copy.copy(report))
        if report.failed and NOTEBOOK in item.stash:
            explain(report, claims_of(item), item.stash[NOTEBOOK].observations)
            make_visible(report)
        if call.when == "teardown" and NOTEBOOK in item.stash:
            record = take_record(item, phases, item.stash[NOTEBOOK])
            report.nslab_record = msgspec.to_builtins(record)  # type: ignore[attr-defined]
        return report


def take_record(item: pytest.Item, phases: list[pytest.TestReport], notebook: Notebook) -> Record:
    """Everything that one experiment left behind."""
    parameters: dict[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
    bad = min(
        (phase for phase in phases if not phase.passed),
        key=lambda phase: bool(known_reason(phase)),
        default=None,
    )
    function = cast("pytest.Function", item).function
    return Record(
        test=printable(item.nodeid),
        title=printable(" ".join((function.__doc__ or item.name).split())),
        claims=claims_of(item),
        rules=rules_of(item),
        host=parameters.get("host") or [next(iter(places(item.config))), *parameters.get("pair", ())][-1],
        isolator=next((parameters[name] for name in ISOLATED_BY if name in parameters), None),
        outcome=outcome_of(phases),
        message=printable(message_of(bad)) if bad else "",
        details=printable(bad.longreprtext) if bad and not bad.skipped else "",
        observations=notebook.observations,
        processes=notebook.processes,
        facts=notebook.facts,
        tables=notebook.tables,
        scripts=notebook.scripts,
        forests=notebook.forests,
        known=notebook.known,
        started=notebook.started,
        seconds=round(notebook.clock, 3),
    )


def outcome_of(phases: Iterable[pytest.TestReport]) -> Outcome:
    """One word for all phases: an error outweighs a failed claim, for then the verdict is in doubt."""
    words: set[Outcome] = set()
    for phase in phases:
        if phase.failed:
            words.add("failed" if phase.when == "call" and not broke(phase) else "error")
        elif phase.skipped:
            words.add("failed" if known_reason(phase) else "skipped")
    order: tuple[Outcome, ...] = ("error", "failed", "skipped")
    return next((word for word in order if word in words), "passed")


def known_reason(phase: pytest.TestReport) -> str:
    """What an experiment met that is known of the kernel; empty where it met nothing of the kind."""
    reason = str(getattr(phase, "wasxfail", ""))
    return reason if reason.startswith(KNOWN) else ""


def message_of(report: pytest.TestReport) -> str:
    """The one line that says why."""
    if known_reason(report):
        return known_reason(report)
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash else report.longrepr).partition("\n")[0]
