"""IPC namespaces as ipc_namespaces(7) and sysvipc(7) have them: which objects are seen where.

System V message queues, memory segments and semaphore sets; POSIX message queues. All actors are one user.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from harness.models.acts import MOST, OK, SHELLS, Act, Lines, View, by_each, letter, links
from harness.models.ipc.posix import may_open, may_unlink
from harness.models.ipc.state import SORTS, Actor, Space, State, having, in_space
from harness.models.ipc.sysv import get, listed, memory_of, remove, swept, use
from harness.models.rules import rule

__all__ = ["LINES", "VERBS", "choices", "start", "step", "view"]

KEYS = (1, 2, 0)
"""Keys of System V objects; 0 is IPC_PRIVATE."""
NAMES = ("one", "two")
VERBS = (
    *["get"] * 4,
    *["remove", "attach", "open"] * 2,
    *["detach", "write", "unlink", "fork", "clone", "unshare", "setns", "keep", "return", "exit"],
)
"""What actors do; what is named more than once is drawn more often."""


def start() -> State:
    """One actor in a namespace that nobody else is in."""
    return State({0: Actor(0)}, (Space(),))


def choices(state: State, actor: int, verb: str) -> list[Act]:
    """The acts of this kind that an actor could try; of numbers, those that were given somewhere."""
    room = state.born < MOST
    here = state.spaces[state.actors[actor].ipc]
    known = [(one.sort, one.id) for one in here.objects]
    known += [(sort, n) for space in state.spaces for sort, made in space.made.items() for n in range(made)]
    arguments: Mapping[str, tuple[object, ...]] = {
        "get": tuple(
            (sort, key, how)
            for how in ("create", "exclusive", "")
            for key in KEYS
            for sort in (*SORTS, "segment")
        ),
        "remove": tuple(known),
        "attach": tuple(number for sort, number in known if sort == "segment"),
        "detach": (None,) * len(state.actors[actor].attached[:1]),
        "write": (1, 2) if state.actors[actor].attached else (),
        "open": tuple((name, how) for how in ("create", "exclusive", "") for name in NAMES),
        "unlink": (*here.names, *(name for space in state.spaces for name in space.names)),
        "fork": (state.born,) * room,
        "clone": ((state.born, "ipc"),) * room,
        "unshare": ("ipc",),
        "setns": tuple(other for other in state.actors if other != actor),
    }
    return [Act(verb, actor, argument) for argument in arguments.get(verb, (None,))]


@rule()
def new_space() -> Space:
    """A new IPC namespace has no objects, and numbers its own from the beginning.

    Source: ipc_namespaces(7); ipc/util.c, ipc_addid.
    """
    return Space()


@rule()
def forked(parent: Actor) -> Actor:
    """A child is in its parent's namespace and inherits attached memory and open files.

    Source: fork(2); shmat(2).
    """
    return parent


@rule()
def moved(me: Actor, space: int) -> Actor:
    """Who goes to another namespace keeps what is attached. Source: shmat(2); ipc_namespaces(7)."""
    return replace(me, ipc=space)


def step(state: State, act: Act) -> tuple[State, object]:
    """The state after an act, and its answer: ``ok``, an object's number, or the name of an error number."""
    me, here = state.actors[act.actor], state.spaces[state.actors[act.actor].ipc]
    if act.verb == "get":
        return get(state, me, here, *act.argument)
    if act.verb == "remove":
        return remove(state, me, here, *act.argument)
    if act.verb in ("attach", "detach", "write"):
        return use(state, act, me, here)
    if act.verb == "open":
        answer = may_open(here, *act.argument)
        names = (*here.names, act.argument[0]) if answer == "made" else here.names
        return in_space(state, me.ipc, replace(here, names=names)), answer if answer[0] == "E" else OK
    if act.verb == "unlink":
        answer = may_unlink(here, act.argument)
        names = tuple(name for name in here.names if name != act.argument)
        return in_space(state, me.ipc, replace(here, names=names)), answer
    return _move(state, act, me)


def _move(state: State, act: Act, me: Actor) -> tuple[State, str]:
    """Be born, go elsewhere, or end."""
    if act.verb == "fork":
        return replace(having(state, act.argument, forked(me)), born=state.born + 1), OK
    if act.verb in ("clone", "unshare"):
        new = moved(forked(me) if act.verb == "clone" else me, len(state.spaces))
        state = replace(state, spaces=(*state.spaces, new_space()))
        if act.verb == "unshare":
            return having(state, act.actor, new), OK
        return replace(having(state, act.argument[0], new), born=state.born + 1), OK
    if act.verb == "setns":
        return having(state, act.actor, moved(me, state.actors[act.argument].ipc)), OK
    if act.verb == "keep":
        return having(state, act.actor, replace(me, kept=me.ipc)), OK
    if act.verb == "return":
        if me.kept is None:
            return state, "EBADF"
        return having(state, act.actor, moved(me, me.kept)), OK
    living = {number: one for number, one in state.actors.items() if number != act.actor}
    return swept(replace(state, actors=living)), OK


def view(state: State) -> View:
    """What each living actor sees: the objects of its namespace, and its attached memory."""
    return {
        **by_each(state.actors, lambda number: _seen_by(state, state.actors[number])),
        **links({"ipc": {number: actor.ipc for number, actor in state.actors.items()}}),
    }


def _seen_by(state: State, me: Actor) -> View:
    space = state.spaces[me.ipc]
    objects = {
        f"{sort}s": [listed(state, me.ipc, one) for one in space.objects if one.sort == sort]
        for sort in SORTS
    }
    return {**objects, "POSIX queues": sorted(space.names), "memory": memory_of(state, me)}


_FLAGS = {"create": "IPC_CREAT", "exclusive": "IPC_CREAT|IPC_EXCL", "": "0"}
_GET = {"queue": "msgget", "segment": "shmget", "semaphore": "semget"}
_REMOVE = {"queue": "queue", "segment": "shmem", "semaphore": "semaphore"}
LINES: Lines = {
    **SHELLS,
    "get": lambda it: f"{_GET[it[0]]} {it[1]:#x} {_FLAGS[it[2]]}",
    "remove": lambda it: f"ipcrm --{_REMOVE[it[0]]}-id {it[1]}",
    "attach": lambda number: f"shmat {number}",
    "detach": "shmdt    # what was attached last",
    "write": lambda value: f"*memory = {value}",
    "open": lambda it: f"mq_open /{it[0]} {_FLAGS[it[1]]}",
    "unlink": lambda name: f"mq_unlink /{name}",
    "clone": lambda it: f"unshare --ipc sh    # in a child, whose shell is {letter(it[0])}",
    "unshare": "exec unshare --ipc sh",
    "setns": lambda other: f"exec nsenter --ipc=/proc/${letter(other)}/ns/ipc sh",
    "keep": "exec 9</proc/self/ns/ipc",
    "return": "exec nsenter --ipc=/proc/self/fd/9 sh",
}
"""Each act as a line of the actor's shell; where no program does it, as the system call."""
