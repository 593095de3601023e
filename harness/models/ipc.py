"""IPC namespaces as ipc_namespaces(7) and sysvipc(7) have them: which objects are seen where.

System V message queues, memory segments and semaphore sets; POSIX message queues. All actors are one user.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from harness.models.acts import MOST, OK, SHELLS, Act, Lines, View, by_each, letter, links
from harness.models.rules import rule

SORTS = ("segment", "queue", "semaphore")
KEYS = (1, 2, 0)
"""Keys of System V objects; 0 is IPC_PRIVATE."""
NAMES = ("one", "two")


@dataclass(frozen=True)
class Object:
    """A System V object: what it is, its key (0: none, or no more) and its number."""

    sort: str
    key: int
    id: int


@dataclass(frozen=True)
class Space:
    """An IPC namespace: its objects, how many of each sort it ever had, the names of its POSIX queues."""

    objects: tuple[Object, ...] = ()
    made: Mapping[str, int] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    def by_id(self, sort: str, number: int) -> Object | None:
        """The object of this number."""
        return next((one for one in self.objects if (one.sort, one.id) == (sort, number)), None)

    def by_key(self, sort: str, key: int) -> Object | None:
        """The object to which a key leads."""
        return next((one for one in self.objects if key and (one.sort, one.key) == (sort, key)), None)


Segment = tuple[int, int]
"""A memory segment for good: the namespace in which it was made, and its number there."""


@dataclass(frozen=True)
class Actor:
    """A living process: its namespace, the segments attached to it, the namespace that it keeps open."""

    ipc: int
    attached: tuple[Segment, ...] = ()
    kept: int | None = None


@dataclass(frozen=True)
class State:
    """The living actors, all namespaces there ever were, what is in attached memory, who is born next."""

    actors: Mapping[int, Actor]
    spaces: tuple[Space, ...]
    memory: Mapping[Segment, int] = field(default_factory=dict)
    doomed: frozenset[Segment] = frozenset()
    born: int = 1


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
def number_of_new(space: Space, sort: str) -> int:
    """A namespace counts its objects of a sort from 0; of its first sixty-four, no number is used again.

    Source: ipc/util.c, ipc_idr_alloc (since Linux 5.2; no manual page promises it).
    """
    return space.made.get(sort, 0)


@rule("found", "made", "ENOENT", "EEXIST")
def may_get(space: Space, sort: str, key: int, how: str) -> str:
    """A key leads to the namespace's object with it, else to a new one if asked for; IPC_PRIVATE to a new.

    Source: sysvipc(7); msgget(2); shmget(2); semget(2).
    """
    if key == 0:
        return "made"
    if space.by_key(sort, key):
        return "EEXIST" if how == "exclusive" else "found"
    return "made" if how else "ENOENT"


@rule(OK, "EINVAL")
def may_remove(space: Space, sort: str, number: int) -> str:
    """A number names an object of the caller's namespace, whatever it names in another.

    Source: ipc_namespaces(7); msgctl(2), shmctl(2), semctl(2): ERRORS.
    """
    return OK if space.by_id(sort, number) else "EINVAL"


@rule(True, False)
def outlives_removal(state: State, segment: Segment) -> bool:
    """A removed segment loses its key and lives on until the last process detaches.

    Source: shmctl(2), IPC_RMID.
    """
    return any(segment in actor.attached for actor in state.actors.values())


@rule(OK, "EINVAL")
def may_attach(space: Space, number: int) -> str:
    """A segment of the caller's namespace can be attached, also when it was removed but still lives.

    Source: shmat(2), NOTES and ERRORS.
    """
    return OK if space.by_id("segment", number) else "EINVAL"


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


@rule("made", "found", "ENOENT", "EEXIST")
def may_open(space: Space, name: str, how: str) -> str:
    """A POSIX queue's name leads to the namespace's queue of that name, or to a new one if asked for.

    Source: ipc_namespaces(7); mq_open(3).
    """
    if name in space.names:
        return "EEXIST" if how == "exclusive" else "found"
    return "made" if how else "ENOENT"


@rule(OK, "ENOENT")
def may_unlink(space: Space, name: str) -> str:
    """Only a queue of the caller's namespace can be unlinked. Source: ipc_namespaces(7); mq_unlink(3)."""
    return OK if name in space.names else "ENOENT"


@rule()
def memory_of(state: State, actor: Actor) -> int | None:
    """What is written in attached memory is seen by all who attached it, in whatever namespace they are.

    Source: shmat(2).
    """
    return state.memory.get(actor.attached[-1], 0) if actor.attached else None


def step(state: State, act: Act) -> tuple[State, object]:
    """The state after an act, and its answer: ``ok``, an object's number, or the name of an error number."""
    me, here = state.actors[act.actor], state.spaces[state.actors[act.actor].ipc]
    if act.verb == "get":
        return _get(state, me, here, *act.argument)
    if act.verb == "remove":
        return _remove(state, me, here, *act.argument)
    if act.verb in ("attach", "detach", "write"):
        return _use(state, act, me, here)
    if act.verb == "open":
        answer = may_open(here, *act.argument)
        names = (*here.names, act.argument[0]) if answer == "made" else here.names
        return _in_space(state, me.ipc, replace(here, names=names)), answer if answer[0] == "E" else OK
    if act.verb == "unlink":
        answer = may_unlink(here, act.argument)
        names = tuple(name for name in here.names if name != act.argument)
        return _in_space(state, me.ipc, replace(here, names=names)), answer
    return _move(state, act, me)


