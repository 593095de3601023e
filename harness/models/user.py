"""User namespaces as user_namespaces(7) has them: what an ID looks like from any of them, and who may map it.

IDs are counted as the first actor's namespace has them. Group 0 is mapped to group 0 everywhere: only users
are the question. An actor has all capabilities in its namespace or none; it never executes a program.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from harness.models.acts import OK, SHELLS, Act, Lines, View, by_each, letter, links
from harness.models.idmaps import (
    OVERFLOW,
    Extent,
    from_first,
    from_there,
    has_outside,
    inward,
    is_mapped,
    is_written,
    outward,
    to_first,
    written,
)
from harness.models.rules import rule

MOST = 6
NONE = 4294967295
"""What a map shows for an ID outside that the reader's namespace does not have: -1 in 32 bits."""
DEEPEST = 33
"""Namespaces below the initial one. The manual allows 32: 33-nested-user-namespaces is a known difference."""

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


@dataclass(frozen=True)
class Space:
    """A user namespace: its parent, the ID that made it, its map, how deep it is."""

    parent: int | None
    owner: int
    map: tuple[Extent, ...] = ()
    made_by_capable: bool = True
    level: int = 0


@dataclass(frozen=True)
class Actor:
    """A living process: its namespace, its user ID, and whether it has capabilities."""

    user: int
    uid: int = 0
    capabilities: bool = True


@dataclass(frozen=True)
class State:
    """The living actors, all namespaces there ever were, the files' owners, and who is born next."""

    actors: Mapping[int, Actor]
    spaces: tuple[Space, ...]
    files: Mapping[str, int] = field(default_factory=dict)
    born: int = 1


VERBS = (
    *["map"] * 6,
    *["setuid"] * 4,
    *["chown"] * 2,
    *["create"] * 2,
    *["clone", "unshare", "setns"] * 2,
    *["fork", "exit", "drop", "descend"],
)


def start(ids: Sequence[Sequence[int]] = ((0, 2**32 - 1),), room: int = DEEPEST) -> State:
    """One actor, root, in a namespace with these IDs, first ones and how many, and so many levels of room."""
    own = tuple((first, first, count) for first, count in ids)
    return State({0: Actor(0)}, (Space(None, 0, own, level=DEEPEST - room),))


def choices(state: State, actor: int, verb: str) -> list[Act]:
    """The acts of this kind that an actor could try."""
    others = [other for other in state.actors if other != actor]
    unmapped = [other for other in (*others, actor) if not state.spaces[state.actors[other].user].map]
    own = state.spaces[state.actors[actor].user].map
    ids = [number for number in IDS if outward(own, number) is not None] + [7]
    room = state.born < MOST
    left = DEEPEST - state.spaces[state.actors[actor].user].level
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


def shown(state: State, space: int, number: int) -> int | None:
    """What is seen of an ID in a namespace."""
    return (
        from_first(state.spaces, space, number)
        if is_mapped(state.spaces, space, number) == "mapped"
        else OVERFLOW
    )


@rule(True, False)
def made(state: State, me: Actor, space: int) -> bool:
    """Whose user made a child of the caller's namespace has all capabilities in it.

    Source: user_namespaces(7), Capabilities, the third rule.
    """
    return state.spaces[space].parent == me.user and state.spaces[space].owner == me.uid


@rule(True, False)
def capable(state: State, me: Actor, over: int) -> bool:
    """Capabilities reach down, to all descendants of one's namespace or of what one's user made; never up.

    Source: user_namespaces(7), Capabilities, the first two rules.
    """
    space: int | None = over
    while space is not None and space != me.user:
        if made(state, me, space):
            return True
        space = state.spaces[space].parent
    return space == me.user and me.capabilities


@rule(OK, "EPERM", "ENOSPC")
def may_make(state: State, me: Actor) -> str:
    """Who has no ID in its own namespace may not make another one, and so many levels are nested at most.

    Source: user_namespaces(7), Nested namespaces; clone(2), ERRORS; kernel/user_namespace.c, create_user_ns.
    """
    if state.spaces[me.user].level == DEEPEST:
        return "ENOSPC"
    return OK if from_first(state.spaces, me.user, me.uid) is not None else "EPERM"


@rule()
def after_make(me: Actor, new: int) -> Actor:
    """Who makes or enters a user namespace has all capabilities there, and keeps its ID.

    Source: user_namespaces(7), Capabilities.
    """
    return replace(me, user=new, capabilities=True)


