"""Every probe by the name of the fact that it measures."""

from __future__ import annotations

import importlib
import re
from typing import Any, Callable, Iterator, NamedTuple, TypeVar

MODULES = {
    "kinds": ["kinds"],
    "nsfs": ["nsfs"],
    "clone": ["clone", "threads"],
    "uts": ["uts"],
    "ipc": ["ipc"],
    "pid": ["pid"],
    "user": ["user", "idmaps"],
    "time": ["timens"],
    "net": ["net"],
    "cgroup": ["cgroup"],
    "mount": ["propagation", "locked", "mountinfo"],
    "mountapi": ["mountapi", "detached", "statmount"],
    "proc": ["proc"],
    "sysctl": ["sysctls"],
}
"""Subject to the modules of this package that hold its probes."""

Function = TypeVar("Function", bound=Callable[..., Any])


class Probe(NamedTuple):
    """One function, what it is called with, and what its answer means."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    place: str
    """Where it runs: a word of ``harness.probes.sandbox``."""
    alone: bool
    """Whether it needs a child to itself, for it changes what other probes see."""
    meaning: str
    source: str


class Unmeasured(Exception):  # noqa: N818 - not an error: the user may not find this out
    """The host does not let its user measure this; says why."""


REGISTRY: dict[str, Probe] = {}


def fact(name: str, place: str = "sandbox") -> Callable[[Function], Function]:
    """Register a function that measures one fact; its docstring says what that is and the source."""
    return _register(place, True, {name: ("", ())})


def facts(
    pattern: str, cases: dict[str, Any], place: str = "sandbox", alone: bool = True
) -> Callable[[Function], Function]:
    """Register a function for each case: its name for ``{}`` in the pattern, its value as argument.

    In the docstring ``{}`` is the case's name too, and ``{words}`` the same as words.
    """
    return _register(
        place,
        alone,
        {
            pattern.replace("{}", case): (case, value if isinstance(value, tuple) else (value,))
            for case, value in cases.items()
        },
    )


def _register(
    place: str, alone: bool, named: dict[str, tuple[str, tuple[Any, ...]]]
) -> Callable[[Function], Function]:
    def register(function: Function) -> Function:
        for name, (case, arguments) in named.items():
            if name in REGISTRY:
                raise ValueError(f"two probes for the fact {name}")
            meaning, source = documented(function.__doc__ or "", case)
            REGISTRY[name] = Probe(name, function, arguments, place, alone, meaning, source)
        return function

    return register


def documented(docstring: str, case: str = "") -> tuple[str, str]:
    """Meaning and source of a probe, from its docstring.

    Raises:
        ValueError: it does not name a source.
    """
    found = re.fullmatch(r"(.+?) Source: (.+)\.", " ".join(docstring.split()))
    if found is None:
        raise ValueError(f"a probe's docstring reads 'Meaning. Source: …', not {docstring!r}")
    words = case.replace("_", " ")
    return found[1].replace("{}", case).replace("{words}", words), found[2].replace("{}", case)


def load(subjects: list[str]) -> Iterator[Probe]:
    """The probes of the subjects, in the order in which they stand in the modules."""
    for subject in subjects:
        for module in MODULES[subject]:
            name = f"harness.probes.{module}"
            importlib.import_module(name)
            yield from (probe for probe in REGISTRY.values() if probe.function.__module__ == name)
