"""Programs of mount operations over a small universe of places, and what the model says of each step.

A step is drawn as numbers and read in the model's state: so a step may be left out of a program without the
others losing their sense, and most steps act on something that is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from typing import NamedTuple

from harness.propagation.operations import Operation, outcome
from harness.propagation.state import FIRST, State, first
from harness.propagation.umount import untold

MOST_NAMESPACES = 4
MOST_MOUNTS = 48
"""Mounts double with each recursive bind of what they are on: a step that leads beyond is left out."""

PATHS = ("/a", "/b", "/a/c", "/a/a", "/b/a", "/a/b", "/b/b", "/b/c", "/a/a/c")
"""Places, nested; some are there only where a file system or a directory is mounted above."""

_STEPS = [(path, *path.rpartition("/")[::2]) for path in PATHS]
"""Each of them with the place before it, which stands before it, and the last name."""

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
CHOICES = 16
"""How many numbers choose a place; the last one chooses what is nowhere, those before it anything."""
_ON_MOUNTS = 12

Draw = tuple[int, int, int]
"""A step before there is a state to read it in: what, by whom and where, from where."""

LIMITS: Draw = (len(_KINDS), MOST_NAMESPACES * CHOICES, CHOICES)
"""Each number of a draw is below its limit."""


class Step(NamedTuple):
    """An operation, the error and the state that the model has after it."""

    operation: Operation
    errno: str
    state: State


def read(drawn: Iterable[Draw], known: Set[str] = frozenset(), begun: Sequence[Step] = ()) -> Iterator[Step]:
    """The steps that draws stand for, without those that make no sense or too much; after an opening's.

    They end where the model can't tell what would be seen next.
    """
    yield from begun
    state = begun[-1].state if begun else first(known)
    for number, draw in enumerate(drawn, 1):
        operation = meant(draw, number, state)
        if not possible(operation, state):
            continue
        after, errno = outcome(state, operation)
        if len(after.mounts) <= MOST_MOUNTS:
            yield Step(operation, errno, after)
            if untold(state, after):
                return
            state = after


def meant(draw: Draw, number: int, state: State) -> Operation:
    """The operation that a draw means where the model has this state."""
    kind, whom, source = draw
    actor, target = divmod(whom, CHOICES)
    alive = sorted(state.namespaces)
    operation = Operation(_KINDS[kind], alive[actor % len(alive)])
    kind_, actor = operation.kind, operation.actor
    if kind_ == "exit" or kind_.startswith("unshare"):
        return operation
    paths, mounted = places(state, actor)
    if kind_ == "mount":
        return operation._replace(target=one_of(target, ["/", *paths]), source=f"t{number}")
    if kind_ in ("bind", "rbind"):
        return operation._replace(target=one_of(target, ["/", *paths]), source=one_of(source, ["/", *paths]))
    if kind_ == "move":
        return operation._replace(
            target=one_of(target, ["/", *paths]), source=one_of(source, ["/", *paths], mounted)
        )
    if kind_.startswith("umount"):
        # Not "/": the model has no umount of it.
        return operation._replace(target=one_of(target, paths, mounted))
    return operation._replace(target=one_of(target, ["/", *paths], ["/", *mounted]))


def places(state: State, namespace: int) -> tuple[list[str], list[str]]:
    """The paths that lead somewhere in a namespace, and those of them that lead to a mount's root."""
    found = {"": state.beginning(namespace)}
    for path, parent, name in _STEPS:
        if parent in found and (place := state.below(found[parent], name)):
            found[path] = place
    del found[""]
    return [*found], [path for path, place in found.items() if place.is_root]


def one_of(number: int, paths: Sequence[str], preferred: Sequence[str] = ()) -> str:
    """The path that a number stands for; most stand for the preferred, one for what is nowhere."""
    if number == CHOICES - 1:
        return MISSING
    chosen = preferred if preferred and number < _ON_MOUNTS else paths
    return chosen[number % len(chosen)]


def possible(operation: Operation, state: State) -> bool:
    """Whether there is room for it: for another namespace, or for one fewer; and what comes of it is told.

    A first mount that is free here is locked on an ordinary user's stage, whose owner is another one than
    the machine's: there, moving it is another error.
    """
    if operation.kind == "move" and operation.source == "/":
        return state.beginning(operation.actor).mount.locked
    if operation.kind.startswith("unshare"):
        return len(state.namespaces) < MOST_NAMESPACES
    return operation.kind != "exit" or len(state.namespaces) > 1


def parse(text: str) -> list[Operation]:
    """A program as :class:`Operation` tells it, parted by semicolons; without ``nsN:``, the first one's.

    >>> parse("mount t1 /a; ns0: unshare; ns1: umount /a")[2]
    Operation(kind='umount', actor=1, target='/a', source='')
    """
    operations = []
    for line in filter(None, map(str.strip, text.split(";"))):
        whom, colon, what = line.rpartition(": ")
        kind, *paths = what.split()
        target, source = [*reversed(paths), "", ""][:2]
        operations.append(Operation(kind, int(whom[2:]) if colon else FIRST, target, source))
    return operations


