"""Where a process is born, and which PID namespaces it may make or join for its children."""

from __future__ import annotations

from dataclasses import replace

from harness.models.acts import OK, Act
from harness.models.pid.state import DEEPEST, HIDDEN, Process, Space, State
from harness.models.rules import rule


@rule(OK, "ENOMEM")
def may_be_born(state: State, space: int) -> str:
    """Nobody is born into a namespace whose init has ended.

    Source: pid_namespaces(7), The namespace init process.
    """
    return "ENOMEM" if state.spaces[space].dead else OK


@rule(OK, "EINVAL", "ENOSPC")
def may_make(state: State, me: Process, levels: int) -> str:
    """Only who has its children in its own namespace makes a new one, and at most 32 are nested.

    Source: unshare(2), ERRORS; pid_namespaces(7), setns(2) and unshare(2) semantics; clone(2), ERRORS.
    """
    if me.children_space != me.space:
        return "EINVAL"
    return "ENOSPC" if state.spaces[me.space].level + levels > DEEPEST else OK


@rule(OK, "EINVAL")
def may_join(state: State, me: Process, target: int) -> str:
    """A process may have its children in its own namespace or in a descendant of it, never in an ancestor.

    Source: pid_namespaces(7), Nesting PID namespaces; setns(2), ERRORS.
    """
    return OK if state.within(target, me.space) else "EINVAL"


@rule()
def forked(parent: Process, number: int) -> Process:
    """A child is where its parent's children go, has its own children there, and is no subreaper.

    Source: pid_namespaces(7), setns(2) and unshare(2) semantics; prctl(2), PR_SET_CHILD_SUBREAPER.
    """
    return replace(parent, space=parent.children_space, parent=number, subreaper=False)


def bear(state: State, act: Act) -> tuple[State, str]:
    """A child, where the parent's children go or at the end of a chain of new namespaces."""
    me = state.processes[act.actor]
    if act.verb == "fork":
        answer = may_be_born(state, me.children_space)
        return (_born(state, act.argument, act.actor) if answer == OK else state), answer
    child, detail = act.argument
    levels = detail if act.verb == "nest" else 1
    answer = may_make(state, me, levels)
    if answer != OK:
        return state, answer
    parent, own = act.actor, me.children_space
    for left in reversed(range(levels)):
        state, space = made(state, state.processes[parent].space)
        state = state.having(parent, replace(state.processes[parent], children_space=space))
        number = state.hidden if left else child
        state = _born(state, number, parent)
        # clone(2) makes a namespace for the one child, unlike unshare(2).
        state = state.having(parent, replace(state.processes[parent], children_space=own))
        own, parent = space, number
    return state, OK


def made(state: State, parent: int) -> tuple[State, int]:
    """A new namespace in another one, and its number."""
    new = Space(parent, state.spaces[parent].level + 1)
    return replace(state, spaces=(*state.spaces, new)), len(state.spaces)


def _born(state: State, number: int, parent: int) -> State:
    """A child of a process; the first one in a namespace is its init."""
    child = forked(state.processes[parent], parent)
    if state.spaces[child.space].init is None:
        spaces = [*state.spaces]
        spaces[child.space] = replace(spaces[child.space], init=number)
        state = replace(state, spaces=tuple(spaces))
    hidden = number >= HIDDEN
    return replace(state.having(number, child), born=state.born + (not hidden), hidden=state.hidden + hidden)
