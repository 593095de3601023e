"""What does this kernel answer, value by value?

Rule (namespaces(7), and the page named with each fact in ``docs/facts.md``): some answers are promised, and
are asserted here. Others differ between kernels, and are measured so that runs can be compared.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness import facts, promised
from harness.evidence import Value
from harness.hosts.base import LabHost


@pytest.mark.parametrize("subject", facts.SUBJECTS)
def test_host_answers_as_promised(
    host: LabHost, fact: Callable[[str, Value], None], known: Callable[..., bool], subject: str
) -> None:
    """Each question has an answer, and the promised one where documents promise one."""
    answers = facts.measure(host, [subject])
    measured = facts.values(answers)
    for name, value in measured.items():
        fact(name, value)

    assert {name: answer.error for name, answer in answers.items() if answer.error} == {}
    broken = {name: value for name, value in measured.items() if not promised.kept(name, value)}
    new = {name: value for name, value in broken.items() if not known(fact=name, value=value)}
    assert new == {name: promised.promises(name)[0] for name in new}
