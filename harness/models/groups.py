"""Groups in user namespaces as user_namespaces(7) has them: who maps them, and who may change its own.

IDs are counted as the first actor's namespace has them. All actors are one user, who so owns every namespace;
its ID is 0 in each one that was made by whom had capabilities, and unmapped in the others. An actor has all
capabilities in its namespace or none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.models.acts import OK, SHELLS, Act, Lines, View, by_each, letter, links
from harness.models.idmaps import (
    OVERFLOW,
    Extent,
    from_first,
    from_there,
    has_outside,
    is_mapped,
    is_written,
    outward,
    to_first,
    written,
)
from harness.models.rules import rule

MOST = 5
MAPS: tuple[tuple[Extent, ...], ...] = (
    ((0, 0, 1),),
    ((0, 0, 1), (1000, 1000, 2)),
    ((0, 1000, 1),),
    ((7, 0, 1),),
)
IDS = (1000, 0, 7, 1001)
GROUPS = ((0,), (), (1000,), (0, 1001), (7,))
UNKNOWN = -1
"""A group of the first actor that its namespace does not have."""


@dataclass(frozen=True)
class Space:
    """A user namespace: its parent, its map of groups, whether they may be set, whether it has the user."""

    parent: int | None
    map: tuple[Extent, ...] = ()
    allowed: bool = True
    has_user: bool = True


@dataclass(frozen=True)
class Actor:
    """A living process: its namespace, its group, its further groups, and whether it has capabilities."""

    user: int
    gid: int = 0
    groups: tuple[int, ...] = ()
    capabilities: bool = True


@dataclass(frozen=True)
class State:
    """The living actors, all namespaces there ever were, and who is born next."""

    actors: Mapping[int, Actor]
    spaces: tuple[Space, ...]
    born: int = 1


VERBS = (
    *["map"] * 5,
    *["setgid", "setgroups"] * 3,
    *["permit", "clone", "unshare", "setns"] * 2,
    *["fork", "drop", "exit"],
)


def start(
    ids: Sequence[Sequence[int]] = ((0, 2**32 - 1),), groups: Sequence[int] = (), *, allowed: bool = True
) -> State:
    """One actor, root, in these further groups, in a namespace with these: first ones and how many."""
    own = tuple((first, first, count) for first, count in ids)
    further = tuple(number if outward(own, number) is not None else UNKNOWN for number in groups)
    return State({0: Actor(0, groups=further)}, (Space(None, own, allowed),))


def choices(state: State, actor: int, verb: str) -> list[Act]:
    """The acts of this kind that an actor could try."""
    others = [*(other for other in state.actors if other != actor), actor]
    unmapped = [other for other in others if not state.spaces[state.actors[other].user].map]
    room = state.born < MOST
    arguments: Mapping[str, Iterable[object]] = {
        "map": [(other, lines) for lines in MAPS for other in (*unmapped, actor)],
        "permit": [(other, word) for word in ("deny", "allow") for other in (*unmapped, *others)],
        "setgid": IDS,
        "setgroups": GROUPS,
        "fork": (state.born,) * room,
        "clone": ((state.born, "user"),) * room,
        "unshare": ("user",),
        "setns": others,
    }
    return [Act(verb, actor, argument) for argument in arguments.get(verb, (None,))]


def shown(state: State, space: int, number: int) -> int | None:
    """What is seen of a group in a namespace."""
    return (
        from_first(state.spaces, space, number)
        if is_mapped(state.spaces, space, number) == "mapped"
        else OVERFLOW
    )


@rule(True, False)
def capable(state: State, me: Actor, over: int) -> bool:
    """Who owns all namespaces is capable in all below its own, and in its own if it has capabilities.

    Source: user_namespaces(7), Capabilities.
    """
    space: int | None = over
    while space is not None and space != me.user:
        if state.spaces[space].parent == me.user:
            return True
        space = state.spaces[space].parent
    return space == me.user and me.capabilities


@rule(OK, "EPERM")
def may_make(state: State, me: Actor) -> str:
    """Who has no user or no group in its own namespace may not make another one. Source: clone(2), ERRORS."""
    has_both = state.spaces[me.user].has_user and from_first(state.spaces, me.user, me.gid) is not None
    return OK if has_both else "EPERM"


@rule(True, False)
def allowed_in_new(parent: Space) -> bool:
    """What is denied in a namespace is denied in all that are made in it.

    Source: user_namespaces(7), The /proc/pid/setgroups file.
    """
    return parent.allowed


@rule(OK, "EINVAL", "EPERM")
def may_join(state: State, me: Actor, target: int) -> str:
    """Joining takes capabilities in the target; one's own namespace cannot be joined again.

    Source: setns(2), Details for specific namespace types, and ERRORS.
    """
    if target == me.user:
        return "EINVAL"
    return OK if capable(state, me, target) else "EPERM"


@rule()
def after_entry(me: Actor, space: int) -> Actor:
    """Who makes or enters a namespace has all capabilities there, and keeps its groups.

    Source: user_namespaces(7), Capabilities.
    """
    return replace(me, user=space, capabilities=True)


@rule(True, False)
def own_group_alone(state: State, me: Actor, target: int, lines: Sequence[Extent]) -> bool:
    """Without capabilities in the parent one maps one's own group alone, and only after setgroups was denied.

    Source: user_namespaces(7), Defining user and group ID mappings: the last list of rules.
    """
    (_, outside, count), *more = lines
    space = state.spaces[target]
    own = not more and count == 1 and to_first(state.spaces, space.parent, outside) == me.gid
    return own and not space.allowed


def may_map(state: State, me: Actor, target: int, lines: Sequence[Extent]) -> str:
    """What the kernel says to a map."""
    space = state.spaces[target]
    if not from_there(state.spaces, me.user, target) or is_written(space) or not capable(state, me, target):
        return "EPERM"
    assert space.parent is not None
    if not (own_group_alone(state, me, target, lines) or capable(state, me, space.parent)):
        return "EPERM"
    return has_outside(state.spaces, target, lines)


@rule(OK, "EACCES", "EPERM")
def may_permit(state: State, me: Actor, target: int, word: str) -> str:
    """setgroups(2) can be denied until groups are mapped; what is denied is never allowed again.

    Source: user_namespaces(7), The /proc/pid/setgroups file.
    """
    space = state.spaces[target]
    if not capable(state, me, target):
        return "EACCES"
    return OK if (space.allowed if word == "allow" else not space.map) else "EPERM"


@rule(OK, "EINVAL", "EPERM")
def may_set_groups(state: State, me: Actor, groups: Sequence[int]) -> str:
    """Groups are set with capabilities, once they are mapped and where that was not denied.

    Source: setgroups(2), ERRORS; user_namespaces(7), The /proc/pid/setgroups file.
    """
    space = state.spaces[me.user]
    if not (me.capabilities and space.map and space.allowed):
        return "EPERM"
    return "EINVAL" if None in [to_first(state.spaces, me.user, number) for number in groups] else OK


@rule(OK, "EINVAL", "EPERM")
def may_become(state: State, me: Actor, number: int) -> str:
    """A process can take a group that its namespace has; without capabilities only the one it has.

    Source: setgid(2), ERRORS; user_namespaces(7), User and group ID mappings.
    """
    target = to_first(state.spaces, me.user, number)
    if target is None:
        return "EINVAL"
    return OK if me.capabilities or target == me.gid else "EPERM"


@rule()
def forked(parent: Actor) -> Actor:
    """A child has its parent's namespace, groups and capabilities. Source: fork(2); user_namespaces(7)."""
    return parent


