"""Operations beyond the model, and programs of these and of the model's own.

Here the model is only a guide: it says which paths lead somewhere, so that most steps act on something that
is there. What an operation does, the kernels say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import replace
from itertools import pairwise, zip_longest

from harness.propagation.operations import Operation
from harness.propagation.programs import (
    CHOICES,
    LIMITS,
    MOST_MOUNTS,
    OPENINGS,
    Draw,
    meant,
    one_of,
    parse,
    places,
    possible,
)
from harness.propagation.render import Tables, of_state
from harness.propagation.state import State, first
from harness.search.guide import ATTACHED, TREES, Guide

WEIGHTS = {
    "tree": 3,
    "tree-r": 4,
    "attach": 7,
    "attach-beneath": 2,
    "move-beneath": 5,
    "mount-beneath": 3,
    "set-group": 6,
    "setattr": 4,
    "setattr-r": 4,
    "remount": 4,
    "open": 2,
    "write": 2,
    "cwd": 1,
    "chroot": 2,
    "let-go": 1,
}
"""How often each kind is drawn, compared with the model's own."""

_KINDS = [kind for kind, weight in WEIGHTS.items() for _ in range(weight)]
_OWN, _WHOM, _SOURCE = LIMITS
WIDER: Draw = (_OWN + len(_KINDS), _WHOM, _SOURCE)
"""The limits of draws that also stand for operations beyond the model."""

_SITUATIONS = """
mount t1 /a; mount-beneath t2 /a
mount-beneath t2 /
mount t1 /a; mount t2 /b; move-beneath /b /a
mount t1 /a; make-shared /a; bind /a /b; mount t2 /a/a; mount-beneath t3 /b/a
make-shared /; mount t1 /a; unshare-user; mount-beneath t2 /a; ns1: umount /a; ns1: umount /a
mount t1 /a; make-shared /a; bind /a /b; make-private /b; set-group /a /b; mount t2 /a/a
mount t1 /a; make-shared /a; bind /a /b; make-slave /b; bind /a /a/c; make-private /a/c; set-group /b /a/c
make-shared /; mount t1 /a; tree-r d1 /; attach d1 /b
mount t1 /a; tree d1 /a; setattr ro,shared d1; attach d1 /b; attach d1 /a/b
mount t1 /a; tree-r d1 /; unshare-user; ns1: attach d1 /b; umount-l /a
mount t1 /a; tree d1 /a; umount-l /a; attach-beneath d1 /
mount t1 /a; setattr-r ro,nosuid /; unshare-user; ns1: remount noexec /a; ns1: setattr-r rw /
mount t1 /a; setattr noatime /a; make-shared /; unshare-user; ns1: remount relatime /a; ns1: bind /a /b
mount t1 /a; make-shared /; unshare; ns1: open /a; umount /a; write /b; remount ro /
mount t1 /a; mount t2 /a/a; cwd /a/a; umount /a/a; umount-l /a; let-go
make-shared /; mount t1 /a; bind /a /b; make-slave /b; chroot /b; make-shared /b; mount t2 /a/a
make-shared /; unshare-user; ns1: chroot /a; mount t1 /a; ns1: mount t2 /a/a; umount-l /a
"""
BEGINNINGS = (*OPENINGS, *(tuple(parse(line)) for line in _SITUATIONS.strip().split("\n")))
"""How programs may begin: as the model's do, or with what is rarely drawn step by step."""

ATTRIBUTES = (
    *("ro", "nosuid", "nodev,noexec", "noatime", "rw", "suid,dev", "exec", "relatime"),
    *("shared", "slave", "private", "unbindable", "ro,shared", "rw,nosuid,slave", "noatime,private"),
)
FLAGS = ("ro", "nosuid", "nodev,noexec", "noatime", "", "ro,nosuid", "noexec", "ro,noatime")


def read(
    drawn: Iterable[Draw],
    known: Iterable[Set[str]] = (frozenset(),),
    opening: int = 0,
) -> Iterator[Operation]:
    """The operations that draws stand for.

    Left out is what models with these sets of ``known`` differences would tell apart: so a search goes on
    behind what is known.
    """
    guides = [Guide(first(each)) for each in dict.fromkeys(map(frozenset, known))]
    for operation in _meant(drawn, opening, guides):
        after = [guide.after(operation) for guide in guides]
        if len(after[0].state.mounts) > MOST_MOUNTS or apart(after):
            continue
        guides[:] = after
        yield operation


def _meant(drawn: Iterable[Draw], opening: int, guides: list[Guide]) -> Iterator[Operation]:
    yield from BEGINNINGS[opening]
    for number, draw in enumerate(drawn, 1):
        operation = wider(draw, number, guides[0])
        if possible(operation, guides[0].state):
            yield operation


def wider(draw: Draw, number: int, guide: Guide) -> Operation:
    """The operation that a draw means, the model's own or one beyond it."""
    kind, whom, source = draw
    if kind < _OWN:
        return meant(draw, number, guide.state)
    actor, target = divmod(whom, CHOICES)
    alive = sorted(guide.state.namespaces)
    it = Operation(_KINDS[kind - _OWN], alive[actor % len(alive)])
    if it.kind == "let-go":
        return it
    paths, mounted = places(guide.state, it.actor)
    trees = [*guide.trees]
    if it.kind in ATTACHED and not trees:
        it = it._replace(kind="tree-r")
    it = it._replace(target=one_of(target, ["/", *paths], ["/", *mounted]))
    if it.kind in TREES:
        return it._replace(source=f"d{number}")
    if it.kind in ATTACHED:
        return it._replace(source=trees[source % len(trees)])
    if it.kind == "set-group":
        same = _of_same_file_system(guide.state, it, mounted)
        return it._replace(source=one_of(source, paths or ["/"], same))
    if it.kind == "move-beneath":
        return it._replace(source=one_of(source, ["/", *paths], mounted))
    if it.kind == "mount-beneath":
        return it._replace(source=f"t{number}")
    if it.kind.startswith("setattr"):
        on_tree = guide.trees and target % 4 == 0
        target_ = trees[target % len(trees)] if on_tree else it.target
        return it._replace(target=target_, source=ATTRIBUTES[source % len(ATTRIBUTES)])
    return it._replace(source=FLAGS[source % len(FLAGS)]) if it.kind == "remount" else it


def _of_same_file_system(state: State, operation: Operation, paths: Iterable[str]) -> list[str]:
    """The paths of mounts that show the file system that the target's mount shows."""
    shows = {path: state.find(operation.actor, path).mount.source for path in ("/", *paths)}
    target = shows.get(operation.target)
    return [path for path, source in shows.items() if source == target and path != operation.target]


def apart(guides: list[Guide]) -> bool:
    """Whether models with different known differences tell a step apart."""
    return any(
        one.errno != other.errno or (one.state is not other.state and shown(one) != shown(other))
        for one, other in pairwise(guides)
    )


def shown(guide: Guide) -> Tables:
    """The tables that a model has."""
    return of_state(guide.state)


def replay(operations: Iterable[Operation], known: Set[str], refused: Iterable[str] = ()) -> Iterator[Guide]:
    """What a model makes of each step of a program.

    With the errors that a host had, so far as they are known: a step beyond the model that was ``refused``
    there changes nothing here, for the model does not know why; nor does it know what keeps a mount busy.
    """
    guide = Guide(first(known))
    for operation, errno in zip_longest(operations, refused, fillvalue=""):
        assert isinstance(operation, Operation)
        beyond = errno == "EBUSY" or (errno and operation.kind in WEIGHTS)
        guide = replace(guide, errno=errno) if beyond else guide.after(operation)
        yield guide
