"""Does this kernel do what the manual pages say, whatever is done?

Rule (uts_namespaces(7), ipc_namespaces(7), pid_namespaces(7), user_namespaces(7)): each page is written down
as a model, in ``harness/models/``. hypothesis draws programs of a few acts by a few processes; after each act
its answer, and what every process sees, are compared with the model's.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis.database import ExampleDatabase

from harness.crews import Crew
from harness.hosts.base import LabHost
from harness.invariants import LEGEND, difference
from harness.invariants.memory import Acts
from harness.invariants.search import deviations, having, run_on
from harness.models import MODELS, rules
from harness.models.deviations import WITNESSES
from harness.notebook import Notebook
from harness.search.effort import Effort


@pytest.mark.parametrize("kind", MODELS)
def test_kernel_agrees_with_the_model(
    host: LabHost,
    notebook: Notebook,
    kind: str,
    known: Callable[..., bool],
    effort: Effort,
    examples: ExampleDatabase,
) -> None:
    """After each act of any program, the answer and all that any process sees are as the model has them."""
    rules.reached.clear()
    with Crew(host, kind) as crew:
        behind = deviations(
            kind, crew.begin, crew.base, lambda name: known(rule=f"{kind}.{name}", value=True)
        )
        memory = Acts(examples, f"{kind} {host.check_output('uname -r')}", MODELS[kind], crew.base)
        found = [it.text for it, _ in run_on(kind, crew.begin, crew.base, effort, memory, behind)]
    columns = ("rule", "answer", "times", "source")
    title = f"Rules of the {kind} model that were reached ({effort.again})"
    notebook.table(title, columns, rules.coverage(MODELS[kind]))
    for number, text in enumerate(found, 1):
        notebook.script(f"{kind}-disagreement-{number}.txt", f"{LEGEND}\n{text}\n")

    assert not found, "\n".join(
        [
            "kernel and model disagree, as each of these programs shows:",
            *(LEGEND, *found, effort.again),
            *memory.trouble,
        ]
    )


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param(kind, name, marks=pytest.mark.rule(name=f"{kind}.{name}"))
        for kind, witnesses in WITNESSES.items()
        for name in witnesses
    ],
)
def test_counterexample_is_gone(host: LabHost, kind: str, name: str, known: Callable[..., bool]) -> None:
    """The program of a difference that was found goes as the manual pages promise."""
    with Crew(host, kind) as crew:
        found, without = (
            difference(MODELS[kind], crew.begin, WITNESSES[kind][name], having(crew.base, its))
            for its in (set(), {name})
        )
    if not (found or without):
        pytest.skip("this program tells nothing here: it takes a host in the initial user namespace")
    if found:
        # It is the known one only where the whole program is as this difference alone makes it.
        assert not without, found.text
        assert known(rule=f"{kind}.{name}", value=True), found.text