def _get(state: State, me: Actor, here: Space, sort: str, key: int, how: str) -> tuple[State, object]:
    answer = may_get(here, sort, key, how)
    if answer == "found":
        found = here.by_key(sort, key)
        assert found is not None
        return state, found.id
    if answer != "made":
        return state, answer
    number = number_of_new(here, sort)
    new = replace(
        here, objects=(*here.objects, Object(sort, key, number)), made={**here.made, sort: number + 1}
    )
    return _in_space(state, me.ipc, new), number


def _remove(state: State, me: Actor, here: Space, sort: str, number: int) -> tuple[State, str]:
    answer = may_remove(here, sort, number)
    if answer != OK:
        return state, answer
    segment = (me.ipc, number)
    if sort == "segment" and outlives_removal(state, segment):
        keyless = tuple(
            replace(one, key=0) if (one.sort, one.id) == (sort, number) else one for one in here.objects
        )
        state = replace(state, doomed=state.doomed | {segment})
        return _in_space(state, me.ipc, replace(here, objects=keyless)), OK
    return _in_space(state, me.ipc, _without(here, sort, number)), OK


def _use(state: State, act: Act, me: Actor, here: Space) -> tuple[State, str]:
    """Attach a segment, detach the last one, write to it."""
    if act.verb == "attach":
        answer = may_attach(here, act.argument)
        attached = (*me.attached, (me.ipc, act.argument))
        return (_with(state, act.actor, replace(me, attached=attached)) if answer == OK else state), answer
    if not me.attached:
        return state, "EINVAL"
    if act.verb == "detach":
        return _swept(_with(state, act.actor, replace(me, attached=me.attached[:-1]))), OK
    return replace(state, memory={**state.memory, me.attached[-1]: act.argument}), OK


def _move(state: State, act: Act, me: Actor) -> tuple[State, str]:
    """Be born, go elsewhere, or end."""
    if act.verb == "fork":
        return replace(_with(state, act.argument, forked(me)), born=state.born + 1), OK
    if act.verb in ("clone", "unshare"):
        new = moved(forked(me) if act.verb == "clone" else me, len(state.spaces))
        state = replace(state, spaces=(*state.spaces, new_space()))
        if act.verb == "unshare":
            return _with(state, act.actor, new), OK
        return replace(_with(state, act.argument[0], new), born=state.born + 1), OK
    if act.verb == "setns":
        return _with(state, act.actor, moved(me, state.actors[act.argument].ipc)), OK
    if act.verb == "keep":
        return _with(state, act.actor, replace(me, kept=me.ipc)), OK
    if act.verb == "return":
        if me.kept is None:
            return state, "EBADF"
        return _with(state, act.actor, moved(me, me.kept)), OK
    living = {number: one for number, one in state.actors.items() if number != act.actor}
    return _swept(replace(state, actors=living)), OK


def _swept(state: State) -> State:
    """Without the removed segments from which the last process has detached."""
    for segment in state.doomed:
        if not outlives_removal(state, segment):
            space = _without(state.spaces[segment[0]], "segment", segment[1])
            state = replace(_in_space(state, segment[0], space), doomed=state.doomed - {segment})
    return state


def _without(space: Space, sort: str, number: int) -> Space:
    return replace(space, objects=tuple(one for one in space.objects if (one.sort, one.id) != (sort, number)))


def _in_space(state: State, number: int, space: Space) -> State:
    spaces = [*state.spaces]
    spaces[number] = space
    return replace(state, spaces=tuple(spaces))


def _with(state: State, number: int, actor: Actor) -> State:
    return replace(state, actors={**state.actors, number: actor})


def view(state: State) -> View:
    """What each living actor sees: the objects of its namespace, and its attached memory."""
    return {
        **by_each(state.actors, lambda number: _seen_by(state, state.actors[number])),
        **links({"ipc": {number: actor.ipc for number, actor in state.actors.items()}}),
    }


def _seen_by(state: State, me: Actor) -> View:
    space = state.spaces[me.ipc]
    objects = {
        f"{sort}s": [_listed(state, me.ipc, one) for one in space.objects if one.sort == sort]
        for sort in SORTS
    }
    return {**objects, "POSIX queues": sorted(space.names), "memory": memory_of(state, me)}


def _listed(state: State, space: int, one: Object) -> str:
    """A line of a listing: key, number, and of a segment how often it is attached."""
    text = f"key {one.key} id {one.id}"
    if one.sort != "segment":
        return text
    count = sum(actor.attached.count((space, one.id)) for actor in state.actors.values())
    return f"{text} attached {count}"


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
