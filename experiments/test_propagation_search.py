"""Does this kernel propagate mounts as the documents say, whatever is done?

Rule (sharedsubtree.rst, propagate_umount.txt, mount_namespaces(7)): the pages are written down as a model,
in ``harness/propagation/``. hypothesis draws programs of mount operations in up to four namespaces, some of
a less privileged user namespace; after each step its error and all mount tables are compared.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import settings

from harness.hosts.base import LabHost
from harness.notebook import Notebook
from harness.search.hold import Search, deviations
from harness.search.kernel import Kernel
from harness.search.memory import Memory
from harness.search.script import script, told
from harness.search.trees import parted

PROGRAMS = 15
"""Programs for each of hypothesis' examples: one costs far less than a command typed at a shell."""


def test_kernel_agrees_with_the_model(
    host: LabHost, kernel: Kernel, notebook: Notebook, known: Callable[..., bool]
) -> None:
    """After each step of any program, its error and every mount table are as the model has them."""
    behind = deviations(kernel, lambda name: known(rule=f"propagation.{name}", value=True))
    release = host.check_output("uname -r")
    assert settings.default is not None
    search = Search(kernel, behind, Memory(settings.default.database, release))

    found = [found for found, _ in search.run_on(settings.default.max_examples * PROGRAMS)]

    reached = search.coverage()
    notebook.fact("propagation.programs", search.programs)
    title = f"{search.steps} steps of {search.programs} programs: the rules' cells that they reached"
    notebook.table(title, ("cell", "times"), reached)
    for number, disagreement in enumerate(found, 1):
        notebook.forest(parted(disagreement, release))
        notebook.script(f"propagation-{number}.sh", script(disagreement, release))

    assert not found, "\n".join(told(disagreement, release) for disagreement in found)
