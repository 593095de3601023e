"""What ends with a process, and who adopts what it leaves behind."""

from __future__ import annotations

from dataclasses import replace

from harness.models.pid.state import Process, State
from harness.models.rules import rule


@rule("init", "subreaper")
def kind_of_adopter(state: State, dead: Process) -> str:
    """Orphans go to the nearest subreaper above the dead in its namespace, else to that namespace's init.

    Source: pid_namespaces(7), Adoption of orphaned children; prctl(2), PR_SET_CHILD_SUBREAPER.
    """
    return "init" if subreaper_above(state, dead) is None else "subreaper"


@rule(True, False)
def ends_with(state: State, process: int, dead: int) -> bool:
    """With an init ends its namespace: all processes in it, and in those below.

    Source: pid_namespaces(7), The namespace init process.
    """
    space = state.processes[dead].space
    return state.spaces[space].init == dead and state.within(state.processes[process].space, space)


def adopter(state: State, dead: Process) -> int:
    """Who adopts the children of the dead."""
    subreaper = kind_of_adopter(state, dead) == "subreaper"
    found = subreaper_above(state, dead) if subreaper else state.spaces[dead.space].init
    assert found is not None
    return found


def subreaper_above(state: State, dead: Process) -> int | None:
    """The nearest ancestor in the same namespace that is a subreaper."""
    number = dead.parent
    while number in state.processes and state.processes[number].space == dead.space:
        if state.processes[number].subreaper:
            return number
        number = state.processes[number].parent
    return None


def ended(state: State, number: int) -> State:
    """Without a process and all that ends with it; what it leaves behind is adopted."""
    gone = {other for other in state.processes if other == number or ends_with(state, other, number)}
    dead = state.processes[number]
    left = {
        other: replace(one, parent=adopter(state, dead)) if one.parent == number else one
        for other, one in state.processes.items()
        if other not in gone
    }
    spaces = tuple(replace(one, dead=True) if one.init in gone else one for one in state.spaces)
    return replace(state, processes=left, spaces=spaces)
