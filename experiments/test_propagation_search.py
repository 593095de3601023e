"""Does this kernel propagate mounts as the documents say, whatever is done?

Rule (sharedsubtree.rst, propagate_umount.txt, mount_namespaces(7)): the pages are written down as a model,
in ``harness/propagation/``. hypothesis draws programs of mount operations in up to four namespaces, some of
a less privileged user namespace; after each step its error and all mount tables are compared.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis.database import ExampleDatabase

from harness.hosts.base import LabHost
from harness.notebook import Notebook
from harness.search.effort import Effort
from harness.search.hold import Search, deviations
from harness.search.kernel import Kernel
from harness.search.memory import Memory
from harness.search.script import script, told
from harness.search.trees import parted


def test_kernel_agrees_with_the_model(
    host: LabHost,
    kernel: Kernel,
    notebook: Notebook,
    known: Callable[..., bool],
    effort: Effort,
    examples: ExampleDatabase,
) -> None:
    """After each step of any program, its error and every mount table are as the model has them."""
    behind = deviations(kernel, lambda name: known(rule=f"propagation.{name}", value=True))
    release = host.check_output("uname -r")
    memory = Memory(examples, f"propagation {release}")
    search = Search(kernel, behind, memory)

    found = [found for found, _ in search.run_on(effort.programs(), effort.seed, effort.over())]

    reached = search.coverage()
    notebook.fact("propagation.programs", search.programs)
    title = f"{search.steps} steps of {search.programs} programs ({effort.again}): the rules' cells reached"
    notebook.table(title, ("cell", "times"), reached)
    for number, disagreement in enumerate(found, 1):
        notebook.forest(parted(disagreement, release))
        notebook.script(f"propagation-{number}.sh", script(disagreement, release))

    assert not found, "\n".join(
        [*(told(disagreement, release) for disagreement in found), effort.again, *memory.trouble]
    )