@rule(OK, "EINVAL", "EPERM")
def may_join(state: State, me: Actor, target: int) -> str:
    """Joining takes capabilities in the target; one's own namespace cannot be joined again.

    Source: setns(2), Details for specific namespace types, and ERRORS.
    """
    if target == me.user:
        return "EINVAL"
    return OK if capable(state, me, target) else "EPERM"


@rule(OK, "EACCES")
def may_open(state: State, me: Actor, other: Actor) -> str:
    """A process's files in /proc are its user's; others need capabilities in a namespace that has that user.

    Source: proc(5); capabilities(7), CAP_DAC_OVERRIDE; user_namespaces(7), Operation involving files.
    """
    return OK if me.uid == other.uid or over_files_of(state, me, other.uid) else "EACCES"


@rule(True, False)
def over_files_of(state: State, me: Actor, owner: int) -> bool:
    """Capabilities hold for files whose owner the caller's namespace has.

    Source: user_namespaces(7), Operation of file-related capabilities.
    """
    return me.capabilities and from_first(state.spaces, me.user, owner) is not None


@rule(True, False)
def well_formed(lines: Sequence[Extent]) -> bool:
    """Lines of a map do not overlap, and none is empty.

    Source: user_namespaces(7), Defining user and group ID mappings.
    """
    firsts = sorted((inside, length) for inside, _, length in lines)
    apart = all(one + length <= other for (one, length), (other, _) in pairwise(firsts))
    return apart and all(length for *_, length in lines)


@rule(True, False)
def own_id_alone(state: State, me: Actor, target: int, lines: Sequence[Extent]) -> bool:
    """Who made a namespace may map its own ID there and no other, without any capability in the parent.

    Source: user_namespaces(7), Defining user and group ID mappings: the last list of rules.
    """
    space = state.spaces[target]
    (_, outside, count), *more = lines
    return not more and count == 1 and me.uid == space.owner == to_first(state.spaces, space.parent, outside)


@rule(OK, "EPERM")
def may_map_root(state: State, me: Actor, target: int, lines: Sequence[Extent]) -> str:
    """Mapping the parent's root takes CAP_SETFCAP: of the writer in the parent, or of who made the namespace.

    Source: user_namespaces(7), Defining user and group ID mappings (since Linux 5.12).
    """
    space = state.spaces[target]
    if inward(lines, 0) is None:
        return OK
    return OK if (space.made_by_capable if me.user == target else me.capabilities) else "EPERM"


def may_map(state: State, me: Actor, other: Actor, lines: Sequence[Extent]) -> str:
    """What the kernel says to a map, in the order in which it asks."""
    target, space = other.user, state.spaces[other.user]
    if may_open(state, me, other) != OK:
        return "EACCES"
    if not from_there(state.spaces, me.user, target) or is_written(space) or not capable(state, me, target):
        return "EPERM"
    if not well_formed(lines):
        return "EINVAL"
    if may_map_root(state, me, target, lines) != OK:
        return "EPERM"
    assert space.parent is not None
    if not (own_id_alone(state, me, target, lines) or capable(state, me, space.parent)):
        return "EPERM"
    return has_outside(state.spaces, target, lines)


@rule(OK, "EINVAL", "EPERM")
def may_become(state: State, me: Actor, number: int) -> str:
    """A process can take an ID that its namespace has; without capabilities only the one it has.

    Source: setuid(2), ERRORS; user_namespaces(7), User and group ID mappings.
    """
    target = to_first(state.spaces, me.user, number)
    if target is None:
        return "EINVAL"
    return OK if me.capabilities or target == me.uid else "EPERM"


@rule(True, False)
def keeps_capabilities(state: State, me: Actor, uid: int) -> bool:
    """Who is root in its namespace and becomes another loses its capabilities.

    Source: capabilities(7), Effect of user ID changes on capabilities.
    """
    root = to_first(state.spaces, me.user, 0)
    return me.capabilities and not (me.uid == root != uid)


@rule(OK, "EINVAL", "EPERM")
def may_give(state: State, me: Actor, owner: int, number: int) -> str:
    """A file can be given to an ID that the namespace has, by whom is capable over the file.

    Source: chown(2), ERRORS; user_namespaces(7), Operation of file-related capabilities.
    """
    target = to_first(state.spaces, me.user, number)
    if target is None:
        return "EINVAL"
    unchanged = me.uid == owner == target
    return OK if unchanged or over_files_of(state, me, owner) else "EPERM"


