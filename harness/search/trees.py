"""Mount tables as trees with peer groups, for the report: before a step, and after it as each side has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from harness.evidence import Branch, Forest, Tree
from harness.propagation.render import Table, Tables, of_state
from harness.propagation.state import first
from harness.search.kernel import Disagreement
from harness.search.script import said


def forest(title: str, before: Tables, after: Mapping[str, Tables]) -> Forest:
    """The tables before a step, which both sides had, and after it for each side by its name.

    A line of one side is marked where the other has none like it in that namespace.
    """
    trees = [
        Tree(name=f"ns{number}", side="before, both", branches=[*_branches(table, table)])
        for number, table in before.items()
    ]
    for side, tables in after.items():
        (other,) = (theirs for name, theirs in after.items() if name != side)
        trees += [
            Tree(
                name=f"ns{number}", side=f"after: {side}", branches=[*_branches(table, other.get(number, ()))]
            )
            for number, table in tables.items()
        ]
    return Forest(title=title, trees=trees)


def parted(found: Disagreement, kernel: str) -> Forest:
    """The trees of a disagreement: before the step at which kernel and model part, and after it."""
    *rest, last = found.steps
    before = rest[-1].state if rest else first()
    words = {f"kernel {kernel}": found.errno, "the model": last.errno}
    after = f"{last.operation}: " + ", ".join(f"{side}: {said(errno)}" for side, errno in words.items())
    return forest(
        after, of_state(before), dict(zip(words, (found.seen[-1], of_state(last.state)), strict=True))
    )


def _branches(table: Table, other: Table) -> Iterator[Branch]:
    there = Counter(other)
    for line in table:
        there[line] -= 1
        tags = [*(line.tags or ("private",))]
        yield Branch(depth=line.depth, text=line.text, tags=tags, differs=there[line] < 0)
