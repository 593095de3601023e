"""Does the port start programs as Go's os/exec does?

Rule (Go's syscall/exec_linux.go and os/exec, by version): one description, given to both, leads to the same
world of what was started, or to the same error. hypothesis draws descriptions of any mix of fields; what is
not compared, and why, is told in ``harness/equivalence/incomparable.py``. See docs/go.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import hypothesis
import pytest
from hypothesis.errors import NoSuchExample

from harness.equivalence import incomparable
from harness.equivalence.pair import ORDINARY, Pair, differences
from harness.equivalence.script import script
from harness.equivalence.search import PER_EXAMPLE, Search
from harness.equivalence.tally import COLUMNS, TOTAL
from harness.equivalence.unshare import Both, wishes
from harness.hosts.base import LabHost
from harness.isolators import Isolator
from harness.isolators.port import Port
from harness.isolators.unshare import Unshare
from harness.notebook import Notebook
from harness.search.effort import Effort

CHANGED = ["world.job.group", "world.job.session"]
"""Where a new session makes the world another one."""


@pytest.fixture
def beside_go(host: LabHost, golang: Isolator) -> Iterator[Pair]:
    """The Go program and the port, side by side on the host."""
    with Pair(host, {golang.name: golang, "port": Port()}) as made:
        yield made


def test_port_and_go_make_the_same_world(
    host: LabHost, beside_go: Pair, golang: Isolator, notebook: Notebook, effort: Effort
) -> None:
    """Whatever is described, the port and Go start it in the same world, or refuse it with the same error."""
    compare(beside_go, golang, notebook, effort, host.user)


def test_port_and_go_do_so_for_an_ordinary_user(
    host: LabHost, golang: Isolator, notebook: Notebook, effort: Effort
) -> None:
    """The same where an ordinary user starts them, who has one ID and no capability."""
    if host.user != "root":
        pytest.skip(
            f"only root can become an ordinary user, {host.name} is for {host.user}: run pytest as root"
        )
    with Pair(host, {golang.name: golang, "port": Port()}, user=ORDINARY) as pair:
        compare(pair, golang, notebook, effort, "an ordinary user")


def compare(pair: Pair, golang: Isolator, notebook: Notebook, effort: Effort, who: str) -> None:
    """Search for a description of which Go and the port make different worlds."""
    names = (golang.name, "port")
    search = Search(pair.outcomes, names, pair.scratch, pair.user)

    found = search.find(effort.programs(PER_EXAMPLE), effort.seed, effort.over())

    version, tally = golang.version(), search.tally
    notebook.table(
        "descriptions by kinds of world, started/tried: Go and the port", TOTAL, [tally.total(who, version)]
    )
    notebook.table(
        f"fields by kinds of world, started/tried: {version} and the port", COLUMNS, tally.rows(who, version)
    )
    notebook.table(
        "the option by which the same descriptions are drawn again", ("option",), [(effort.again,)]
    )
    known = [it.cells for it in incomparable.INCOMPARABLE]
    notebook.table("known differences: what is not compared", incomparable.COLUMNS, known)
    if found:
        repeat = script(found.trial, pair.scratch, names, found.lines, pair.user)
        notebook.script(f"{golang.name}-difference.sh", repeat)
    assert not found, (
        f"this is the smallest description that shows it (port after the bar):\n{found.trial}\n"
        + "\n".join([*found.lines, effort.again])
    )

    plain = trial({"Path": f"{pair.scratch}/probe"})
    apart = trial({"Path": f"{pair.scratch}/probe", "SysProcAttr": {"Setsid": True}})
    one, other = pair.outcomes([plain, apart])
    lines = differences(one["port"], other["port"])
    assert [line.partition(":")[0] for line in lines] == CHANGED, (
        "control: the worlds of two different descriptions differ, and in this alone"
    )


@pytest.fixture
def beside_unshare(host: LabHost) -> Iterator[Pair]:
    """unshare(1) and the port, side by side on the host."""
    with Pair(host, {"unshare": Unshare(), "port": Port()}) as made:
        yield made


def test_port_and_unshare_make_the_same_world(beside_unshare: Pair, effort: Effort) -> None:
    """Whatever unshare(1) and a description can both say, the worlds that come of it are the same."""
    scratch = beside_unshare.scratch

    def lines(both: Both) -> list[str]:
        [seen] = beside_unshare.outcomes([{**both.trial, "arguments": both.arguments}])
        return differences(seen["unshare"].get("world"), seen["port"].get("world"))

    settings = hypothesis.settings(max_examples=5 * hypothesis.settings().max_examples, database=None)
    try:
        chance = Random(effort.seed)  # noqa: S311 - repeatable, not secret
        found = hypothesis.find(
            wishes(scratch), lambda both: bool(lines(both)), settings=settings, random=chance
        )
    except NoSuchExample:
        found = None
    assert found is None, "\n".join([str(found), *lines(found), effort.again])

    plain = trial({"Path": f"{scratch}/probe"})
    apart = ["unshare", "--fork", "--uts", "--", f"{scratch}/probe"]
    assert lines(Both(plain, apart)), "control: a world with a namespace more differs from the one without"


def trial(description: dict[str, Any]) -> dict[str, Any]:
    """A description, started with nothing that is unusual."""
    return {"description": description, "terminal": False, "without": [], "ignored": [], "blocked": []}