def step(state: State, act: Act) -> tuple[State, str]:
    """The state after an act, and the act's answer: ``ok`` or the name of an error number."""
    me, argument = state.actors[act.actor], act.argument
    if act.verb in ("fork", "clone", "unshare"):
        return _bear(state, act, me)
    if act.verb in ("map", "permit"):
        return _write(state, act.verb, me, *argument)
    if act.verb in ("setgid", "setgroups"):
        return _change(state, act, me)
    if act.verb == "drop":
        return _with(state, act.actor, replace(me, capabilities=False)), OK
    if act.verb == "setns":
        target = state.actors[argument].user
        answer = may_join(state, me, target)
        return (_with(state, act.actor, after_entry(me, target)) if answer == OK else state), answer
    return replace(state, actors={key: one for key, one in state.actors.items() if key != act.actor}), OK


def _bear(state: State, act: Act, me: Actor) -> tuple[State, str]:
    """A child, or a new namespace for oneself or for a child."""
    if act.verb == "fork":
        return replace(_with(state, act.argument, forked(me)), born=state.born + 1), OK
    answer = may_make(state, me)
    if answer != OK:
        return state, answer
    allowed = allowed_in_new(state.spaces[me.user])
    new = after_entry(me, len(state.spaces))
    state = replace(state, spaces=(*state.spaces, Space(me.user, (), allowed, has_user=me.capabilities)))
    if act.verb == "unshare":
        return _with(state, act.actor, new), OK
    return replace(_with(state, act.argument[0], new), born=state.born + 1), OK


