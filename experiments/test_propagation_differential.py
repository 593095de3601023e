"""Do two kernels do the same with mounts, whatever is done?

No model says what is right: the same programs run on two hosts at once, and after each step its error and all
mount tables are compared, host against host. So what the model can't express is held against something too:
trees in no namespace, attributes, mounts put beneath others, peer groups handed on, busy mounts, readers
whose root directory is another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis.database import ExampleDatabase

from harness.hosts.base import LabHost
from harness.notebook import Notebook
from harness.plugin.deviations import KnownDifferences
from harness.search.differential import KINDS, Search, explained
from harness.search.differential_script import parted, script, told
from harness.search.effort import Effort
from harness.search.hold import deviations
from harness.search.kernel import Kernel, wider_worker
from harness.search.memory import Memory


@pytest.fixture
def kernels(pair: list[LabHost]) -> Iterator[tuple[Kernel, Kernel]]:
    """The kernels of two hosts, as something that runs programs."""
    one, other = pair
    with wider_worker(one) as first, wider_worker(other) as second:
        yield Kernel(first), Kernel(second)


def behind(kernels: tuple[Kernel, Kernel], known: list[KnownDifferences]) -> tuple[set[str], set[str]]:
    """The differences from the documents that each has, if both have them or it is known that one has."""
    one, other = (deviations(kernel, lambda _: True) for kernel in kernels)
    common = one & other
    first, second = (
        common | {name for name in own - common if has(rule=f"propagation.{name}", value=True)}
        for own, has in zip((one, other), known, strict=True)
    )
    return first, second


def test_two_kernels_agree(
    pair: list[LabHost],
    kernels: tuple[Kernel, Kernel],
    notebook: Notebook,
    known_on: Callable[[LabHost], KnownDifferences],
    effort: Effort,
    examples: ExampleDatabase,
) -> None:
    """After each step of any program, its error and every mount table are the same on both kernels."""
    known = [known_on(host) for host in pair]
    builds = known[0].build, known[1].build
    releases = sorted(host.check_output("uname -r") for host in pair)
    memory = Memory(examples, " ".join(["differential", *releases]), KINDS)
    search = Search(kernels, behind(kernels, known), lambda found: explained(found, builds), memory)

    found = search.run(effort.programs(), effort.seed, effort.over())

    names = pair[0].name, pair[1].name
    notebook.table(
        f"{search.steps} steps of {search.programs} programs ({effort.again}): each kind of operation done",
        ("operation", "times"),
        [(kind, search.kinds[kind]) for kind in KINDS],
    )
    notebook.table(f"What differs and is known, {names[0]} beside {names[1]}", ("why", "met"), search.known())
    if found:
        notebook.script("differential.sh", script(found, names))
        notebook.forest(parted(found, names))

    assert not found, "\n".join([told(found, names), effort.again, *memory.trouble])
