"""Draws trials: a description of any mix of fields, legal and illegal, and what the isolator itself is in.

A trial has few fields, so that most are legal as a whole and a difference shrinks to the fields that make it.
What no trial may ask for, since it would tell nothing: see ``UNDRAWN``.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from harness.equivalence.starter import CGROUP, FILE, PIPE, TERMINAL
from harness.probes.syscalls import FS, KINDS, NEWUSER, SYSVSEM

UNDRAWN = """\
- Maps without a new user namespace: Go's parent waits for the child's execve (CLONE_VFORK), the child for the
  parent's maps, for ever. The port refuses: "id maps without a new user namespace".
- An empty map (`[]`) with CLONE_NEWUSER in Unshareflags: Go's child takes the address of its first byte and
  crashes ("stack growth after fork"). The port gets EINVAL from the kernel. With Cloneflags, where the parent
  writes the map, both do.
- Ambient capabilities from 64 on: in older Go the child leaves an array's bounds (1.24 does, 1.27 does not).
- Clone flags that take the child out of its parent's hands (CLONE_PARENT, CLONE_THREAD) or share descriptors
  and signal handlers with it (CLONE_FILES, CLONE_SIGHAND): Go's runtime does not survive them.
- `Ptrace`: it needs a tracer."""

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

_ids = st.sampled_from([0, 0, 1, 1000, _NOBODY, _LAST, 0, 1000, _NO_ID])
_kinds = st.sampled_from([*KINDS.values()])
_flags = _kinds | st.sets(_kinds, min_size=1, max_size=3).map(sum)
_odd_flags = st.sampled_from([FS, SYSVSEM, _IO, _UNTRACED, FS | KINDS["mnt"], SYSVSEM | KINDS["ipc"]])
_capabilities = st.integers(0, 40) | st.integers(0, 40) | st.integers(0, 40) | st.sampled_from([41, 63])
_descriptors = st.sampled_from([FILE, PIPE, TERMINAL, 0, 2, -1, None, FILE, PIPE, 1, CGROUP, _CLOSED])
_mapping = st.builds(
    lambda inside, outside, size: {"ContainerID": inside, "HostID": outside, "Size": size},
    st.sampled_from([0, 0, 0, 1, 1000, -1]),
    st.sampled_from([0, 0, 0, 1, 1000, _NO_ID]),
    st.sampled_from([1, 1, 1, 2, 0, 65536, -1]),
)
_own = [{"ContainerID": 0, "HostID": 0, "Size": 1}]
_both = [*_own, {"ContainerID": 1, "HostID": 1, "Size": 65535}]
_maps = st.sampled_from([_own, _own, _own, _both, None]) | st.lists(_mapping, max_size=3)
_signals = st.sampled_from([1, 2, 9, 10, 13, 15, 17, 34, 40, 64])


@st.composite
def trials(draw: st.DrawFn, scratch: str) -> dict[str, Any]:
    """A trial on a host where the starter's files are in ``scratch``."""
    chosen = draw(st.lists(st.sampled_from(FIELDS), unique=True, min_size=1, max_size=5), label="fields")
    drawing = _Drawing(draw, scratch)
    for field in chosen:
        getattr(drawing, field.lower())()
    return {"fields": sorted(chosen), **drawing.trial()}


