"""What does this kernel answer, value by value?

Rule (namespaces(7), and the page named with each fact in ``docs/facts.md``): some answers are promised, and
are asserted here. Others differ between kernels, and are measured so that runs can be compared.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from harness import facts
from harness.evidence import Value
from harness.hosts.base import LabHost

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROMISED: dict[str, Value] = tomllib.loads(Path(__file__).with_name("promised_facts.toml").read_text())
"""Pattern of names to the value that documents promise; of several that fit a name, the last one counts."""


def promises(name: str) -> list[Value]:
    """The value that documents promise of a fact, if they do."""
    return [value for pattern, value in PROMISED.items() if fnmatchcase(name, pattern)][-1:]


@pytest.mark.parametrize("subject", facts.SUBJECTS)
def test_host_answers_as_promised(host: LabHost, fact: Callable[[str, Value], None], subject: str) -> None:
    """Each question has an answer, and the promised one where documents promise one."""
    answers = facts.measure(host, [subject])
    measured = facts.values(answers)
    for name, value in measured.items():
        fact(name, value)

    assert {name: answer.error for name, answer in answers.items() if answer.error} == {}
    kept = {name: value for name, value in measured.items() if promises(name)}
    assert kept == {name: promises(name)[0] for name in kept}
