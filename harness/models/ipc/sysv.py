"""System V objects: keys and numbers, and memory that outlives both."""

from __future__ import annotations

from dataclasses import replace

from harness.models.acts import OK, Act
from harness.models.ipc.state import Actor, Object, Segment, Space, State, having, in_space, without
from harness.models.rules import rule


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
def memory_of(state: State, actor: Actor) -> int | None:
    """What is written in attached memory is seen by all who attached it, in whatever namespace they are.

    Source: shmat(2).
    """
    return state.memory.get(actor.attached[-1], 0) if actor.attached else None


def get(state: State, me: Actor, here: Space, sort: str, key: int, how: str) -> tuple[State, object]:
    """Find or make an object by its key; its number, or an error."""
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
    return in_space(state, me.ipc, new), number


def remove(state: State, me: Actor, here: Space, sort: str, number: int) -> tuple[State, str]:
    """Remove an object by its number."""
    answer = may_remove(here, sort, number)
    if answer != OK:
        return state, answer
    segment = (me.ipc, number)
    if sort == "segment" and outlives_removal(state, segment):
        keyless = tuple(
            replace(one, key=0) if (one.sort, one.id) == (sort, number) else one for one in here.objects
        )
        state = replace(state, doomed=state.doomed | {segment})
        return in_space(state, me.ipc, replace(here, objects=keyless)), OK
    return in_space(state, me.ipc, without(here, sort, number)), OK


def use(state: State, act: Act, me: Actor, here: Space) -> tuple[State, str]:
    """Attach a segment, detach the last one, write to it."""
    if act.verb == "attach":
        answer = may_attach(here, act.argument)
        attached = (*me.attached, (me.ipc, act.argument))
        return (having(state, act.actor, replace(me, attached=attached)) if answer == OK else state), answer
    if not me.attached:
        return state, "EINVAL"
    if act.verb == "detach":
        return swept(having(state, act.actor, replace(me, attached=me.attached[:-1]))), OK
    return replace(state, memory={**state.memory, me.attached[-1]: act.argument}), OK


def swept(state: State) -> State:
    """Without the removed segments from which the last process has detached."""
    for segment in state.doomed:
        if not outlives_removal(state, segment):
            space = without(state.spaces[segment[0]], "segment", segment[1])
            state = replace(in_space(state, segment[0], space), doomed=state.doomed - {segment})
    return state


def listed(state: State, space: int, one: Object) -> str:
    """A line of a listing: key, number, and of a segment how often it is attached."""
    text = f"key {one.key} id {one.id}"
    if one.sort != "segment":
        return text
    count = sum(actor.attached.count((space, one.id)) for actor in state.actors.values())
    return f"{text} attached {count}"
