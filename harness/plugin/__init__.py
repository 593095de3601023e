"""The lab's side of pytest; no other package of the harness knows it. Here: options and parameters."""

from __future__ import annotations

import itertools
import math
import os
import signal

import pytest

from harness import claims, hosts, isolators
from harness.environment import search_path
from harness.errors import UnmetNeedError
from harness.hosts.base import DEFAULT_WAIT
from harness.hosts.machine import turn
from harness.hosts.place import HerePlace
from harness.plugin import conclusion
from harness.plugin.places import (
    Spreading,
    acts_on_others,
    add_options,
    configure,
    in_order_of_hosts,
    pairs,
    places,
)
from harness.plugin.recorder import Recorder
from harness.plugin.records import RecordTaker, claims_of

pytest_plugins = [
    "harness.plugin.outcomes",
    "harness.plugin.deviations",
    "harness.plugin.fixtures",
    "harness.plugin.searches",
    "harness.plugin.workers",
]

_LONGEST_WAIT = 86400.0
"""Seconds for ``--wait``: a day, far below what select(2) takes."""

_PARAMETERS = ("host", "pair", "isolator", "golang", "described")
"""Fixtures that each collected experiment is given once for every host, isolator or version of Go."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The lab's options, in a group of their own in ``pytest --help``."""
    group = parser.getgroup("nslab", "namespace laboratory")
    group.addoption(
        "--isolator",
        metavar="NAME[,NAME]",
        default=",".join(isolators.ISOLATORS),
        help="what isolates (default: %(default)s)",
    )
    group.addoption(
        "--go",
        metavar="VERSION[,VERSION]",
        help="build the go isolator with these Go versions, such as 1.21,1.23.9 (default: what is here)",
    )
    group.addoption(
        "--stage",
        choices=list(hosts.HOSTS),
        default="disposable",
        help="where experiments act: on a disposable stage, or on the machine itself (for throw-away VMs)",
    )
    add_options(group)
    conclusion.add_options(group)
    group.addoption(
        "--claim", metavar="ID", action="append", help="run only the experiments of this claim (repeatable)"
    )
    group.addoption(
        "--reports", metavar="DIR", help="where runs are written (default: reports/ of the project)"
    )
    group.addoption(
        "--wait",
        metavar="SECONDS",
        type=float,
        default=DEFAULT_WAIT,
        help="the longest wait for one prompt or command (default: %(default)g)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Check what was asked for before anything runs; the controller records."""
    config.addinivalue_line("markers", "claim(id): the document's observation that the experiment tests")
    config.addinivalue_line("markers", "rule(name): the rule of a model for which it asks the kernel")
    _forget_inherited_signals()
    os.environ["PATH"] = search_path()
    names = isolator_names(config)
    for name in names:
        _must_be_isolator(name)
    wait = config.getoption("--wait")
    if not (math.isfinite(wait) and 0 < wait <= _LONGEST_WAIT):
        raise pytest.UsageError(
            f"--wait={wait:g}: expected a number of seconds above 0, at most {_LONGEST_WAIT:g}"
        )
    # Here and not only after the collection, which xdist's workers do: their refusals arrive as tracebacks.
    for claim in set(config.getoption("--claim") or []) - claims.read().keys():
        raise pytest.UsageError(f"--claim {claim}: no such claim; there are {', '.join(claims.read())}")
    configure(config)
    conclusion.configure(config)
    config.pluginmanager.register(Spreading(), "nslab-spreading")
    config.pluginmanager.register(RecordTaker(), "nslab-record-taker")
    itself = config.getoption("--stage") == "machine" and not acts_on_others(config)
    if itself and config.getoption("numprocesses", None):
        raise pytest.UsageError("--stage=machine with -n: there is one machine; leave -n out")
    if itself and not config.option.collectonly:
        _take_turn()
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(config, names), "nslab-recorder")


def _must_be_isolator(name: str) -> None:
    try:
        isolators.find(name)
    except KeyError:
        known = ", ".join(isolators.ISOLATORS)
        raise pytest.UsageError(f"--isolator={name}: no such isolator; choose from {known}") from None


def _take_turn() -> None:
    try:
        turn()
    except UnmetNeedError as error:
        raise pytest.UsageError(str(error)) from error


def _forget_inherited_signals() -> None:
    """Start as from a fresh terminal: every program on a host inherits what this process ignores and blocks.

    With SIGCHLD ignored, the kernel reaps children itself and each exit status would read as 0 (wait(2)).
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def pytest_report_header(config: pytest.Config) -> str:
    """Say where experiments act, by what they are isolated and on which kernel."""
    kernel = f" (kernel {os.uname().release})"
    found = [place.name + kernel * isinstance(place, HerePlace) for place in places(config).values()]
    names = ", ".join(isolator_names(config))
    return f"nslab: host{'s' * (len(found) > 1)} {', '.join(found)}, isolators {names}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Hosts and isolators are ordinary parameters, so that the matrix stands in the test ids.

    Raises:
        CollectError: a fixture of the experiment's own would be given what was meant for the plugin's.
    """
    config = metafunc.config
    for name in _PARAMETERS:
        if name in metafunc.fixturenames and hasattr(metafunc.module, name):
            raise pytest.Collector.CollectError(
                f"{metafunc.definition.nodeid}: its fixture {name} hides the plugin's: give it another name"
            )
    if "host" in metafunc.fixturenames:
        metafunc.parametrize("host", list(places(config)), indirect=True)
    if "pair" in metafunc.fixturenames:
        metafunc.parametrize("pair", pairs(config), indirect=True)
    if "isolator" in metafunc.fixturenames:
        metafunc.parametrize("isolator", isolator_names(config), indirect=True)
    if "golang" in metafunc.fixturenames:
        versions = [name for name in isolator_names(config) if name.partition("-")[0] == "go"]
        metafunc.parametrize("golang", versions, indirect=True)
    if "described" in metafunc.fixturenames:
        names = [name for name in isolator_names(config) if isolators.find(name).takes_descriptions]
        metafunc.parametrize("described", names, indirect=True)


def isolator_names(config: pytest.Config) -> list[str]:
    """The isolators that were asked for, each once; ``go`` becomes one for each version of ``--go``."""
    names = config.getoption("--isolator").split(",")
    versions = go_names(config)
    each = [versions if name == "go" and versions else [name] for name in names]
    return list(dict.fromkeys(itertools.chain.from_iterable(each)))


def go_names(config: pytest.Config) -> list[str]:
    """The isolators that ``--go`` names.

    Raises:
        UsageError: a version that is none.
    """
    asked = config.getoption("--go")
    names = [] if asked is None else [f"go-{wish.strip()}" for wish in asked.split(",")]
    for name in names:
        try:
            isolators.find(name)
        except KeyError:
            raise pytest.UsageError(
                f"--go={asked}: {name[3:]!r} is no version; expected such as 1.21 or 1.23.9"
            ) from None
    return names


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the experiments of the claims that were asked for; one host's stay together."""
    in_order_of_hosts(config, items)
    tested = {item.nodeid: claims_of(item) for item in items}
    wanted = config.getoption("--claim")
    if not wanted:
        return
    kept = [item for item in items if any(id_ in wanted for id_ in tested[item.nodeid])]
    missing = set(wanted) - {id_ for item in kept for id_ in tested[item.nodeid]}
    if missing:
        known = ", ".join(sorted({id_ for ids in tested.values() for id_ in ids})) or "none"
        raise pytest.UsageError(
            f"--claim {min(missing)}: no collected experiment tests it; there are {known}"
        )
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept
