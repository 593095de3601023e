"""Programs of mount operations over a small universe of places, and what the model says of each step.

A step is drawn as numbers and read in the model's state: so a step may be left out of a program without the
others losing their sense, and most steps act on something that is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from typing import NamedTuple

from harness.propagation.operations import Operation, outcome
from harness.propagation.state import Refused, State, first

MOST_NAMESPACES = 4
MOST_MOUNTS = 48
"""Mounts double with each recursive bind of what they are on: a step that leads beyond is left out."""

PATHS = ("/a", "/b", "/a/c", "/a/a", "/b/a", "/a/b", "/b/b", "/b/c", "/a/a/c")
"""Places, nested; some are there only where a file system or a directory is mounted above."""

MISSING = "/c"
"""A place that is nowhere."""

WEIGHTS = {
    "mount": 6,
    "bind": 6,
    "rbind": 6,
    "move": 6,
    "make-shared": 7,
    "make-slave": 4,
    "make-private": 2,
    "make-unbindable": 3,
    "make-rshared": 4,
    "make-rslave": 2,
    "make-rprivate": 1,
    "make-runbindable": 1,
    "umount": 5,
    "umount-l": 5,
    "unshare": 3,
    "unshare-user": 3,
    "unshare-first": 1,
    "exit": 2,
}
"""How often each kind of operation is drawn, compared with the others."""

_KINDS = [kind for kind, weight in WEIGHTS.items() for _ in range(weight)]
_CHOICES = 16
"""How many numbers choose a place; the last one chooses what is nowhere, those before it anything."""
_ON_MOUNTS = 12

Draw = tuple[int, int, int]
"""A step before there is a state to read it in: what, by whom and where, from where."""

LIMITS: Draw = (len(_KINDS), MOST_NAMESPACES * _CHOICES, _CHOICES)
"""Each number of a draw is below its limit."""


OPENINGS: tuple[tuple[Operation, ...], ...] = (
    (),
    (Operation("make-shared", 0, "/"),),
    (Operation("make-shared", 0, "/"), Operation("unshare-user", 0)),
    (
        Operation("make-shared", 0, "/"),
        Operation("unshare-user", 0),
        Operation("make-shared", 1, "/"),
        Operation("unshare-user", 1),
    ),
    (
        Operation("make-shared", 0, "/"),
        Operation("unshare-user", 0),
        Operation("make-shared", 1, "/"),
        Operation("unshare", 1),
    ),
    (
        Operation("make-shared", 0, "/"),
        Operation("mount", 0, "/a", "u1"),
        Operation("mount", 0, "/a/c", "u2"),
        Operation("unshare-user", 0),
    ),
    (
        Operation("mount", 0, "/a", "u1"),
        Operation("make-shared", 0, "/a"),
        Operation("bind", 0, "/b", "/a"),
        Operation("make-slave", 0, "/b"),
        Operation("make-shared", 0, "/b"),
        Operation("bind", 0, "/a/c", "/b"),
    ),
    (
        Operation("bind", 0, "/b", "/a"),
        Operation("make-unbindable", 0, "/b"),
        Operation("unshare-user", 0),
    ),
)
"""How programs may begin: what many rules need is rarely drawn step by step."""


class Step(NamedTuple):
    """An operation, the error and the state that the model has after it."""

    operation: Operation
    errno: str
    state: State


def read(drawn: Iterable[Draw], known: Set[str] = frozenset(), opening: int = 0) -> Iterator[Step]:
    """The steps that draws stand for, without those that make no sense or too much; after an opening."""
    state = first()
    for step in replay(OPENINGS[opening], known):
        state = step.state
        yield step
    for number, draw in enumerate(drawn, 1):
        operation = _operation(draw, number, state)
        if not _possible(operation, state):
            continue
        after, errno = outcome(state, operation, known)
        if len(after.mounts) <= MOST_MOUNTS:
            state = after
            yield Step(operation, errno, state)


def _operation(draw: Draw, number: int, state: State) -> Operation:
    kind, whom, source = draw
    actor, target = divmod(whom, _CHOICES)
    alive = sorted(state.namespaces)
    operation = Operation(_KINDS[kind], alive[actor % len(alive)])
    kind_, actor = operation.kind, operation.actor
    if kind_ == "exit" or kind_.startswith("unshare"):
        return operation
    paths, mounted = places(state, actor)
    if kind_ == "mount":
        return operation._replace(target=_one(target, paths), source=f"t{number}")
    if kind_ in ("bind", "rbind"):
        return operation._replace(target=_one(target, ["/", *paths]), source=_one(source, ["/", *paths]))
    if kind_ == "move":
        return operation._replace(target=_one(target, ["/", *paths]), source=_one(source, paths, mounted))
    if kind_.startswith("umount"):
        return operation._replace(target=_one(target, paths, mounted))
    return operation._replace(target=_one(target, ["/", *paths], ["/", *mounted]))


def places(state: State, namespace: int) -> tuple[list[str], list[str]]:
    """The paths that lead somewhere in a namespace, and those of them that lead to a mount's root."""
    paths, mounted = [], []
    for path in PATHS:
        try:
            place = state.find(namespace, path)
        except Refused:
            continue
        paths.append(path)
        if place.is_root:
            mounted.append(path)
    return paths, mounted


def _one(number: int, paths: Sequence[str], preferred: Sequence[str] = ()) -> str:
    if number == _CHOICES - 1:
        return MISSING
    chosen = preferred if preferred and number < _ON_MOUNTS else paths
    return chosen[number % len(chosen)]


def _possible(operation: Operation, state: State) -> bool:
    if operation.kind.startswith("unshare"):
        return len(state.namespaces) < MOST_NAMESPACES
    return operation.kind != "exit" or len(state.namespaces) > 1


def replay(operations: Iterable[Operation], known: Set[str] = frozenset()) -> list[Step]:
    """What the model says of a program exactly as it stands."""
    steps: list[Step] = []
    state = first()
    for operation in operations:
        state, errno = outcome(state, operation, known)
        steps.append(Step(operation, errno, state))
    return steps
