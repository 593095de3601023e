"""A model's rules: each is a function that names its source, and each answer that it gives is counted."""

from __future__ import annotations

import functools
import sys
from collections import Counter
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

APPLIED = "applied"
"""What is counted of a rule that answers with a value, not with one of a few words."""


class Rule(NamedTuple):
    """What a rule says, where that is written, and which answers it has."""

    module: str
    name: str
    says: str
    source: str
    answers: tuple[str, ...]


RULES: dict[tuple[str, str], Rule] = {}
"""All rules of the models that were imported, by module and name."""

reached: Counter[tuple[str, str, str]] = Counter()
"""How often a rule gave an answer: module, name, answer. It is how a search's coverage is measured."""


def rule(*answers: object) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Mark a function as one rule, with the answers that it can give if these are few."""
    words = tuple(map(str, answers)) or (APPLIED,)

    def mark(function: Callable[P, T]) -> Callable[P, T]:
        says, source = (function.__doc__ or "").split("Source:")
        key = (function.__module__, function.__name__)
        RULES[key] = Rule(*key, " ".join(says.split()), " ".join(source.split()), words)

        @functools.wraps(function)
        def counted(*args: P.args, **kwargs: P.kwargs) -> T:
            answer = function(*args, **kwargs)
            reached[(*key, str(answer) if answers else APPLIED)] += 1
            return answer

        return counted

    return mark


def rules_of(model: ModuleType) -> list[Rule]:
    """The rules that a model has, in whatever module of its own, or takes from another one."""
    modules = [module for name, module in sys.modules.items() if f"{name}.".startswith(f"{model.__name__}.")]
    found = (found for module in modules for found in vars(module).items())
    keys = dict.fromkeys((getattr(function, "__module__", ""), name) for name, function in found)
    return [RULES[key] for key in keys if key in RULES]


def coverage(model: ModuleType) -> list[tuple[str, str, int, str]]:
    """Of a model: each rule's name, each of its answers, how often it was given, and the rule's source."""
    return [
        (rule.name, answer, reached[rule.module, rule.name, answer], rule.source)
        for rule in rules_of(model)
        for answer in rule.answers
    ]