_OPENINGS = """
make-shared /
make-shared /; unshare-user
make-shared /; unshare-user; ns1: make-shared /; ns1: unshare
make-shared /; unshare-user; ns1: make-shared /; ns1: unshare-user; mount u1 /a; umount /a
make-shared /; mount u1 /a; mount u2 /a/a; unshare-user; umount-l /a
make-shared /; mount u1 /a; mount u2 /a/a; unshare-user; ns1: mount u3 /a/b; umount-l /a
mount u1 /a; mount u2 /a/a; unshare-user; ns1: make-unbindable /a/a; ns1: rbind /a /b
mount u1 /a; mount u2 /a/a; make-shared /a; bind /a /b; unshare-user; mount u3 /b/a; ns1: bind /a /b/b
mount u1 /a; mount u2 /a/a; make-shared /a; bind /a /b; bind /b/b /; rbind / /b/a
mount u1 /a; make-shared /a; unshare; make-slave /a; make-private /a
mount u1 /a; make-shared /a; unshare; make-slave /a; make-unbindable /a
mount u1 /a; make-shared /a; bind /a /b; make-slave /b; make-shared /b; unshare; ns1: make-slave /b;\
 make-private /b
mount u1 /a; make-shared /a; bind /a /b; make-slave /b; make-shared /b; bind /b /a/a; make-slave /b;\
 make-slave /a/a
mount u1 /a; make-shared /a; bind /a /b; make-slave /b; make-shared /b; unshare; ns1: make-rslave /; exit
mount u1 /a; make-shared /a; mount u2 /b; bind /a /b/a; make-slave /a; make-shared /a; bind /a/a /b/b;\
 make-slave /a; mount u3 /b/a/b
mount u1 /a; make-unbindable /a; mount u2 /b; make-shared /b; move /a /b/a
mount u1 /a; move /a/a /b; move /a/a /c
mount u1 /a; mount u2 /a/a; mount u3 /b; make-shared /b; unshare; rbind /a /b/a; ns1: umount /b/a/a
make-shared /; unshare-user; mount u1 /a; ns1: mount u2 /a/a; umount /a
make-shared /; mount u1 /a; mount u2 /a/a; mount u3 /a/a; mount u4 /a/a; unshare; ns1: make-rslave /;\
 ns1: mount u5 /a/a; umount-l /a
make-shared /; mount u1 /a; mount u2 /a/a; mount u3 /a/a; unshare-user; umount-l /a
mount u1 /a; mount t1 /b; move /a /b/a; make-shared /; move /b/a /a; bind /b /a/b; bind / /a/b; unshare-user;\
 umount-l /a
make-shared /; unshare-user; ns1: mount u1 /a; bind /a /; rbind / /
mount u1 /a; mount u2 /a/a; unshare-user; ns1: bind /a/a /b; ns1: umount /b
mount u1 /a; mount u2 /a/a; make-unbindable /a/a; rbind /a /b
mount u1 /a; unshare-user; ns1: move /a /b
make-shared /; unshare-user; mount u1 /a; mount u2 /a/a; mount u3 /b; rbind /a /b/a; ns1: umount /b/a/a
unshare-user; ns1: move / /a
make-rprivate /c; make-runbindable /c; make-rprivate /a; make-runbindable /a; mount u1 /a; mount u2 /a/a;\
 make-shared /a/a; bind /a/a /b; make-slave /b; make-shared /b; move /b /a/b; rbind /a/b /b; make-shared /b;\
 make-private /b; bind /a/b /b; make-unbindable /b; make-unbindable /a/b
mount u1 /a; make-shared /a; bind /a /b; make-slave /b; make-shared /b; move /b /a/a
mount u0 /a; mount u1 /a/a; make-shared /a/a; bind /a/a /a/b; make-slave /a/b; move /a/b /b; mount u2 /a/b;\
 make-shared /a/b; bind /b /a/b/a; rbind /b /a/b/b; move /b /a/b/a; move /a/a /a/b/b
"""
OPENINGS = tuple(tuple(parse(line)) for line in _OPENINGS.removesuffix("\n").split("\n"))
"""How programs may begin: what many rules need is rarely drawn step by step. The first opening is empty."""


def replay(operations: Iterable[Operation], known: Set[str] = frozenset()) -> list[Step]:
    """What the model says of a program exactly as it stands, as far as the model can tell."""
    steps: list[Step] = []
    state = first(known)
    for operation in operations:
        after, errno = outcome(state, operation)
        steps.append(Step(operation, errno, after))
        if untold(state, after):
            break
        state = after
    return steps
