"""The whole document, run against each sabotage: exactly the declared claims are refuted."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from sabotage import session
from sabotage.declared import SABOTAGES

from harness.evidence import Record, Run

AT_ONCE = 2
"""Sessions that run side by side."""

RunOf = Callable[[str], Run]


@pytest.fixture(scope="session")
def run_of(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunOf]:
    """The run of each sabotage; all that will be asked for are begun at once."""
    pool = ThreadPoolExecutor(AT_ONCE)
    begun: dict[str, Future[Run]] = {}

    def begin(name: str) -> Future[Run]:
        if name not in begun:
            begun[name] = pool.submit(session.run, name, tmp_path_factory.mktemp("reports"))
        return begun[name]

    # Of several pytest-xdist workers, none knows which tests it will be given.
    if not hasattr(request.config, "workerinput"):
        for item in request.session.items:
            if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
                begin(str(item.callspec.params.get("sabotage", session.CONTROL)))
    try:
        yield lambda name: begin(name).result()
    finally:
        pool.shutdown(cancel_futures=True)


def test_healthy_isolator_refutes_nothing(run_of: RunOf) -> None:
    """Control: the isolator from which the sabotages are made refutes and breaks no claim."""
    verdicts = session.verdicts(run_of(session.CONTROL))

    assert not verdicts.refuted
    assert not verdicts.broken


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_exactly_the_declared_claims_are_refuted(run_of: RunOf, sabotage: str) -> None:
    """A sabotage refutes the claims that are declared for it and leaves every other one alone."""
    run, declared = run_of(sabotage), SABOTAGES[sabotage]
    verdicts = session.verdicts(run)
    if declared.refutes and declared.refutes <= verdicts.untested:
        pytest.skip(
            "; ".join(sorted({record.message for record in run.records if record.outcome == "skipped"}))
        )

    assert verdicts.refuted == declared.refutes - verdicts.untested, explain(run, declared.refutes)
    assert verdicts.broken == declared.breaks - verdicts.untested, explain(run, declared.breaks)


def explain(run: Run, declared: frozenset[str]) -> str:
    """What failed although it was not declared; what is declared and missing is a blind experiment."""
    surplus = [
        f"{record.outcome}: {record.test}: {record.message}"
        for record in run.records
        if record.outcome in {"failed", "error"} and not declared & {*session.claims_of(record)}
    ]
    return "\n".join(
        ["missing is a blind experiment, too many a fragile one, or the declaration is wrong", *surplus]
    )


def failed(run_of: RunOf) -> list[Record]:
    """The experiments that failed, under whatever sabotage."""
    return [record for name in SABOTAGES for record in run_of(name).records if record.outcome == "failed"]


def test_each_experiment_fails_under_some_sabotage(run_of: RunOf) -> None:
    """No experiment, in any of its forms, holds under every sabotage."""
    skipped = {
        session.experiment(record)
        for record in run_of(session.CONTROL).records
        if record.outcome == "skipped"
    }
    every = {session.experiment(record) for record in run_of(session.CONTROL).records} - skipped

    assert every - {session.experiment(record) for record in failed(run_of)} == set()


def test_each_control_fails_under_some_sabotage(run_of: RunOf) -> None:
    """No control assertion holds under every sabotage."""
    lines = {session.failing_line(record) for record in failed(run_of)}

    for file in sorted((session.ROOT / "experiments").glob("test_*.py")):
        for control in controls(file):
            place = f"{file.relative_to(session.ROOT)}:{control.lineno}"
            numbers = range(control.lineno, (control.end_lineno or control.lineno) + 1)
            assert any(session.Line(file.name, number) in lines for number in numbers), f"{place} never fails"


def controls(file: Path) -> Iterator[ast.Assert]:
    """The assertions whose message says that they are controls."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Assert) and node.msg and "control:" in ast.unparse(node.msg):
            yield node


def test_sabotage_is_known_to_parallel_sessions(tmp_path: Path) -> None:
    """The processes of pytest-xdist know the sabotages too."""
    name = "no-newns"

    assert session.verdicts(session.run(name, tmp_path, processes=2)).refuted == SABOTAGES[name].refutes
