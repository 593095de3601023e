"""Draws trials: a description of any mix of fields, legal and illegal, and what the isolator itself is in.

A trial has few fields, so that most are legal as a whole and a difference shrinks to the fields that make it.
What no trial may ask for, since it would tell nothing: see ``incomparable.py``.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from harness.equivalence.starter import CGROUP, FILE, PIPE, TERMINAL
from harness.probes.syscalls import FS, KINDS, NEWUSER, SYSVSEM

_IO, _UNTRACED = 0x80000000, 0x800000
_CLOSED = 99
_NOBODY, _NO_ID, _LAST = 65534, (1 << 32) - 1, (1 << 32) - 2

FIELDS = (
    "Cloneflags",
    "Unshareflags",
    "maps",
    "Credential",
    "AmbientCaps",
    "Chroot",
    "Dir",
    "Path",
    "Args",
    "Env",
    "files",
    "Setsid",
    "Setpgid",
    "Setctty",
    "Noctty",
    "Foreground",
    "Pdeathsig",
    "cgroup",
    "PidFD",
    "terminal",
    "without",
    "ignored",
    "blocked",
)
"""What a trial may speak of: Go's fields, groups of them, and what the isolator is started with."""

_ids = st.sampled_from([0, 1, 1000, _NOBODY, _LAST])
_odd_flags = st.sampled_from([FS, SYSVSEM, _IO, _UNTRACED, FS | KINDS["mnt"], SYSVSEM | KINDS["ipc"]])
_kinds = st.sampled_from([*KINDS.values()])
_flags = _kinds | st.sets(_kinds, min_size=1, max_size=3).map(sum)
_left = _flags | st.just(KINDS["mnt"])
_capabilities = st.lists(st.integers(0, 40), min_size=1, max_size=3)
_descriptors = st.sampled_from([FILE, PIPE, TERMINAL, 0, 1, 2, -1, None, CGROUP])
_own = [{"ContainerID": 0, "HostID": 0, "Size": 1}]
_both = [*_own, {"ContainerID": 1, "HostID": 1, "Size": 65535}]
_nobodys = [{"ContainerID": 0, "HostID": _NO_ID, "Size": 1}]
_overlapping = [*_own, {"ContainerID": 0, "HostID": 1000, "Size": 2}]
_odd_mapping = st.builds(
    lambda inside, outside, size: {"ContainerID": inside, "HostID": outside, "Size": size},
    st.sampled_from([0, 1, 1000, -1]),
    st.sampled_from([0, 1, 1000, _NO_ID]),
    st.sampled_from([1, 2, 0, 65536, -1]),
)
# All made once: hypothesis looks into a strategy when it first draws from it; that takes longer than to draw.
_odd_maps = st.sampled_from([_own, None, [], _nobodys, _overlapping]) | st.lists(_odd_mapping, max_size=3)
_alike: st.SearchStrategy[Any] = st.sampled_from([_own, _both, ...])
_groups = st.sampled_from([[1000], [0, _NOBODY], [], None]) | st.lists(_ids, min_size=1, max_size=3)
# The one user that every legal map has; groups that a map without GidMappingsEnableSetgroups denies.
_mapped = st.sampled_from([None, {"Uid": 0, "Gid": 0}, {"Uid": 0, "Gid": 0, "Groups": [0]}, None])
_odd_capabilities = st.sampled_from([[41], [63], [0, 41]])
_OTHER = {"Uid": 1000, "Gid": 1000}
_arguments = st.lists(st.sampled_from(["", "a b", "-x", "ü"]), max_size=3)
_variables = st.sampled_from(["A=1", "A=2", "B=", "=C=1", "=C=2", "odd", "", "PWD=/x"])
_environments, _odd_environments = st.lists(_variables, max_size=4), st.sampled_from([["N\0=1"], None])
_files = st.lists(_descriptors, max_size=7)
_lacking = st.sets(st.sampled_from([0, 1, 6, 7, 18, 21]), min_size=1).map(sorted) | st.just([*range(41)])
_signals = st.sets(st.sampled_from([1, 2, 10, 13, 15, 17, 34, 40, 64]), min_size=1, max_size=3).map(sorted)


@functools.lru_cache(maxsize=None, typed=True)
def _one_of(*values: Any) -> st.SearchStrategy[Any]:
    # typed: 0 is not False here.
    return st.sampled_from(values)


_chosen = st.lists(st.sampled_from(FIELDS), unique=True, min_size=1, max_size=5)


