"""PID namespaces as pid_namespaces(7) has them: who sees whom, who can end whom, who adopts whom.

All actors are one privileged user, handle SIGUSR1, and leave their dead children to the kernel. The parent of
the first, and the init of its namespace, is a process that is no actor and never ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.models.acts import OK, Act, View, by_appearance, letter
from harness.models.rules import rule

MOST = 6
OUTSIDE = -1
"""The parent of the first actor and the init of its namespace."""
HIDDEN = 100
"""From here on, numbers are those of processes that are no actors: inits between nested namespaces."""
DEEPEST = 32
"""Namespaces below the initial one: ``MAX_PID_NS_LEVEL``."""


@dataclass(frozen=True)
class Space:
    """A PID namespace: that in which it is, how deep it is, and its init, which is None before its birth."""

    parent: int | None
    level: int
    init: int | None = None
    dead: bool = False


@dataclass(frozen=True)
class Process:
    """A living process."""

    space: int
    children_space: int
    """Where its children will be: ``/proc/PID/ns/pid_for_children``."""
    parent: int
    subreaper: bool = False
    signals: int = 0
    """How often its handler of SIGUSR1 has run, its ancestors' before the fork included."""
    kept: int | None = None


@dataclass(frozen=True)
class State:
    """The living processes, all namespaces there ever were, and who is born next."""

    processes: Mapping[int, Process]
    spaces: tuple[Space, ...]
    release: tuple[int, int]
    """The kernel's version, on which one rule depends."""
    born: int = 1
    hidden: int = HIDDEN

    @property
    def actors(self) -> Mapping[int, Process]:
        """Those who act."""
        return {number: one for number, one in self.processes.items() if number < HIDDEN}


VERBS = (
    *["fork"] * 5,
    *["subreaper", "unshare"] * 2,
    *["clone", "kill", "exit", "setns"] * 2,
    *["signal", "keep", "return", "nest"],
)
SIGNALS = ("KILL", "TERM", "USR1")


def start(room: int = DEEPEST - 1, release: Sequence[int] = (7, 0)) -> State:
    """One actor in a namespace below which ``room`` more fit, on a kernel of this version."""
    first = Space(None, DEEPEST - room, OUTSIDE)
    return State({0: Process(0, 0, OUTSIDE)}, (first,), (release[0], release[1]))


def choices(state: State, actor: int, verb: str) -> list[Act]:
    """The acts of this kind that an actor could try."""
    me, room = state.processes[actor], state.born < MOST
    left = DEEPEST - state.spaces[me.space].level
    others = [other for other in state.actors if other != actor]
    visible = [other for other in state.actors if sees(state, me.space, other)]
    arguments: Mapping[str, Iterable[object]] = {
        "fork": (state.born,) * room,
        "clone": ((state.born, "pid"),) * room,
        "nest": [(state.born, levels) for levels in (*[2] * 12, left, left + 1) if room and levels > 1],
        "unshare": ("pid",),
        "setns": (*others, actor),
        "keep": (*others, actor),
        "return": (None,) * (me.kept is not None),
        "subreaper": (True, True, False),
        "kill": [(other, name) for name in SIGNALS for other in reversed(visible)],
        "signal": [(other, name) for other in state.actors for name in SIGNALS],
    }
    return [Act(verb, actor, argument) for argument in arguments.get(verb, (None,))]


def within(state: State, space: int, outer: int) -> bool:
    """Whether a namespace is another one or a descendant of it."""
    here: int | None = space
    while here is not None and here != outer:
        here = state.spaces[here].parent
    return here is not None


@rule(True, False)
def sees(state: State, viewer: int, seen: int) -> bool:
    """A process is visible in its own namespace and in each ancestor of that, nowhere else.

    Source: pid_namespaces(7), Nesting PID namespaces.
    """
    return within(state, state.processes[seen].space, viewer)


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
def is_linked(space: Space, release: tuple[int, int]) -> bool:
    """Before its first process, no link pid_for_children shows a namespace; on newer kernels it does.

    Source: pid_namespaces(7), setns(2) and unshare(2) semantics; otherwise since Linux 7.1: seen in 7.1.13
    and 7.3.4, not in 7.0.13; no manual page tells of it yet.
    """
    return space.init is not None or release >= (7, 1)


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
    return OK if within(state, target, me.space) else "EINVAL"


@rule("ends", "handled", "ignored")
def effect(state: State, sender: Process, target: int, name: str) -> str:
    """An init gets only signals that it handles, and from an ancestor namespace SIGKILL; others get all.

    Source: pid_namespaces(7), The namespace init process.
    """
    if name == "USR1":
        return "handled"
    space = state.processes[target].space
    if state.spaces[space].init != target:
        return "ends"
    return "ends" if name == "KILL" and sender.space != space else "ignored"


@rule(OK, "EINVAL")
def may_signal(state: State, sender: Process, target: int) -> str:
    """Not even a descriptor of a process lets one signal it that is not in the own namespace or below.

    Source: pidfd_send_signal(2), ERRORS; pid_namespaces(7), Nesting PID namespaces.
    """
    return OK if sees(state, sender.space, target) else "EINVAL"


@rule("init", "subreaper")
def kind_of_adopter(state: State, dead: Process) -> str:
    """Orphans go to the nearest subreaper above the dead in its namespace, else to that namespace's init.

    Source: pid_namespaces(7), Adoption of orphaned children; prctl(2), PR_SET_CHILD_SUBREAPER.
    """
    return "init" if subreaper_above(state, dead) is None else "subreaper"


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


@rule(True, False)
def ends_with(state: State, process: int, dead: int) -> bool:
    """With an init ends its namespace: all processes in it, and in those below.

    Source: pid_namespaces(7), The namespace init process.
    """
    space = state.processes[dead].space
    return state.spaces[space].init == dead and within(state, state.processes[process].space, space)


