"""What does this kernel answer, value by value?

Rule (namespaces(7), and the page named with each fact in ``docs/facts.md``): some answers are promised, and are
asserted here. Others differ between kernels, and are measured so that runs can be compared.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness import facts
from harness.evidence import Value
from harness.hosts.base import LabHost

PROMISED: dict[str, dict[str, Value]] = {}
"""Subject to the facts that documents promise, and their values."""


@pytest.mark.parametrize("subject", facts.SUBJECTS)
def test_host_answers_always_alike(host: LabHost, fact: Callable[[str, Value], None], subject: str) -> None:
    """Each question has an answer, the same one whenever it is asked, and the promised one where there is one."""
    answers = facts.measure(host, [subject])
    for name, value in facts.values(answers).items():
        fact(name, value)

    assert not {name: answer.error for name, answer in answers.items() if answer.error}
    assert facts.measure(host, [subject]) == answers
    promised = PROMISED.get(subject, {})
    assert {name: facts.values(answers).get(name) for name in promised} == promised
