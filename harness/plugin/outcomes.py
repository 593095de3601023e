"""Errors of the harness or the machine are errors in pytest's results, wherever they came up."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from harness.errors import HostLacksError, LabError, UnmetNeedError
from harness.room import must_have_room


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note on the report whether the harness or the machine broke in the middle of an experiment.

    An experiment for which its host lacks something is skipped.
    """
    report = yield
    if call.excinfo is not None and call.excinfo.errisinstance(HostLacksError):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1] or 0, f"Skipped: {call.excinfo.value}")
    if call.when == "call" and call.excinfo is not None and is_lab_error(call.excinfo.value):
        report.nslab_broke = True  # type: ignore[attr-defined]  # xdist carries such attributes along
    elif call.when == "call" and report.failed and "host" in getattr(item, "fixturenames", ()):
        _doubt(report)
    return report


def _doubt(report: pytest.TestReport) -> None:
    """Make a refuted claim an error where the machine refuses processes: what was seen may come of that."""
    try:
        must_have_room()
    except UnmetNeedError as error:
        report.nslab_broke = True  # type: ignore[attr-defined]
        report.longrepr = f"{error}\n\nwhat came of it:\n{report.longreprtext}"


def is_lab_error(error: BaseException) -> bool:
    """Whether it is one, or a group of them: as hypothesis tells of an example that broke in two ways."""
    together = getattr(error, "exceptions", ())
    return isinstance(error, LabError) or (bool(together) and all(map(is_lab_error, together)))


def broke(report: pytest.TestReport) -> bool:
    """Whether a report of the call phase tells of an error, not of a refuted claim."""
    return bool(getattr(report, "nslab_broke", False))


def pytest_report_teststatus(report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, str] | None:
    """Count it as an error in the terminal's summary."""
    if isinstance(report, pytest.TestReport) and broke(report):
        return "error", "E", "ERROR"
    return None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> Generator[None, None, None]:
    """Let every reporter, such as JUnit's, see an error: they know one by its phase."""
    if not broke(report):
        return (yield)
    report.when = "setup"
    try:
        return (yield)
    finally:
        report.when = "call"