@rule()
def forked(parent: Actor) -> Actor:
    """A child has its parent's namespace, ID and capabilities. Source: fork(2); user_namespaces(7)."""
    return parent


def step(state: State, act: Act) -> tuple[State, str]:
    """The state after an act, and the act's answer: ``ok`` or the name of an error number."""
    me, argument = state.actors[act.actor], act.argument
    if act.verb in ("fork", "clone", "unshare"):
        return _bear(state, act, me)
    if act.verb in ("map", "descend"):
        return _map(state, me, *argument) if act.verb == "map" else _descend(state, act.actor, argument)
    if act.verb == "drop":
        return _with(state, act.actor, replace(me, capabilities=False)), OK
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
        return (_with(state, act.actor, after_make(me, target)) if answer == OK else state), answer
    if act.verb == "setuid":
        answer = may_become(state, me, argument)
        new = to_first(state.spaces, me.user, argument)
        if answer != OK or new is None:
            return state, answer
        changed = replace(me, uid=new, capabilities=keeps_capabilities(state, me, new))
        return _with(state, act.actor, changed), OK
    return replace(state, actors={key: one for key, one in state.actors.items() if key != act.actor}), OK


def _bear(state: State, act: Act, me: Actor) -> tuple[State, str]:
    """A child, or a new namespace for oneself or for a child."""
    if act.verb == "fork":
        return replace(_with(state, act.argument, forked(me)), born=state.born + 1), OK
    answer = may_make(state, me)
    if answer != OK:
        return state, answer
    new = after_make(me, len(state.spaces))
    level = state.spaces[me.user].level + 1
    space = Space(me.user, me.uid, made_by_capable=me.capabilities, level=level)
    state = replace(state, spaces=(*state.spaces, space))
    if act.verb == "unshare":
        return _with(state, act.actor, new), OK
    return replace(_with(state, act.argument[0], new), born=state.born + 1), OK


def _descend(state: State, actor: int, levels: int) -> tuple[State, str]:
    """Into a new namespace in which one's own ID is root's, and from there into the next, so many times."""
    answer = OK
    for _ in range(levels):
        me = state.actors[actor]
        own = from_first(state.spaces, me.user, me.uid)
        state, answer = _bear(state, Act("unshare", actor, "user"), me)
        if answer == OK:
            assert own is not None
            state, answer = _map(state, state.actors[actor], actor, ((0, own, 1),))
        if answer != OK:
            break
    return state, answer


def _map(state: State, me: Actor, other: int, lines: Sequence[Extent]) -> tuple[State, str]:
    target = state.actors[other].user
    answer = may_map(state, me, state.actors[other], lines)
    if answer != OK:
        return state, answer
    spaces = [*state.spaces]
    spaces[target] = replace(spaces[target], map=tuple(lines))
    return replace(state, spaces=tuple(spaces)), OK


def _with(state: State, number: int, actor: Actor) -> State:
    return replace(state, actors={**state.actors, number: actor})


def view(state: State) -> View:
    """By each actor: every actor's ID, every file's owner, every map, all as they look from its namespace."""
    return {
        **by_each(state.actors, lambda number: _seen_by(state, state.actors[number])),
        **links({"user": {number: actor.user for number, actor in state.actors.items()}}),
    }


def _seen_by(state: State, me: Actor) -> View:
    seen: dict[str, object] = {"capable": me.capabilities}
    for name, owner in state.files.items():
        seen[f"owner of {name}"] = shown(state, me.user, owner)
    for other, actor in state.actors.items():
        seen[f"user ID of {letter(other)}"] = shown(state, me.user, actor.uid)
        if actor.user != 0:
            seen[f"uid_map of {letter(other)}"] = map_read(state, me.user, actor.user)
    return seen


@rule("parent", "reader")
def outside_of(reader: int, target: int) -> str:
    """Read from the namespace itself, a map tells IDs of its parent; read from another, IDs of the reader's.

    Source: user_namespaces(7), User and group ID mappings: uid_map and gid_map, the second field.
    """
    return "parent" if reader == target else "reader"


def map_read(state: State, reader: int, target: int) -> list[list[int]]:
    """A namespace's map as it is read in a namespace."""
    space = state.spaces[target]
    assert space.parent is not None
    outside = space.parent if outside_of(reader, target) == "parent" else reader
    lines = []
    for inside, first, count in space.map:
        number = to_first(state.spaces, space.parent, first)
        known = None if number is None else from_first(state.spaces, outside, number)
        lines.append([inside, NONE if known is None else known, count])
    return lines


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
