"""Does the port start programs as Go's os/exec does?

Rule (Go's syscall/exec_linux.go and os/exec, by version): one description, given to both, leads to the same
world of what was started, or to the same error. hypothesis draws descriptions of any mix of fields; what is
never drawn, and why, is told in ``harness/equivalence/strategies.py``. See docs/go.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

from harness.equivalence.pair import Pair, differences, script
from harness.equivalence.search import COLUMNS, PER_EXAMPLE, Search
from harness.hosts.base import LabHost
from harness.isolators import Isolator
from harness.isolators.port import Port
from harness.notebook import Notebook

NEWUTS = 0x04000000


@pytest.fixture
def pair(host: LabHost, golang: Isolator) -> Iterator[Pair]:
    """The Go program and the port, side by side on the host."""
    with Pair(host, {golang.name: golang, "port": Port()}) as made:
        yield made


def test_port_and_go_make_the_same_world(pair: Pair, golang: Isolator, notebook: Notebook) -> None:
    """Whatever is described, the port and Go start it in the same world, or refuse it with the same error."""
    names = (golang.name, "port")
    search = Search(pair.outcomes, names, pair.scratch)

    found = search.find(PER_EXAMPLE * hypothesis.settings().max_examples)

    notebook.table(f"{search.tried} descriptions, {golang.version()} and the port", COLUMNS, search.rows())
    if found:
        notebook.script(f"{golang.name}-difference.sh", script(found.trial, pair.scratch, names))
    assert not found, (
        f"this is the smallest description that shows it (port after the bar):\n{found.trial}\n"
        + "\n".join(found.lines)
    )

    plain: dict[str, Any] = {
        "description": {"Path": f"{pair.scratch}/probe"},
        "terminal": False,
        "without": [],
        "ignored": [],
        "blocked": [],
    }
    apart = {**plain, "description": {**plain["description"], "SysProcAttr": {"Cloneflags": NEWUTS}}}
    lines = differences(pair.outcomes(plain)["port"], pair.outcomes(apart)["port"])
    assert lines == ["world.namespaces.uts: 'same' | \"new, of the starter's user\""], (
        "control: the worlds of two different descriptions differ, and in this alone"
    )