@rule()
def forked(parent: Process, number: int) -> Process:
    """A child is where its parent's children go, has its own children there, and is no subreaper.

    Source: pid_namespaces(7), setns(2) and unshare(2) semantics; prctl(2), PR_SET_CHILD_SUBREAPER.
    """
    return replace(parent, space=parent.children_space, parent=number, subreaper=False)


def step(state: State, act: Act) -> tuple[State, str]:
    """The state after an act, and the act's answer: ``ok`` or the name of an error number."""
    me = state.processes[act.actor]
    if act.verb in ("fork", "clone", "nest"):
        return _bear(state, act, me)
    if act.verb == "unshare":
        answer = may_make(state, me, 1)
        if answer == OK:
            state, new = _made(state, me.space)
            me = replace(me, children_space=new)
    elif act.verb in ("setns", "return"):
        target = me.kept if act.verb == "return" else state.processes[act.argument].space
        assert target is not None
        answer = may_join(state, me, target)
        me = replace(me, children_space=target) if answer == OK else me
    elif act.verb == "keep":
        answer, me = OK, replace(me, kept=state.processes[act.argument].space)
    elif act.verb == "subreaper":
        answer, me = OK, replace(me, subreaper=act.argument)
    elif act.verb == "exit":
        return _ended(state, act.actor), OK
    else:
        return _signalled(state, me, act)
    return _with(state, act.actor, me), answer


def _bear(state: State, act: Act, me: Process) -> tuple[State, str]:
    """A child, where the parent's children go or at the end of a chain of new namespaces."""
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
        state, space = _made(state, state.processes[parent].space)
        state = _with(state, parent, replace(state.processes[parent], children_space=space))
        number = state.hidden if left else child
        state = _born(state, number, parent)
        # clone(2) makes a namespace for the one child, unlike unshare(2).
        state = _with(state, parent, replace(state.processes[parent], children_space=own))
        own, parent = space, number
    return state, OK


def _made(state: State, parent: int) -> tuple[State, int]:
    """A new namespace in another one."""
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
    return replace(_with(state, number, child), born=state.born + (not hidden), hidden=state.hidden + hidden)


def _signalled(state: State, me: Process, act: Act) -> tuple[State, str]:
    target, name = act.argument
    answer = may_signal(state, me, target)
    if answer != OK:
        return state, answer
    done = effect(state, me, target, name)
    if done == "ends":
        return _ended(state, target), OK
    if done == "handled":
        process = state.processes[target]
        return _with(state, target, replace(process, signals=process.signals + 1)), OK
    return state, OK


def _ended(state: State, number: int) -> State:
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


def _with(state: State, number: int, process: Process) -> State:
    return replace(state, processes={**state.processes, number: process})


def view(state: State) -> View:
    """By each actor: its numbers in all layers, its parent's, all others' that it sees, signals handled.

    A number is 1, 0 where there is none, or the letter of the process whose it is.
    """
    seen: dict[str, object] = {}
    for number, actor in state.actors.items():
        mine = letter(number)
        seen[f"{mine}: its numbers"] = [_shown(state, space, number) for space in _layers(state, actor.space)]
        seen[f"{mine}: its parent"] = (
            _shown(state, actor.space, actor.parent) if sees_parent(state, actor) else 0
        )
        seen[f"{mine}: signals handled"] = actor.signals
        for other in state.actors:
            if other != number:
                visible = sees(state, actor.space, other)
                seen[f"{mine}: sees {letter(other)}"] = _shown(state, actor.space, other) if visible else 0
    return {**seen, **_namespaces(state)}


def _layers(state: State, space: int) -> list[int]:
    """The namespaces in which a process of one has a number, the first actor's first."""
    layers: list[int] = []
    here: int | None = space
    while here is not None:
        layers.insert(0, here)
        here = state.spaces[here].parent
    return layers


def _shown(state: State, space: int, process: int) -> object:
    return 1 if number_in(state, space, process) == "1" else letter(process)


def _namespaces(state: State) -> dict[str, object]:
    links: dict[str, object] = {}
    for number, actor in state.actors.items():
        links[f"{letter(number)}: pid namespace"] = actor.space
    for number, actor in state.actors.items():
        if is_linked(state.spaces[actor.children_space], state.release):
            links[f"{letter(number)}: pid_for_children namespace"] = actor.children_space
    return {**by_appearance(links)}


def tell(act: Act) -> str:
    """The act as a line of the actor's shell; where no program does it, as the system call."""
    argument = act.argument
    if act.verb == "fork":
        return f"sh    # its shell is {letter(argument)}"
    if act.verb == "clone":
        return f"clone(CLONE_NEWPID)    # the child's shell is {letter(argument[0])}"
    if act.verb == "nest":
        child, levels = argument
        return (
            f"clone(CLONE_NEWPID), {levels} times, each in the last    # the last's shell is {letter(child)}"
        )
    if act.verb in ("setns", "keep"):
        path = f"/proc/${letter(argument)}/ns/pid"
        return f"setns {path}    # for children to come" if act.verb == "setns" else f"exec 9<{path}"
    if act.verb in ("kill", "signal"):
        target, name = argument
        return {
            "kill": f"kill -{name} ${letter(target)}",
            "signal": f"pidfd_send_signal {name} to {letter(target)}    # by a descriptor from outside",
        }[act.verb]
    return {
        "unshare": "unshare(CLONE_NEWPID)    # for children to come",
        "return": "setns /proc/self/fd/9    # for children to come",
        "subreaper": f"prctl(PR_SET_CHILD_SUBREAPER, {int(bool(argument))})",
        "exit": "exit",
    }[act.verb]
