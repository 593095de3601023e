"""Groups in user namespaces as user_namespaces(7) has them: who maps them, and who may change its own.

IDs are counted as the first actor's namespace has them. All actors are one user, who so owns every namespace;
its ID is 0 in each one that was made by whom had capabilities, and unmapped in the others. An actor has all
capabilities in its namespace or none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from harness.models.acts import OK, SHELLS, Act, Lines, View, by_each, letter, links
from harness.models.groups.ids import change
from harness.models.groups.maps import write
from harness.models.groups.namespaces import after_entry, bear, may_join
from harness.models.groups.state import Actor, Space, State, having
from harness.models.idmaps import (
    Extent,
    outward,
    shown,
    written,
)

__all__ = ["LINES", "VERBS", "choices", "start", "step", "view"]

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


def step(state: State, act: Act) -> tuple[State, str]:
    """The state after an act, and the act's answer: ``ok`` or the name of an error number."""
    me, argument = state.actors[act.actor], act.argument
    if act.verb in ("fork", "clone", "unshare"):
        return bear(state, act, me)
    if act.verb in ("map", "permit"):
        return write(state, act.verb, me, *argument)
    if act.verb in ("setgid", "setgroups"):
        return change(state, act, me)
    if act.verb == "drop":
        return having(state, act.actor, replace(me, capabilities=False)), OK
    if act.verb == "setns":
        target = state.actors[argument].user
        answer = may_join(state, me, target)
        return (having(state, act.actor, after_entry(me, target)) if answer == OK else state), answer
    return replace(state, actors={key: one for key, one in state.actors.items() if key != act.actor}), OK


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
        further = [shown(state.spaces, me.user, group) or 0 for group in actor.groups]
        seen[f"group of {other}"] = shown(state.spaces, me.user, actor.gid)
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
