"""Who sees whom, under which number, and which links to PID namespaces there are."""

from __future__ import annotations

from collections.abc import Set

from harness.models.acts import View, by_each, letter, links
from harness.models.deviations import LINKED_EARLY
from harness.models.pid.state import OUTSIDE, Process, Space, State
from harness.models.rules import rule


@rule(True, False)
def sees(state: State, viewer: int, seen: int) -> bool:
    """A process is visible in its own namespace and in each ancestor of that, nowhere else.

    Source: pid_namespaces(7), Nesting PID namespaces.
    """
    return state.within(state.processes[seen].space, viewer)


@rule("1", "other")
def number_in(state: State, space: int, process: int) -> str:
    """The first process of a namespace has the number 1 there; in each layer a process has another number.

    Source: pid_namespaces(7), The namespace init process; Nesting PID namespaces.
    """
    return "1" if state.spaces[space].init == process else "other"


@rule(True, False)
def sees_parent(state: State, me: Process) -> bool:
    """Whose parent is outside its namespace gets 0 from getppid(2).

    Source: pid_namespaces(7), Nesting PID namespaces.
    """
    return me.space == 0 if me.parent == OUTSIDE else sees(state, me.space, me.parent)


@rule(True, False)
def is_linked(space: Space, known: Set[str]) -> bool:
    """Before its first process, no link pid_for_children shows a namespace.

    Source: namespaces(7), /proc/pid/ns/pid_for_children.
    """
    return space.init is not None or LINKED_EARLY in known


def view(state: State) -> View:
    """By each actor: its numbers in all layers, its parent's, all others' that it sees, signals handled.

    A number is 1, 0 where there is none, or the letter of the process whose it is. Who is stopped sees
    nothing and is seen by none: that it is stopped is all.
    """
    mine = {number: actor.space for number, actor in state.actors.items()}
    for_children = {
        number: actor.children_space
        for number, actor in state.actors.items()
        if is_linked(state.spaces[actor.children_space], state.known)
    }
    return {
        **by_each(state.actors, lambda number: _seen_by(state, number)),
        **links({"pid": mine, "pid_for_children": for_children}),
    }


def _seen_by(state: State, number: int) -> View:
    me = state.processes[number]
    if me.stopped:
        return {"stopped": True}
    others = [other for other, one in state.actors.items() if other != number and not one.stopped]
    return {
        "its numbers": [_shown(state, space, number) for space in state.layers(me.space)],
        "its parent": _shown(state, me.space, me.parent) if sees_parent(state, me) else 0,
        "signals handled": me.signals,
        **{
            f"sees {letter(other)}": _shown(state, me.space, other) if sees(state, me.space, other) else 0
            for other in others
        },
    }


def _shown(state: State, space: int, process: int) -> object:
    return 1 if number_in(state, space, process) == "1" else letter(process)
