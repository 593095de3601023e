"""A program of which every step must be as the model has it."""

from __future__ import annotations

from collections.abc import Mapping

from harness.propagation.programs import parse, replay
from harness.propagation.render import Table
from harness.search.kernel import Kernel, disagreement, seen
from harness.search.script import told


def ran(kernel: Kernel, program: str) -> tuple[str, Mapping[int, Table]]:
    """The last step's error and all tables after it, as the kernel has them; the model has them too.

    Raises:
        AssertionError: it does not; shows where they part.
    """
    steps = replay(parse(program))
    answers = kernel.run(steps)
    found = disagreement(steps, answers)
    assert not found, told(found, "here")
    return answers[-1][0], seen(steps, answers)[-1]
