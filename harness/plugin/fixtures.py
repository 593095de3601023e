"""What an experiment is given: the host, the isolated shells, and a place for facts."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence

import pytest

from harness import isolators
from harness.described import Described
from harness.errors import LabError
from harness.evidence import Value
from harness.hosts.base import LabHost
from harness.isolate import Isolate
from harness.isolators import Isolator
from harness.notebook import Notebook
from harness.plugin.places import places
from harness.plugin.records import NOTEBOOK
from harness.watch import Watch


class MachineChangedError(LabError):
    """An experiment reached through to the machine; the session stops."""


@functools.cache
def prepared(name: str) -> Isolator:
    """The isolator of this name, made once in a process."""
    made = isolators.find(name)
    made.prepare()
    return made


@pytest.fixture(scope="session")
def watch() -> Iterator[Watch]:
    """Compares this machine with what it was when the session began."""
    began = Watch()
    yield began
    began.close()


@pytest.fixture
def notebook(request: pytest.FixtureRequest) -> Notebook:
    """The experiment's notebook; its content becomes the record."""
    made = Notebook()
    request.node.stash[NOTEBOOK] = made
    return made


@pytest.fixture
def host(request: pytest.FixtureRequest, notebook: Notebook, watch: Watch) -> Iterator[LabHost]:
    """The host: where a claim is checked from outside. Afterwards the machine must be as before."""
    with _opened(request, notebook, watch, [request.param]) as (made,):
        yield made


@pytest.fixture
def pair(request: pytest.FixtureRequest, notebook: Notebook, watch: Watch) -> Iterator[list[LabHost]]:
    """Two hosts at once, to be held against each other; with ``--differential``."""
    with _opened(request, notebook, watch, request.param) as made:
        yield made


@contextlib.contextmanager
def _opened(
    request: pytest.FixtureRequest, notebook: Notebook, watch: Watch, names: Sequence[str]
) -> Iterator[list[LabHost]]:
    """Hosts with these names; afterwards the machine must be as before."""
    reached: set[int] = set()
    with contextlib.ExitStack() as opened:
        made = []
        for name in names:
            host = places(request.config)[name].open(notebook, request.config.getoption("--wait"))
            made.append(host)
            opened.callback(host.close)
            opened.callback(_look, watch, host, reached)
        yield made
    changes = watch.changes(reached)
    if changes:
        request.session.shouldstop = f"this machine was changed: {'; '.join(changes)}"
        raise MachineChangedError(f"{request.node.name} left this machine changed: {'; '.join(changes)}")


def _look(watch: Watch, host: LabHost, reached: set[int]) -> None:
    reached |= watch.reached(host.peer_groups())


@pytest.fixture
def isolator(request: pytest.FixtureRequest) -> Isolator:
    """The program that isolates."""
    return prepared(request.param)


@pytest.fixture
def golang(request: pytest.FixtureRequest) -> Isolator:
    """The Go program, built with each version that was asked for."""
    return prepared(request.param)


@pytest.fixture
def isolate(host: LabHost, isolator: Isolator) -> Isolate:
    """Starts shells in new namespaces of the host: ``isolate("uts")`` runs the document's program ``uts``."""
    return Isolate(host, isolator)


@pytest.fixture
def described(request: pytest.FixtureRequest, host: LabHost) -> Described:
    """Starts programs from descriptions, with each isolator that takes them."""
    return Described(host, prepared(request.param))


@pytest.fixture
def fact(notebook: Notebook) -> Callable[[str, Value], None]:
    """Names a measured value, to be compared between runs."""
    return notebook.fact


@pytest.fixture
def need(host: LabHost) -> Callable[[str, str], str]:
    """Skips the experiment where the host lacks a command, and says how to get it.

    Of several, with blanks between them, one is enough: the first that is there is returned.
    """

    def check(commands: str, remedy: str) -> str:
        for command in commands.split():
            if host.exists(command):
                return command
        pytest.skip(f"the host has no {' or '.join(commands.split())}: {remedy}")

    return check