def _write(state: State, verb: str, me: Actor, other: int, content: object) -> tuple[State, str]:
    """Write the map of another's namespace, or whether groups may be set there."""
    target = state.actors[other].user
    if isinstance(content, str):
        answer = may_permit(state, me, target, content)
        changed = replace(state.spaces[target], allowed=content == "allow")
    else:
        assert isinstance(content, tuple)
        answer = may_map(state, me, target, content)
        changed = replace(state.spaces[target], map=content)
    if answer != OK:
        return state, answer
    spaces = [*state.spaces]
    spaces[target] = changed
    return replace(state, spaces=tuple(spaces)), OK


def _change(state: State, act: Act, me: Actor) -> tuple[State, str]:
    """Take another group, or other further ones."""
    wanted = act.argument if act.verb == "setgroups" else (act.argument,)
    check = may_set_groups(state, me, wanted) if act.verb == "setgroups" else may_become(state, me, *wanted)
    if check != OK:
        return state, check
    found = [to_first(state.spaces, me.user, number) for number in wanted]
    groups = tuple(number for number in found if number is not None)
    assert len(groups) == len(wanted)
    if act.verb == "setgroups":
        return _with(state, act.actor, replace(me, groups=groups)), OK
    return _with(state, act.actor, replace(me, gid=groups[0])), OK


def _with(state: State, number: int, actor: Actor) -> State:
    return replace(state, actors={**state.actors, number: actor})


def view(state: State) -> View:
    """By each actor: everybody's groups as they look from its namespace, and what was written for them."""
    return {
        **by_each(state.actors, lambda number: _seen_by(state, state.actors[number])),
        **links({"user": {number: actor.user for number, actor in state.actors.items()}}),
    }


def _seen_by(state: State, me: Actor) -> View:
    seen: dict[str, object] = {"capable": me.capabilities}
    for number, actor in state.actors.items():
        other, space = letter(number), state.spaces[actor.user]
        further = [shown(state, me.user, group) or 0 for group in actor.groups]
        seen[f"group of {other}"] = shown(state, me.user, actor.gid)
        seen[f"further groups of {other}"] = sorted(further)
        seen[f"groups of {other} are mapped"] = bool(space.map)
        seen[f"setgroups of {other}"] = "allow" if space.allowed else "deny"
    return seen


LINES: Lines = {
    **SHELLS,
    "map": lambda it: f"printf '{written(it[1])}' >/proc/${letter(it[0])}/gid_map",
    "permit": lambda it: f"echo {it[1]} >/proc/${letter(it[0])}/setgroups",
    "clone": lambda it: f"clone(CLONE_NEWUSER), 0 0 1 to uid_map    # the child's shell is {letter(it[0])}",
    "unshare": "unshare(CLONE_NEWUSER), 0 0 1 to uid_map",
    "setns": lambda other: f"setns /proc/${letter(other)}/ns/user",
    "setgid": lambda number: f"setgid({number})",
    "setgroups": lambda groups: f"setgroups({groups})",
    "drop": "capset(no capabilities)",
}
"""Each act as a line of the actor's shell; where no program does it, as the system call."""
