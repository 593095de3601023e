"""UTS namespaces as uts_namespaces(7) has them: which names are seen where.

Every actor is a process with all capabilities in its own user namespace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.models.acts import MOST, OK, SHELLS, Act, Lines, View, by_each, letter, links
from harness.models.rules import rule
from harness.models.userns import FIRST, Tree, capable, grown

LONGEST = 64
"""Bytes of a name: ``__NEW_UTS_LEN`` (uname(2))."""


@dataclass(frozen=True)
class Names:
    """A UTS namespace: what it holds, and the user namespace that owns it."""

    hostname: str
    domainname: str
    owner: int


@dataclass(frozen=True)
class Actor:
    """A living process: its UTS namespace, its user namespace, the UTS namespace that it keeps open."""

    uts: int
    user: int
    kept: int | None = None


@dataclass(frozen=True)
class State:
    """The living actors, all UTS namespaces there ever were, the user namespaces, and who is born next."""

    actors: Mapping[int, Actor]
    spaces: tuple[Names, ...]
    users: Tree
    root: bool
    """Whether the actors are the machine's own root, whatever the user namespaces that they are in."""
    born: int = 1


VERBS = (
    "sethostname",
    "setdomainname",
    "sysctl",
    "fork",
    "clone",
    "unshare",
    "setns",
    "keep",
    "return",
    "exit",
)
NAMES = ("red", "blue", "", "n" * LONGEST, "n" * (LONGEST + 1))
KINDS = ("uts", "user", "user,uts")


def start(*, root: bool = True) -> State:
    """One actor in namespaces that nobody else is in."""
    return State({0: Actor(0, 0)}, (Names("start", "start.example", 0),), FIRST, root)


def choices(state: State, actor: int, verb: str) -> list[Act]:
    """The acts of this kind that an actor could try."""
    arguments: Mapping[str, tuple[object, ...]] = {
        "sethostname": NAMES,
        "setdomainname": NAMES,
        "sysctl": NAMES[:2],
        "fork": (state.born,) * (state.born < MOST),
        "clone": tuple((state.born, kinds) for kinds in KINDS if state.born < MOST),
        "unshare": KINDS,
        "setns": tuple(other for other in state.actors if other != actor),
    }
    return [Act(verb, actor, argument) for argument in arguments.get(verb, (None,))]


def step(state: State, act: Act) -> tuple[State, str]:
    """The state after an act, and the act's answer: ``ok`` or the name of an error number."""
    me = state.actors[act.actor]
    if act.verb in ("sethostname", "setdomainname"):
        return _set(state, me, act.verb[3:], act.argument)
    if act.verb == "sysctl":
        answer = may_write(state.root)
        return (_named(state, me, "hostname", act.argument) if answer == OK else state), answer
    if act.verb == "fork":
        return _born(state, act.argument, forked(me)), OK
    if act.verb == "clone":
        child, kinds = act.argument
        state, new = _moved(state, forked(me), kinds)
        return _born(state, child, new), OK
    if act.verb == "unshare":
        state, new = _moved(state, me, act.argument)
        return _with(state, act.actor, new), OK
    if act.verb in ("setns", "return"):
        target = me.kept if act.verb == "return" else state.actors[act.argument].uts
        if target is None:
            return state, "EBADF"
        answer = may_join(state, me, target)
        return (_with(state, act.actor, replace(me, uts=target)) if answer == OK else state), answer
    if act.verb == "keep":
        return _with(state, act.actor, replace(me, kept=me.uts)), OK
    return replace(state, actors={key: one for key, one in state.actors.items() if key != act.actor}), OK


@rule()
def copied(caller: Names, owner: int) -> Names:
    """A new UTS namespace starts with copies of the caller's names. Source: uts_namespaces(7)."""
    return replace(caller, owner=owner)


@rule()
def forked(parent: Actor) -> Actor:
    """A child is in the namespaces of its parent, and inherits open files.

    Source: namespaces(7); fork(2).
    """
    return parent


