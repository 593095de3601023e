"""The table of sabotages and claims for the docs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from harness import claims

from .declared import HOSTS, ISOLATORS, SABOTAGES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .declared import Declared

OTHERS = ("flags",)
"""Experiments that belong to no claim, by their files."""

_HEAD = """\
# Every claim can fail

Made by `python -m tests.sabotage > docs/sabotage.md`.

Each row is a sabotage: an isolator, or a host, that is broken on purpose. The whole document is run against
it, and exactly the claims marked ✗ must be refuted: one missing is a blind experiment, one too many a
fragile one. `tests/test_sabotage.py` requires that, and that each claim, each experiment and each single
assertion, controls among them, fails under at least one sabotage. A column without a number is an experiment
that belongs to no claim of the document.

- ✗ refuted: at least one of the claim's experiments failed.
- **!** not confirmed: none failed, but at least one ended in an error, such as a shell that gave no prompt.
- An empty cell: every experiment held, as it must, for the sabotage does not touch it.

One of them by hand:

```
python -m pytest experiments/ -p tests.sabotage.plugin --isolator=no-newuts --reports=broken
python -m pytest experiments/ -p tests.sabotage.plugin --isolator=python --stage=daemon-apart --reports=broken
```

All of them happen on disposable stages: a hostname that is "also set outside" is the stage's.
"""

_LIMITS = """
## What cannot be caught by design

- **A kernel that lies to every tool alike.** Experiments know the kernel by its answers. One that ignores a
  request is caught (MS_PRIVATE above), one that ignores it and shows everybody what would be true otherwise
  is not.
- **Tools that agree on a lie.** A single tool that lies inside is caught where the outside, `/proc` or
  another tool tells otherwise. An isolator that replaces them all, the shell too, shows what it wants: what
  is seen inside is only as good as the inside's programs. What is seen from the host is not touched by
  that.
- **A host whose own tools lie consistently.** The host's side is the measure. Nothing measures it except
  itself and the machine's check that nothing changed there.
- **Namespaces that somebody else made but nobody used.** A namespace that is entered while it is still
  fresh, and in which the shell is PID 1, is the same as one that was just made. Only history betrays it: a
  name, an object, a process.
- **An isolator that knows the experiments.** It could behave for each command line as the experiment
  expects. Hypothesis' values make that harder for names, sizes and depths, not impossible.
- **A program inside that forges the prompt.** The prompt's random word stands in `PS1`, in the environment,
  so that each shell inside has it. A program that reads it there and prints a prompt answers in its shell's
  name.
- **What lasts shorter than a look.** A mount that came out and was gone again before the host was asked is
  not seen. Namespaces are compared by number only while both exist: the kernel gives a dropped one's number
  away again.
- **What no claim is about.** A leak through open descriptors, signals or limits refutes no claim of the
  document.
- **The initial namespace's number, on a stage.** The experiment of `uts-1` that reads it is skipped where
  the host is not in the initial namespaces; the sabotages make it run by posing as such a host.
"""


def columns() -> list[str]:
    """The claims in the document's order, then what belongs to none."""
    return [*claims.read(), *OTHERS]


def render() -> str:
    """The whole page."""
    parts = [_HEAD, "\n## Isolators\n\n", *_rows(ISOLATORS), "\n## Hosts\n\n", *_rows(HOSTS), _LIMITS]
    return "".join(parts)


def refuted_by(claim: str) -> list[str]:
    """The sabotages that refute a claim."""
    return [name for name, sabotage in SABOTAGES.items() if claim in sabotage.refutes]


def _rows(sabotages: Mapping[str, Declared]) -> Iterable[str]:
    yield _row(["sabotage", "what it does", *columns()])
    yield _row(["---", "---", *(":-:" for _ in columns())])
    for name, sabotage in sabotages.items():
        yield _row([f"`{name}`", sabotage.does, *(_cell(sabotage, claim) for claim in columns())])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _cell(sabotage: Declared, claim: str) -> str:
    if claim in sabotage.refutes:
        return "✗"
    return "**!**" if claim in sabotage.breaks else ""


def data() -> str:
    """What ``experiments/sabotages.json`` holds, from which a run tells how its claims can fail."""
    known = [
        {
            "name": name,
            "does": declared.does,
            "refutes": [id_ for id_ in columns() if id_ in declared.refutes],
        }
        for name, declared in SABOTAGES.items()
    ]
    return json.dumps(known, indent=1) + "\n"
