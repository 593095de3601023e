"""Deviations that are known of a host's kernel: told as known, neither as a refuted claim nor as a pass."""

from __future__ import annotations

from collections.abc import Callable, Generator

import msgspec
import pytest

from harness import known
from harness.evidence import HostDescription, Value
from harness.hosts.base import LabHost
from harness.notebook import Notebook
from harness.plugin.outcomes import broke
from harness.plugin.places import places
from harness.plugin.records import KNOWN, NOTEBOOK, claims_of, message_of

_DESCRIBED = pytest.StashKey[dict[str, HostDescription]]()


class KnownDifferences:
    """Tells deviations that are known of the host's kernel from new ones."""

    def __init__(
        self, config: pytest.Config, host: str, notebook: Notebook, *, one_of_several: bool = False
    ) -> None:
        """The host is asked for its kernel when something deviates."""
        self._config, self._host, self._notebook = config, host, notebook
        self._named = host if one_of_several else ""

    @property
    def build(self) -> str:
        """The version of the host's kernel."""
        return known.build_of(_described(self._config, self._host))

    def __call__(self, *, value: Value, fact: str = "", rule: str = "") -> bool:
        """Whether it is known that a fact, or the outcome of a model's rule, has this value here.

        The record notes it. An experiment that then ends without a failure is told as known.
        """
        return self.explain("facts" if fact else "rules", fact or rule, value)

    def explain(self, sort: known.Sort, name: str, value: Value) -> bool:
        """The same for a fact, a rule, or a claim whose value is the message that refutes it."""
        sighting = known.match(known.read().differences, self.build, sort, name, value)
        if sighting and self._named:
            sighting = msgspec.structs.replace(sighting, host=self._named)
        if sighting and sighting not in self._notebook.known:
            self._notebook.known.append(sighting)
        return sighting is not None


def _described(config: pytest.Config, name: str) -> HostDescription:
    """A host, asked once in a session."""
    described = config.stash.setdefault(_DESCRIBED, {})
    if name not in described:
        described[name] = places(config)[name].describe()
    return described[name]


@pytest.fixture(name="known")
def known_differences(request: pytest.FixtureRequest, host: LabHost, notebook: Notebook) -> KnownDifferences:
    """Whether a deviating value is a known difference of the host's kernel: ``known(fact=…, value=…)``."""
    return KnownDifferences(request.config, host.name, notebook)


@pytest.fixture
def known_on(request: pytest.FixtureRequest, notebook: Notebook) -> Callable[[LabHost], KnownDifferences]:
    """The same for an experiment with several hosts: ``known_on(host)(rule=…, value=…)``."""
    return lambda host: KnownDifferences(request.config, host.name, notebook, one_of_several=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report an experiment that met nothing but known differences as an expected failure is reported."""
    report = yield
    notebook = item.stash.get(NOTEBOOK, None)
    if call.when != "call" or notebook is None or broke(report):
        return report
    if report.failed and not _known_refutation(item, report, notebook):
        # Something new is in it: then nothing of it is told as known.
        notebook.known.clear()
    elif notebook.known and not report.skipped:
        report.outcome = "skipped"
        report.wasxfail = KNOWN + "; ".join(sighting.words for sighting in notebook.known)
    return report


def _known_refutation(item: pytest.Item, report: pytest.TestReport, notebook: Notebook) -> bool:
    """Whether the message that refutes a claim is that of a known difference."""
    name = item.callspec.params.get("host") if hasattr(item, "callspec") else None
    if name not in places(item.config):
        return False
    differences = KnownDifferences(item.config, name, notebook)
    return any(differences.explain("claims", id_, message_of(report)) for id_ in claims_of(item))
