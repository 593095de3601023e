"""Does this kernel do what the manual pages say, whatever is done?

Rule (uts_namespaces(7), ipc_namespaces(7), pid_namespaces(7), user_namespaces(7)): each page is written down
as a model, in ``harness/models/``. hypothesis draws programs of a few acts by a few processes; after each act
its answer, and what every process sees, are compared with the model's.
"""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis.database import ExampleDatabase

from harness.crews import Crew
from harness.hosts.base import LabHost
from harness.invariants import LEGEND
from harness.model_search import search
from harness.models import MODELS, rules
from harness.models.memory import Acts
from harness.models.situations import SITUATIONS
from harness.notebook import Notebook
from harness.search.effort import Effort


@pytest.mark.parametrize(("kind", "model"), MODELS.items(), ids=MODELS)
def test_kernel_agrees_with_the_model(
    host: LabHost,
    notebook: Notebook,
    kind: str,
    model: ModuleType,
    effort: Effort,
    examples: ExampleDatabase,
) -> None:
    """After each act of any program, the answer and all that any process sees are as the model has them."""
    rules.reached.clear()
    with Crew(host, kind) as crew:
        memory = Acts(examples, f"{kind} {host.check_output('uname -r')}", model, crew.base)
        found = search(model, crew.begin, crew.base, effort, SITUATIONS[kind].values(), memory)
    columns = ("rule", "answer", "times", "source")
    title = f"Rules of the {kind} model that were reached ({effort.again})"
    notebook.table(title, columns, rules.coverage(model))
    if found:
        notebook.script(f"{kind}-disagreement.txt", f"{LEGEND}\n{found.text}\n")

    assert found is None, "\n".join(
        [
            "kernel and model disagree, as this program shows:",
            *(LEGEND, found.text, effort.again),
            *memory.trouble,
        ]
    )
