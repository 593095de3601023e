"""Writes the page of all rules: ``python -m harness.models > docs/models.md``."""

from __future__ import annotations

from harness.models import MODELS, idmaps, userns
from harness.models.rules import RULES, Rule

_HEAD = """\
# Models of namespaces and their rules

Made by `python -m harness.models > docs/models.md`; the tests compare it with the models.

A model is what the manual pages promise, as pure functions: `uts`, `ipc`, `pid`, `user` and `groups` in
`harness/models/`. `experiments/test_invariants.py` draws programs of a few acts by a few processes (fork,
clone, unshare, setns, exit, and what their kind of namespace is about), has them carried out on the host,
and compares the answer to each act, and all that each process then sees, with the model's. What was found
the last time and named programs (`situations.py`) are played first. From a disagreement acts and processes
are left out, and arguments made plainer, until no simpler program shows it or a minute is over; it is
played once more and printed as lines that a person can type, a shell for each process. The run's report
tells, for each model, how often each rule gave each answer, and the seed. More programs are played with
`--hypothesis-profile=search`, and for as long as `--search-for=30m` says; `propagation.md` tells of both,
and of what is kept.

What a kernel does otherwise is an entry of `experiments/known_differences.toml`, a switch of the model that
the entry has as a rule, and a program that shows it (`deviations.py`). A search goes on behind what is known
of the kernel's build and tells it as known; another disagreement that a switch explains fails, and the search
goes on behind it too.

The tests break every rule, one at a time, and require that a default run would find it.
"""

_TITLES = {
    "uts": "UTS namespaces",
    "ipc": "IPC namespaces",
    "pid": "PID namespaces",
    "user": "User namespaces",
    "groups": "User namespaces: groups",
}

_TABLE = """
## {title}

| rule | what it says | answers | source |
|---|---|---|---|
"""


def page() -> str:
    """The page."""
    titles = {
        **{model.__name__: _TITLES[kind] for kind, model in MODELS.items()},
        idmaps.__name__: "User namespaces: maps of users and of groups",
        userns.__name__: "User namespaces, where they own others",
    }
    text = _HEAD
    for module, title in titles.items():
        rows = [_row(rule) for rule in RULES.values() if f"{rule.module}.".startswith(f"{module}.")]
        text += _TABLE.format(title=title) + "".join(rows)
    return text


def _row(rule: Rule) -> str:
    return f"| {rule.name} | {rule.says} | {', '.join(rule.answers)} | {rule.source} |\n"


if __name__ == "__main__":
    print(page(), end="")
