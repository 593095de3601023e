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

    def begin(*names: str) -> None:
        for group in session.groups([name for name in names if name not in begun]):
            running = pool.submit(session.run, group, tmp_path_factory.mktemp("reports"))
            begun.update(dict.fromkeys(group, running))

    def run_of(name: str) -> Run:
        begin(name)
        return session.part(begun[name].result(), name)

    # Of several pytest-xdist workers, none knows which tests it will be given.
    if not hasattr(request.config, "workerinput"):
        here = (item for item in request.session.items if item.path == Path(__file__))
        calls = (getattr(item, "callspec", None) for item in here)
        asked = [str(call.params["sabotage"]) for call in calls if call]
        begin(session.CONTROL, *asked)
    try:
        yield run_of
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


def test_each_assertion_fails_under_some_sabotage(run_of: RunOf) -> None:
    """No assertion of the document's experiments, control or not, holds under every sabotage."""
    seen = {session.failing_line(record) for record in failed(run_of)}

    never = [
        f"{file}:{place.lineno}"
        for file in session.DOCUMENT
        for place in assertions(session.ROOT / file)
        if not any(session.Line(Path(file).name, number) in seen for number in lines(place))
    ]
    assert not never, "think of a sabotage that reaches it, or drop it: what cannot fail claims nothing"


def assertions(file: Path) -> Iterator[ast.Assert]:
    """Every assertion of a file."""
    return (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Assert))


def lines(place: ast.Assert) -> range:
    """The lines of an assertion."""
    return range(place.lineno, (place.end_lineno or place.lineno) + 1)


def test_sabotage_is_known_to_parallel_sessions(tmp_path: Path) -> None:
    """The processes of pytest-xdist know the sabotages too."""
    name = "no-newns"

    assert session.verdicts(session.run([name], tmp_path, processes=2)).refuted == SABOTAGES[name].refutes
