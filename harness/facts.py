"""Measure facts on a host: carry the probes there in one archive, run them, read what they say.

An archive that prints JSON, and not a worker behind a gateway: it takes one command, which stands in the
evidence and can be run by hand, it needs nothing of the host but Python, and no state outlives it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from harness.errors import LabError, tail
from harness.evidence import Value
from harness.probes.registry import MODULES, Probe, load
from harness.runnable import runnable

if TYPE_CHECKING:
    from harness.hosts.base import LabHost

SUBJECTS = [*MODULES]
"""What facts are about; each is measured by one command."""

ARCHIVE = "facts.pyz"

PROBES = ("harness.probes.main", "harness.probes")
"""What the archive starts and holds."""


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a probe said: a value, or why there is none."""

    value: Value = None
    error: str = ""
    """The probe itself failed: it hung, crashed, or its sandbox could not be made."""
    unmeasured: str = ""
    """The host does not let its user find this out."""


def measure(host: LabHost, subjects: Sequence[str] = SUBJECTS, times: int = 1) -> dict[str, Answer]:
    """The host's answer for each fact of the subjects, by the fact's name.

    With ``times``, each is asked for so often, and answers that differ are an error.

    Raises:
        LabError: the probes did not run at all.
    """
    program = f"{host.carry('facts', {ARCHIVE: runnable(*PROBES)})}/{ARCHIVE}"
    command = " ".join(["%s"] * (5 + len(subjects)))
    done = host.run(command, host.python, "-IS", program, "--times", str(times), *subjects)
    if done.rc != 0:
        raise LabError(f"the probes do not run on {host.name}: {tail(done.stderr)}")
    return msgspec.json.decode(done.stdout, type=dict[str, Answer])


def values(answers: Mapping[str, Answer]) -> dict[str, Value]:
    """The measured values alone."""
    return {name: answer.value for name, answer in answers.items() if not (answer.error or answer.unmeasured)}


def table() -> str:
    """The page ``docs/facts.md``."""
    head = [
        "# Facts and their sources",
        "",
        "Made by `python -m harness.facts > docs/facts.md`; the tests compare it with the probes.",
        "",
        _INTRODUCTION,
        "",
        "| fact | meaning | source |",
        "|---|---|---|",
    ]
    for subject in SUBJECTS:
        head += [_row(probe) for probe in load([subject])]
    return "\n".join(head) + "\n"


def _row(probe: Probe) -> str:
    return f"| {probe.name} | {_cell(probe.meaning)} | {_cell(probe.source)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")


_INTRODUCTION = """\
A fact is a value that a host is asked for by a probe, a function in `harness/probes/`. Answers of system
calls are `ok` or the name of the error number. Probes run as root of a sandbox: a new user namespace whose
root is an ordinary user of the host, and new namespaces of every other kind but network and time. *Here* is
that sandbox. What follows a colon at a meaning's end is the case, in the words of the fact's name."""


if __name__ == "__main__":
    print(table(), end="")