class _Drawing:
    """A trial in the making; a method for each field, which draws it."""

    def __init__(self, draw: st.DrawFn, scratch: str) -> None:
        self.draw, self.scratch = draw, scratch
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

    def set(self, name: str, strategy: st.SearchStrategy[Any]) -> None:
        self.attributes[name] = self.draw(strategy, label=name)

    def cloneflags(self) -> None:
        self.attributes["Cloneflags"] = self.attributes.get("Cloneflags", 0) | self.draw(_flags | _odd_flags)

    def unshareflags(self) -> None:
        self.attributes["Unshareflags"] = self.attributes.get("Unshareflags", 0) | self.draw(_flags)

    def maps(self) -> None:
        where = self.draw(st.sampled_from(["Cloneflags", "Unshareflags"]))
        self.attributes[where] = self.attributes.get(where, 0) | NEWUSER
        self.set("UidMappings", _maps)
        self.set("GidMappings", _maps)
        if self.draw(st.booleans()):
            self.attributes["GidMappingsEnableSetgroups"] = True

    def credential(self) -> None:
        groups = st.lists(_ids, max_size=3)
        parts = {"Uid": _ids, "Gid": _ids}
        self.set(
            "Credential",
            st.fixed_dictionaries(parts, optional={"Groups": groups, "NoSetGroups": st.booleans()}),
        )

    def ambientcaps(self) -> None:
        self.set("AmbientCaps", st.lists(_capabilities, min_size=1, max_size=3))

    def chroot(self) -> None:
        places = ["root", "root", "root", "root", ".", "/", "missing", "plain", "closed", "a\0b"]
        self.set("Chroot", st.sampled_from(places))
        if self.attributes["Chroot"] in ("root", ".") and self.draw(st.integers(0, 3)):
            self.command["Path"] = "/probe"
        if self.draw(st.booleans()):
            self.dir()

    def dir(self) -> None:
        places = ["/", "inner", "root", f"{self.scratch}/root", "missing", "plain", "closed", ""]
        self.command["Dir"] = self.draw(st.sampled_from(places))

    def path(self) -> None:
        places = ["probe", "./probe", "/probe", "plain", "garbage", "lost", "missing", "root", "plain/x", ""]
        self.command["Path"] = self.draw(st.sampled_from(places))

    def args(self) -> None:
        self.command["Args"] = self.draw(
            st.lists(st.sampled_from(["", "a b", "-x", "ü", "x\0y"]), max_size=3)
        )

    def env(self) -> None:
        entries = st.sampled_from(["A=1", "A=2", "B=", "=C=1", "=C=2", "odd", "", "PWD=/x", "N\0=1"])
        self.command["Env"] = self.draw(st.lists(entries, max_size=4) | st.none())

    def files(self) -> None:
        for name in ("Stdin", "Stdout", "Stderr"):
            self.command[name] = self.draw(_descriptors, label=name)
        self.command["ExtraFiles"] = self.draw(st.lists(_descriptors, max_size=7), label="ExtraFiles")

    def setsid(self) -> None:
        self.attributes["Setsid"] = True

    def setpgid(self) -> None:
        self.attributes["Setpgid"] = True
        self.set("Pgid", st.sampled_from([0, 0, 0, 0, 1, 999999, -1]))

    def setctty(self) -> None:
        self.attributes.update(Setctty=True, Setsid=self.draw(st.sampled_from([True, True, False])))
        self.command["Stdin"] = TERMINAL
        self.set("Ctty", st.sampled_from([0, 0, 0, 1, 3, TERMINAL, -1]))

    def noctty(self) -> None:
        self.attributes["Noctty"] = True
        self.around["terminal"] = True
        self.command["Stdin"] = self.draw(st.sampled_from([TERMINAL, TERMINAL, FILE]))

    def foreground(self) -> None:
        self.attributes["Foreground"] = True
        self.around["terminal"] = True
        self.set("Ctty", st.sampled_from([TERMINAL, TERMINAL, TERMINAL, 0, _CLOSED]))

    def pdeathsig(self) -> None:
        self.set("Pdeathsig", st.sampled_from([9, 15, 1, 64, 9, 15, 65, -1]))

    def cgroup(self) -> None:
        self.attributes["UseCgroupFD"] = True
        self.set("CgroupFD", st.sampled_from([CGROUP, CGROUP, FILE, _CLOSED, -1]))

    def pidfd(self) -> None:
        self.attributes["PidFD"] = 0

    def terminal(self) -> None:
        self.around["terminal"] = True

    def without(self) -> None:
        every = [*range(41)]
        some = st.sets(st.sampled_from([0, 1, 6, 7, 18, 21]), min_size=1).map(sorted)
        self.around["without"] = self.draw(st.just(every) | some)

    def ignored(self) -> None:
        self.around["ignored"] = self.draw(
            st.sets(_signals.filter(lambda number: number != 9), max_size=3).map(sorted)
        )

    def blocked(self) -> None:
        self.around["blocked"] = self.draw(st.sets(_signals, max_size=3).map(sorted))
