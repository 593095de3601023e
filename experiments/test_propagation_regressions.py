"""Are the counterexamples that searches found gone?

Each is the shortest program of which some kernel had something else than the documents promise
(sharedsubtree.rst, propagate_umount.txt, mount_namespaces(7)). Its name is that of the entry in
``known_differences.toml`` that explains it.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.hosts.base import LabHost
from harness.notebook import Notebook
from harness.propagation.programs import replay
from harness.search.hold import WITNESSES
from harness.search.kernel import Kernel, disagreement
from harness.search.script import script, told
from harness.search.trees import parted


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.rule(name=f"propagation.{name}")) for name in WITNESSES]
)
def test_counterexample_is_gone(
    host: LabHost, kernel: Kernel, notebook: Notebook, known: Callable[..., bool], name: str
) -> None:
    """The program of a difference that was found leaves what the documents promise."""
    steps = replay(WITNESSES[name])
    answers = kernel.run(steps)
    found = disagreement(steps, answers)
    # It is the known one only where the whole program is as this difference alone makes it.
    explained = disagreement(replay(WITNESSES[name], {name}), answers) is None
    if found:
        release = host.check_output("uname -r")
        notebook.forest(parted(found, release))
        notebook.script(f"{name}.sh", script(found, release))
        assert explained, told(found, release)
        assert known(rule=f"propagation.{name}", value=True), told(found, release)
    assert bool(found) == explained, f"this program does not tell whether a kernel has {name}"