@rule()
def owner_of_new(actor: Actor) -> int:
    """A new namespace is owned by the creator's user namespace; of CLONE_NEWUSER with others, by the new one.

    Source: user_namespaces(7), Interaction of user namespaces and other types of namespaces.
    """
    return actor.user


@rule(OK, "EPERM", "EINVAL")
def may_set(state: State, me: Actor, name: str) -> str:
    """Setting takes CAP_SYS_ADMIN in the user namespace that owns the UTS namespace, and at most 64 bytes.

    Source: sethostname(2), ERRORS; setdomainname(2), ERRORS.
    """
    if not capable(state.users, me.user, state.spaces[me.uts].owner):
        return "EPERM"
    return "EINVAL" if len(name) > LONGEST else OK


@rule(OK, "EACCES")
def may_write(root: bool) -> str:
    """Through /proc/sys the machine's root can set the name, also without any capability over the namespace.

    Source: fs/proc/proc_sysctl.c, test_perm; kernel/utsname_sysctl.c. No manual page tells of it.
    """
    return OK if root else "EACCES"


@rule(OK, "EPERM")
def may_join(state: State, me: Actor, target: int) -> str:
    """Joining takes CAP_SYS_ADMIN in the user namespace that owns the target, and in the caller's own.

    Source: setns(2), Details for specific namespace types.
    """
    return OK if capable(state.users, me.user, state.spaces[target].owner) else "EPERM"


@rule()
def after_set(names: Names, which: str, value: str) -> Names:
    """A name that is set is the namespace's, and so that of all its members. Source: uts_namespaces(7)."""
    return replace(names, hostname=value) if which == "hostname" else replace(names, domainname=value)


def _set(state: State, me: Actor, which: str, value: str) -> tuple[State, str]:
    answer = may_set(state, me, value)
    return (_named(state, me, which, value) if answer == OK else state), answer


def _named(state: State, me: Actor, which: str, value: str) -> State:
    spaces = [*state.spaces]
    spaces[me.uts] = after_set(spaces[me.uts], which, value)
    return replace(state, spaces=tuple(spaces))


def _moved(state: State, me: Actor, kinds: str) -> tuple[State, Actor]:
    """An actor in new namespaces of these kinds; a new user namespace comes first and owns the other."""
    if "user" in kinds:
        users, user = grown(state.users, me.user)
        state, me = replace(state, users=users), replace(me, user=user)
    if "uts" in kinds:
        new = copied(state.spaces[me.uts], owner_of_new(me))
        me = replace(me, uts=len(state.spaces))
        state = replace(state, spaces=(*state.spaces, new))
    return state, me


def _with(state: State, number: int, actor: Actor) -> State:
    return replace(state, actors={**state.actors, number: actor})


def _born(state: State, number: int, actor: Actor) -> State:
    return replace(_with(state, number, actor), born=number + 1)


def view(state: State) -> View:
    """What each living actor sees: both names, and which actors share its namespaces."""
    return {
        **by_each(state.actors, lambda number: _names(state.spaces[state.actors[number].uts])),
        **links({"uts": {number: actor.uts for number, actor in state.actors.items()}}),
        **links({"user": {number: actor.user for number, actor in state.actors.items()}}),
    }


def _names(space: Names) -> View:
    return {"hostname": space.hostname, "domain name": space.domainname}


LINES: Lines = {
    **SHELLS,
    "sethostname": lambda name: f"hostname '{name}'",
    "setdomainname": lambda name: f"domainname '{name}'",
    "sysctl": lambda name: f"echo '{name}' >/proc/sys/kernel/hostname",
    "clone": lambda it: f"unshare {_options(it[1])} sh    # in a child, whose shell is {letter(it[0])}",
    "unshare": lambda kinds: f"exec unshare {_options(kinds)} sh",
    "setns": lambda other: f"exec nsenter --uts=/proc/${letter(other)}/ns/uts sh",
    "keep": "exec 9</proc/self/ns/uts",
    "return": "exec nsenter --uts=/proc/self/fd/9 sh",
}
"""Each act as a line of the actor's shell."""


def _options(kinds: str) -> str:
    return " ".join(f"--{kind}" for kind in kinds.split(","))
