"""Models with one rule broken, and the same model whole to play the kernel."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import permutations
from types import ModuleType
from typing import Any, NamedTuple

import pytest

import harness.models
from harness.models import idmaps, rules, uts
from harness.models.ipc.state import Space

_PACKAGE = "harness.models"


class Broken(NamedTuple):
    """One rule of a model, and what stands in for it."""

    rule: str
    how: str
    whole: Callable[..., Any]
    instead: Callable[..., Any]


def whole(kind: str) -> ModuleType:
    """Another copy of a model, which stays whole when the first is broken."""
    return _copies()[f"{_PACKAGE}.{kind}"]


@functools.cache
def _copies() -> dict[str, ModuleType]:
    """All modules of the models, made once more: none of them has anything of the first ones."""
    first = _modules()
    for name in first:
        del sys.modules[name]
    try:
        importlib.import_module(_PACKAGE)
        return _modules()
    finally:
        for name in _modules():
            del sys.modules[name]
        sys.modules.update(first)
        harness.models = first[_PACKAGE]


def _modules() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if f"{name}.".startswith(f"{_PACKAGE}.")}


def breaking(patch: pytest.MonkeyPatch, broken: Broken) -> None:
    """Put what stands in for a rule into each module of the models that has it."""
    for module in _modules().values():
        if vars(module).get(broken.rule) is broken.whole:
            patch.setattr(module, broken.rule, broken.instead)


def broken_rules(kind: str) -> Iterator[Broken]:
    """Each rule of a model with few answers, with each of these taken for each other one."""
    model = importlib.import_module(f"{_PACKAGE}.{kind}")
    for rule in rules.rules_of(model):
        for right, wrong in permutations(rule.answers, 2):
            function = getattr(sys.modules[rule.module], rule.name)
            yield Broken(rule.name, f"{wrong} for {right}", function, taken_for(function, right, wrong))


def taken_for(function: Callable[..., Any], right: str, wrong: str) -> Callable[..., Any]:
    """A rule that gives one answer where another is right."""
    value = {"True": True, "False": False}.get(wrong, wrong)

    def instead(*args: Any) -> Any:
        answer = function(*args)
        return value if str(answer) == right else answer

    return instead


def otherwise(kind: str) -> list[Broken]:
    """The rules of a model that answer with a value, each broken by hand."""
    model = importlib.import_module(f"{_PACKAGE}.{kind}")
    functions = {it.name: getattr(sys.modules[it.module], it.name) for it in rules.rules_of(model)}
    return [Broken(name, how, functions[name], instead) for name, how, instead in _BY_HAND[kind]]


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
        ("new_space", "a new namespace has a queue", lambda: Space(names=("one",))),
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
        ("with_waiting", "each signal comes by itself", lambda waiting, done: (*waiting, done)),
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
