"""User namespaces as user_namespaces(7) has them: what an ID looks like from any of them, and who may map it.

IDs are counted as the first actor's namespace has them. Group 0 is mapped to group 0 everywhere: only users
are the question. An actor has all capabilities in its namespace or none; it never executes a program.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace

from harness.models.acts import OK, SHELLS, Act, Lines, View, by_each, letter, links
from harness.models.idmaps import (
    Extent,
    from_first,
    outward,
    shown,
    to_first,
    written,
)
from harness.models.user.ids import keeps_capabilities, may_become, may_give
from harness.models.user.maps import map_read, write_map
from harness.models.user.namespaces import after_make, bear, may_join
from harness.models.user.state import Actor, Space, State, deepest, having

__all__ = ["LINES", "VERBS", "choices", "start", "step", "view"]

MOST = 6
MAPS: tuple[tuple[Extent, ...], ...] = (
    ((0, 0, 1),),
    ((0, 1000, 1),),
    ((5, 0, 1),),
    ((0, 5, 1),),
    ((0, 0, 1), (5, 1000, 2)),
    ((0, 1000, 2), (1000, 0, 1)),
    ((0, 0, 1001),),
    ((0, 0, 1), (0, 1000, 1)),
    ((0, 0, 0),),
)
"""What is written into maps; the last two are malformed."""
IDS = (1000, 0, 5, 1001)
FILES = ("one", "two")
VERBS = (
    *["map"] * 6,
    *["setuid"] * 4,
    *["chown"] * 2,
    *["create"] * 2,
    *["clone", "unshare", "setns"] * 2,
    *["fork", "exit", "drop", "descend"],
)


def start(
    ids: Sequence[Sequence[int]] = ((0, 2**32 - 1),),
    room: int | None = None,
    known: Set[str] = frozenset(),
) -> State:
    """One actor, root, in a namespace with these IDs, first ones and how many.

    It is the initial one, or, where ``room`` is told, one below which so many levels fit.
    """
    own = tuple((first, first, count) for first, count in ids)
    level = 0 if room is None else deepest(known) - room
    return State({0: Actor(0)}, (Space(None, 0, own, level=level),), known=known)


def choices(state: State, actor: int, verb: str) -> list[Act]:
    """The acts of this kind that an actor could try."""
    others = [other for other in state.actors if other != actor]
    unmapped = [other for other in (*others, actor) if not state.spaces[state.actors[other].user].map]
    own = state.spaces[state.actors[actor].user].map
    ids = [number for number in IDS if outward(own, number) is not None] + [7]
    room = state.born < MOST
    left = deepest(state.known) - state.spaces[state.actors[actor].user].level
    arguments: Mapping[str, Iterable[object]] = {
        "map": [(other, lines) for lines in MAPS for other in (*unmapped, actor)],
        "setuid": ids,
        "create": [name for name in FILES if name not in state.files],
        "chown": [(name, number) for number in ids for name in state.files],
        "fork": (state.born,) * room,
        "clone": ((state.born, "user"),) * room,
        "unshare": ("user",),
        "descend": (*[2] * 8, left, left + 1),
        "setns": (*others, actor),
    }
    return [Act(verb, actor, argument) for argument in arguments.get(verb, (None,))]


def step(state: State, act: Act) -> tuple[State, str]:
    """The state after an act, and the act's answer: ``ok`` or the name of an error number."""
    me, argument = state.actors[act.actor], act.argument
    if act.verb in ("fork", "clone", "unshare"):
        return bear(state, act, me)
    if act.verb in ("map", "descend"):
        return write_map(state, me, *argument) if act.verb == "map" else _descend(state, act.actor, argument)
    if act.verb == "drop":
        return having(state, act.actor, replace(me, capabilities=False)), OK
    if act.verb == "create":
        return replace(state, files={**state.files, argument: me.uid}), OK
    if act.verb == "chown":
        answer = may_give(state, me, state.files[argument[0]], argument[1])
        new = to_first(state.spaces, me.user, argument[1])
        if answer != OK or new is None:
            return state, answer
        return replace(state, files={**state.files, argument[0]: new}), OK
    if act.verb == "setns":
        target = state.actors[argument].user
        answer = may_join(state, me, target)
        return (having(state, act.actor, after_make(me, target)) if answer == OK else state), answer
    if act.verb == "setuid":
        answer = may_become(state, me, argument)
        new = to_first(state.spaces, me.user, argument)
        if answer != OK or new is None:
            return state, answer
        changed = replace(me, uid=new, capabilities=keeps_capabilities(state, me, new))
        return having(state, act.actor, changed), OK
    return replace(state, actors={key: one for key, one in state.actors.items() if key != act.actor}), OK


def _descend(state: State, actor: int, levels: int) -> tuple[State, str]:
    """Into a new namespace in which one's own ID is root's, and from there into the next, so many times."""
    answer = OK
    for _ in range(levels):
        me = state.actors[actor]
        own = from_first(state.spaces, me.user, me.uid)
        state, answer = bear(state, Act("unshare", actor, "user"), me)
        if answer == OK:
            assert own is not None
            state, answer = write_map(state, state.actors[actor], actor, ((0, own, 1),))
        if answer != OK:
            break
    return state, answer


def view(state: State) -> View:
    """By each actor: every actor's ID, every file's owner, every map, all as they look from its namespace."""
    return {
        **by_each(state.actors, lambda number: _seen_by(state, state.actors[number])),
        **links({"user": {number: actor.user for number, actor in state.actors.items()}}),
    }


def _seen_by(state: State, me: Actor) -> View:
    seen: dict[str, object] = {"capable": me.capabilities}
    for name, owner in state.files.items():
        seen[f"owner of {name}"] = shown(state.spaces, me.user, owner)
    for other, actor in state.actors.items():
        seen[f"user ID of {letter(other)}"] = shown(state.spaces, me.user, actor.uid)
        if actor.user != 0:
            seen[f"uid_map of {letter(other)}"] = map_read(state, me.user, actor.user)
    return seen


LINES: Lines = {
    **SHELLS,
    "map": lambda it: f"printf '{written(it[1])}' >/proc/${letter(it[0])}/uid_map",
    "clone": lambda it: f"clone(CLONE_NEWUSER)    # the child's shell is {letter(it[0])}",
    "unshare": "unshare(CLONE_NEWUSER)",
    "descend": lambda levels: (
        f"unshare(CLONE_NEWUSER), {levels} times, each time with the own ID as 0 in uid_map"
    ),
    "setns": lambda other: f"setns /proc/${letter(other)}/ns/user",
    "setuid": lambda number: f"setuid({number})",
    "create": lambda name: f"touch {name}",
    "chown": lambda it: f"chown {it[1]} {it[0]}",
    "drop": "capset(no capabilities)",
}
"""Each act as a line of the actor's shell; where no program does it, as the system call."""
