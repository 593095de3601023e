"""Models with one rule broken, and the same model whole to play the kernel."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import permutations
from types import ModuleType
from typing import Any, NamedTuple

from harness.models import idmaps, ipc, rules, uts


class Broken(NamedTuple):
    """One rule of a model, and what stands in for it."""

    rule: str
    how: str
    instead: Callable[..., Any]


def whole(kind: str) -> ModuleType:
    """Another copy of a model, which stays whole when the first is broken."""
    name = f"whole_{kind}"
    if name not in sys.modules:
        source = importlib.import_module(f"harness.models.{kind}").__file__
        assert source
        spec = importlib.util.spec_from_file_location(name, source)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def broken_rules(kind: str) -> Iterator[Broken]:
    """Each rule of a model with few answers, with each of these taken for each other one."""
    model = importlib.import_module(f"harness.models.{kind}")
    for rule in rules.rules_of(model):
        for right, wrong in permutations(rule.answers, 2):
            instead = taken_for(getattr(model, rule.name), right, wrong)
            yield Broken(rule.name, f"{wrong} for {right}", instead)


def taken_for(function: Callable[..., Any], right: str, wrong: str) -> Callable[..., Any]:
    """A rule that gives one answer where another is right."""
    value = {"True": True, "False": False}.get(wrong, wrong)

    def instead(*args: Any) -> Any:
        answer = function(*args)
        return value if str(answer) == right else answer

    return instead


def otherwise(kind: str) -> list[Broken]:
    """The rules of a model that answer with a value, each broken by hand."""
    return [Broken(name, how, instead) for name, how, instead in _BY_HAND[kind]]


def _both(names: uts.Names, which: str, value: str) -> uts.Names:
    return replace(names, hostname=value, domainname=value)


_BY_HAND: dict[str, list[tuple[str, str, Callable[..., Any]]]] = {
    "uts": [
        ("copied", "a new namespace has no names", lambda _, owner: uts.Names("", "", owner)),
        ("forked", "open files are not inherited", lambda parent: replace(parent, kept=None)),
        ("owner_of_new", "the first user namespace owns all", lambda _: 0),
        ("after_set", "each name sets both", _both),
    ],
    "ipc": [
        ("new_space", "a new namespace has a queue", lambda: ipc.Space(names=("one",))),
        ("number_of_new", "numbers are used again", lambda space, sort: len(space.objects)),
        ("forked", "attached memory is not inherited", lambda parent: replace(parent, attached=())),
        ("moved", "who moves is detached", lambda me, space: replace(me, ipc=space, attached=())),
        ("memory_of", "memory is each process's own", lambda _, me: 0 if me.attached else None),
    ],
    "pid": [
        (
            "forked",
            "a subreaper's children are subreapers",
            lambda parent, number: replace(parent, space=parent.children_space, parent=number),
        ),
    ],
    "groups": [
        (
            "from_first",
            "only the own map counts",
            lambda spaces, space, number: idmaps.inward(spaces[space].map, number),
        ),
        (
            "after_entry",
            "a new namespace brings no capabilities",
            lambda me, space: replace(me, user=space),
        ),
        ("forked", "further groups are not inherited", lambda parent: replace(parent, groups=())),
    ],
    "user": [
        (
            "from_first",
            "only the own map counts",
            lambda spaces, space, number: idmaps.inward(spaces[space].map, number),
        ),
        (
            "after_make",
            "a new namespace brings no capabilities",
            lambda me, new: replace(me, user=new),
        ),
        ("forked", "children have capabilities", lambda parent: replace(parent, capabilities=True)),
    ],
}