@st.composite
def trials(draw: st.DrawFn, scratch: str, own: int = 0) -> dict[str, Any]:
    """A trial on a host where the starter's files are in ``scratch``, for a user with the ID ``own``."""
    chosen = draw(_chosen, label="fields")
    drawing = _Drawing(draw, scratch, own)
    for field in chosen:
        getattr(drawing, field.lower())()
    return {"fields": sorted(chosen), **drawing.trial()}


class _Drawing:
    """A trial in the making; a method for each field, which draws it."""

    def __init__(self, draw: st.DrawFn, scratch: str, own: int) -> None:
        self.draw, self.scratch, self.own = draw, scratch, own
        self.attributes: dict[str, Any] = {}
        self.command: dict[str, Any] = {"Path": f"{scratch}/probe"}
        self.around: dict[str, Any] = {"terminal": False, "without": [], "ignored": [], "blocked": []}

    def trial(self) -> dict[str, Any]:
        """The trial, without what would hang Go."""
        cloned, left = (self.attributes.get(name, 0) for name in ("Cloneflags", "Unshareflags"))
        for name in ("UidMappings", "GidMappings"):
            if not (cloned | left) & NEWUSER or (left & NEWUSER and self.attributes.get(name) == []):
                self.attributes.pop(name, None)
        command = {**self.command, **({"SysProcAttr": self.attributes} if self.attributes else {})}
        return {"description": command, **self.around}

    def pick(self, legal: st.SearchStrategy[Any], odd: st.SearchStrategy[Any]) -> Any:
        """Mostly something that is legal by itself: of a trial that is refused, little can be seen."""
        return self.draw(odd if self.draw(st.integers(0, 7)) == 7 else legal)

    def either(self, legal: Sequence[Any], odd: Sequence[Any]) -> Any:
        """The same of values."""
        return self.pick(_one_of(*legal), _one_of(*odd))

    def entitle(self) -> None:
        """What follows takes a capability: an ordinary user has it, mostly, in its own user namespace."""
        if self.own and self.draw(st.integers(0, 7)) != 7:
            self.attributes["Cloneflags"] = self.attributes.get("Cloneflags", 0) | NEWUSER
            if self.draw(st.booleans()):
                # By the same ID: what changes the identity to the own one is legal inside and outside.
                same = {"ContainerID": self.own, "HostID": self.own, "Size": 1}
                for name in ("UidMappings", "GidMappings"):
                    self.attributes.setdefault(name, [same])

    def identity(self) -> dict[str, Any]:
        """Another identity that the user may have; an ordinary one, its own alone (setuid(2))."""
        return {"Uid": self.own, "Gid": self.own, "NoSetGroups": True} if self.own else dict(_OTHER)

    def cloneflags(self) -> None:
        self.entitle()
        drawn = self.pick(_flags, _odd_flags)
        self.attributes["Cloneflags"] = self.attributes.get("Cloneflags", 0) | drawn

    def unshareflags(self) -> None:
        self.entitle()
        drawn = self.pick(_left, _odd_flags)
        self.attributes["Unshareflags"] = self.attributes.get("Unshareflags", 0) | drawn

    def maps(self) -> None:
        where = self.draw(_one_of("Cloneflags", "Unshareflags"))
        self.attributes[where] = self.attributes.get(where, 0) | NEWUSER
        # An ordinary user may map its own ID alone.
        single = self.own and self.draw(st.booleans())
        alike = _own if single else self.draw(_alike)
        for name in ("UidMappings", "GidMappings"):
            drawn = self.draw(_odd_maps) if alike is ... else alike
            self.attributes[name] = drawn and [self._of_own(mapping) for mapping in drawn]
        # Without a capability outside, a map of groups is taken only where setgroups(2) is denied.
        allowing = _one_of(False, False, True) if self.own else st.booleans()
        self.attributes["GidMappingsEnableSetgroups"] = self.draw(allowing)
        if alike is _both and not self.attributes["GidMappingsEnableSetgroups"]:
            # Where one may map a single ID, the refusal of either map would hide what becomes of the other.
            self.attributes["GidMappings"] = [self._of_own(mapping) for mapping in _own]
        who = self.draw(_mapped)
        if who is not None:
            # An ordinary user's map denies setgroups(2): Groups are refused then, and none are left alone.
            left_alone = self.own and self.draw(st.booleans())
            self.attributes["Credential"] = {**who, **({"NoSetGroups": True} if left_alone else {})}

    def _of_own(self, mapping: dict[str, int]) -> dict[str, int]:
        """The mapping with the user's ID in place of root's."""
        return {**mapping, "HostID": mapping["HostID"] or self.own}

    def credential(self) -> None:
        if self.own and self.draw(st.integers(0, 3)) != 3:
            if self.draw(st.booleans()):
                self.entitle()
            self.attributes["Credential"] = self.identity()
            return
        made = {"Uid": self.pick(_ids, st.just(_NO_ID)), "Gid": self.pick(_ids, st.just(_NO_ID))}
        groups = self.draw(_groups)
        if groups is not None:
            made["Groups"] = groups
        if self.draw(st.integers(0, 3)) == 3:
            made["NoSetGroups"] = True
        self.attributes["Credential"] = made

    def ambientcaps(self) -> None:
        self.entitle()
        self.attributes["AmbientCaps"] = self.pick(_capabilities, _odd_capabilities)
        if self.draw(st.integers(0, 3)) == 3:
            # They come through a change of identities only where the others are kept first.
            self.attributes["Credential"] = self.identity()

    def chroot(self) -> None:
        self.entitle()
        self.attributes["Chroot"] = self.either(["root"], [".", "/", "missing", "plain", "closed", "a\0b"])
        if self.attributes["Chroot"] == "root":
            self.command["Path"] = "/probe"
            self._beside_a_root()

    def _beside_a_root(self) -> None:
        """What comes before or after the change of root, and shows whether it did."""
        beside = self.draw(_one_of("", "Dir", "Unshareflags", "Credential"))
        if beside == "Dir":
            self.command["Dir"] = "/"
        if beside == "Unshareflags":
            kind = self.draw(_one_of("mnt", "user"))
            self.attributes[beside] = self.attributes.get(beside, 0) | KINDS[kind]
        if beside == "Credential":
            self.attributes[beside] = self.identity()

    def dir(self) -> None:
        places = ["/", "root", f"{self.scratch}/root/inner", "closed", ""]
        self.command["Dir"] = self.either(places, ["missing", "plain"])

    def path(self) -> None:
        odd = ["/probe", "plain", "garbage", "lost", "missing", "root", "plain/x", ""]
        self.command["Path"] = self.either(["probe", "./probe"], odd)

    def args(self) -> None:
        self.command["Args"] = self.pick(_arguments, st.just(["x\0y"]))

    def env(self) -> None:
        self.command["Env"] = self.pick(_environments, _odd_environments)

    def files(self) -> None:
        for name in ("Stdin", "Stdout", "Stderr"):
            self.command[name] = self.draw(_descriptors)
        self.command["ExtraFiles"] = self.draw(_files)
        if self.draw(st.integers(0, 7)) == 7:
            self.command["ExtraFiles"].append(_CLOSED)

    def setsid(self) -> None:
        self.attributes["Setsid"] = True

    def setpgid(self) -> None:
        self.attributes.update(Setpgid=True, Pgid=self.draw(_one_of(0, 0, 0, 0, 1, 999999, -1)))

    def setctty(self) -> None:
        self.attributes.update(Setctty=True, Setsid=self.either([True], [False]))
        self.attributes["Ctty"] = self.either([0], [1, 3, TERMINAL, -1, _CLOSED])
        self.command["Stdin"] = TERMINAL

    def noctty(self) -> None:
        self.attributes["Noctty"] = True
        self.around["terminal"] = True
        self.command["Stdin"] = self.either([TERMINAL], [FILE])

    def foreground(self) -> None:
        self.attributes.update(Foreground=True, Ctty=self.either([TERMINAL], [0, _CLOSED]))
        self.around["terminal"] = True

    def pdeathsig(self) -> None:
        self.attributes["Pdeathsig"] = self.either([9, 15, 1, 64], [65, -1])
        if self.draw(st.booleans()):
            # Other identities clear the signal (prctl(2)): what comes first shows.
            self.attributes["Credential"] = self.identity()

    def cgroup(self) -> None:
        self.attributes.update(UseCgroupFD=True, CgroupFD=self.either([CGROUP], [FILE, _CLOSED, -1]))

    def pidfd(self) -> None:
        self.attributes["PidFD"] = 0

    def terminal(self) -> None:
        self.around["terminal"] = True

    def without(self) -> None:
        self.around["without"] = self.draw(_lacking)

    def ignored(self) -> None:
        self.around["ignored"] = self.draw(_signals)

    def blocked(self) -> None:
        self.around["blocked"] = self.draw(_signals)
