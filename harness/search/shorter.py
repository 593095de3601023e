"""Make a program that shows something as short and as plain as it can be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from harness.propagation.operations import Operation

Shown = TypeVar("Shown")


def smallest(found: Shown, simpler: Callable[[Shown], Iterable[Shown | None]]) -> Shown:
    """What is found with the first simpler program that shows it too, again and again, until none does."""
    while better := next(filter(None, simpler(found)), None):
        found = better
    return found


def runnable(operations: Iterable[Operation]) -> list[Operation]:
    """A program without operations in namespaces that are not there."""
    alive = {0}
    kept = []
    for operation in operations:
        if operation.actor in alive:
            kept.append(operation)
            if operation.kind.startswith("unshare"):
                alive.add(min(set(range(len(alive) + 1)) - alive))
            elif operation.kind == "exit":
                alive.remove(operation.actor)
    return kept


def simplified(operations: Sequence[Operation]) -> Iterator[list[Operation]]:
    """Programs that are simpler: without a step, with fewer actors, or with a step that says less."""
    for number in reversed(range(len(operations))):
        if shorter := runnable([*operations[:number], *operations[number + 1 :]]):
            yield shorter
    for actor in sorted({operation.actor for operation in operations} - {0}):
        yield runnable(it._replace(actor=0) if it.actor == actor else it for it in operations)
    for number, operation in enumerate(operations):
        for plainer in _plainer(operation):
            yield runnable([*operations[:number], plainer, *operations[number + 1 :]])


def _plainer(operation: Operation) -> Iterator[Operation]:
    kind, actor, target, source = operation
    if kind.startswith("make-r") or kind == "rbind":
        yield operation._replace(kind=kind.replace("-r", "-").replace("rbind", "bind"))
    if kind in ("unshare-user", "unshare-first"):
        yield operation._replace(kind="unshare")
    if kind == "umount-l":
        yield operation._replace(kind="umount")
    if actor:
        yield operation._replace(actor=0)
    for path in ("/", "/a", "/b"):
        if target not in ("", "/", "/a", path) and not (
            path == "/" and kind in ("mount", "umount", "umount-l")
        ):
            yield operation._replace(target=path)
        if (
            source.startswith("/")
            and source not in ("/", "/a", path)
            and not (path == "/" and kind == "move")
        ):
            yield operation._replace(source=path)
