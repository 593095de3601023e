"""PID namespaces as pid_namespaces(7) has them: who sees whom, who can end or stop whom, who adopts whom.

All actors are one privileged user, handle SIGUSR1, and leave their dead children to the kernel. The parent of
the first, and the init of its namespace, is a process that is no actor and never ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import replace

from harness.models.acts import OK, SHELLS, Act, Lines, letter
from harness.models.pid.births import bear, made, may_join, may_make
from harness.models.pid.deaths import ended
from harness.models.pid.sight import sees, view
from harness.models.pid.signals import DOES, sent
from harness.models.pid.state import DEEPEST, OUTSIDE, Process, Space, State

__all__ = ["LINES", "VERBS", "choices", "start", "step", "view"]

MOST = 6

VERBS = (
    *["fork"] * 5,
    *["kill"] * 3,
    *["subreaper", "unshare", "clone", "exit", "setns", "signal"] * 2,
    *["keep", "return", "nest"],
)


def start(room: int = DEEPEST - 1, known: Set[str] = frozenset()) -> State:
    """One actor in a namespace below which ``room`` more fit, on a kernel with these known differences."""
    first = Space(None, DEEPEST - room, OUTSIDE)
    return State({0: Process(0, 0, OUTSIDE)}, (first,), known)


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
        "kill": _signals(actor, reversed(visible)),
        "signal": _signals(actor, state.actors),
    }
    return [Act(verb, actor, argument) for argument in arguments.get(verb, (None,))]


def _signals(actor: int, targets: Iterable[int]) -> list[tuple[int, str]]:
    """Whom to send what; nobody stops itself, for it could not tell how that went."""
    return [(other, name) for other in targets for name in DOES if (other, name) != (actor, "STOP")]


def step(state: State, act: Act) -> tuple[State, str]:
    """The state after an act, and the act's answer: ``ok`` or the name of an error number."""
    me = state.processes[act.actor]
    if act.verb in ("fork", "clone", "nest"):
        return bear(state, act)
    if act.verb in ("kill", "signal"):
        return sent(state, me, *act.argument)
    if act.verb == "exit":
        return ended(state, act.actor), OK
    if act.verb == "unshare":
        answer = may_make(state, me, 1)
        if answer == OK:
            state, new = made(state, me.space)
            me = replace(me, children_space=new)
    elif act.verb in ("setns", "return"):
        target = me.kept if act.verb == "return" else state.processes[act.argument].space
        if target is None:
            return state, "EBADF"
        answer = may_join(state, me, target)
        me = replace(me, children_space=target) if answer == OK else me
    elif act.verb == "keep":
        answer, me = OK, replace(me, kept=state.processes[act.argument].space)
    else:
        answer, me = OK, replace(me, subreaper=act.argument)
    return state.having(act.actor, me), answer


LINES: Lines = {
    **SHELLS,
    "clone": lambda it: f"clone(CLONE_NEWPID)    # the child's shell is {letter(it[0])}",
    "nest": lambda it: (
        f"clone(CLONE_NEWPID), {it[1]} times, each in the last    # the last's shell is {letter(it[0])}"
    ),
    "unshare": "unshare(CLONE_NEWPID)    # for children to come",
    "setns": lambda other: f"setns /proc/${letter(other)}/ns/pid    # for children to come",
    "keep": lambda other: f"exec 9</proc/${letter(other)}/ns/pid",
    "return": "setns /proc/self/fd/9    # for children to come",
    "kill": lambda it: f"kill -{it[1]} ${letter(it[0])}",
    "signal": lambda it: f"pidfd_send_signal {it[1]} to {letter(it[0])}    # by a descriptor from outside",
    "subreaper": lambda on: f"prctl(PR_SET_CHILD_SUBREAPER, {int(bool(on))})",
}
"""Each act as a line of the actor's shell; where no program does it, as the system call."""
