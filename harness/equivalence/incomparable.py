"""What the search does not draw or compare, since it would tell nothing: the known differences."""

from __future__ import annotations

from typing import NamedTuple

from harness.equivalence.versions import CLONE3, GIVES_BACK, SINCE, number

_EVERY = (1000,)
"""Later than every version of Go."""


ANY = "(any)"
"""In place of a field: all trials."""


class Incomparable(NamedTuple):
    """Some values of some fields."""

    fields: str
    values: str
    go: str
    """What Go does with them."""
    port: str
    drawn: tuple[str, ...] = ()
    """What the search calls these fields."""
    until: tuple[int, ...] = _EVERY
    """The first version of Go that can be compared."""
    whole: bool = False
    """Whether it is every value."""

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """What a table shows of it."""
        return self.fields, self.values, self.go, self.port


COLUMNS = ("fields", "not compared", "Go", "the port")

INCOMPARABLE = (
    Incomparable(
        "`UidMappings`, `GidMappings`",
        "without a new user namespace",
        "hangs for ever: the parent waits for execve (`CLONE_VFORK`), the child for its maps",
        'refuses: "id maps without a new user namespace"',
        drawn=("maps",),
    ),
    Incomparable(
        "`UidMappings`, `GidMappings`",
        "empty (`[]`), with `CLONE_NEWUSER` in `Unshareflags`",
        'its child takes the address of the first byte and crashes: "stack growth after fork" (1.27.3)',
        "EINVAL, as both with `Cloneflags`",
        drawn=("maps",),
    ),
    Incomparable(
        "`AmbientCaps`",
        "from 64 on",
        "before 1.26 or so, the child leaves an array's bounds; EINVAL in 1.27",
        "EINVAL",
        drawn=("AmbientCaps",),
    ),
    Incomparable(
        "`PidFD`",
        "with Go 1.21 and older",
        "there is no such field",
        "a pidfd",
        drawn=("PidFD",),
        until=SINCE["PidFD"],
        whole=True,
    ),
    Incomparable(
        "`UseCgroupFD`, `CgroupFD`",
        "with Go 1.19",
        "there are no such fields",
        "the control group",
        drawn=("cgroup",),
        until=SINCE["UseCgroupFD"],
        whole=True,
    ),
    Incomparable(
        "`Cloneflags`",
        "`CLONE_NEWTIME` with Go 1.19",
        "hands it to clone(2), where it is part of a signal's number: ignored, from Linux 7.1 on refused",
        "a new namespace, by clone3(2)",
        drawn=("Cloneflags",),
        until=CLONE3,
    ),
    Incomparable(
        "`Cloneflags`",
        "`CLONE_PARENT`",
        'the child is another process\'s: "waitid: no child processes"',
        "the same",
        drawn=("Cloneflags",),
    ),
    Incomparable(
        "`Cloneflags`",
        "`CLONE_FILES`, `CLONE_THREAD` with `CLONE_SIGHAND`",
        "execve closes the report that both share, or ends the isolator: nothing is reported",
        "the same",
        drawn=("Cloneflags",),
    ),
    Incomparable(
        "`AmbientCaps`",
        "with Go 1.19",
        'a refused one is "errno 0"',
        "its errno",
        drawn=("AmbientCaps",),
        until=SINCE["AmbientCaps"],
        whole=True,
    ),
    Incomparable(
        "the soft limit of open files",
        "with Go 1.19",
        "raised to the hard one for itself, and so for what it starts",
        "left alone; newer Go gives it back to what it starts",
        drawn=(ANY,),
        until=GIVES_BACK,
    ),
    Incomparable(
        "`ExtraFiles`",
        "so that a descriptor is inherited at the number after the highest one that is handed over",
        "overwritten or not, by the numbers of Go's own pipes",
        "the same, by the numbers of its own pipes",
        drawn=("files",),
    ),
    Incomparable("`Ptrace`", "at all", "its parent has to trace the child", "unknown field"),
)


def concerning(drawn: str, version: str) -> list[Incomparable]:
    """What is not compared of a field, as the search calls it, with a version of Go."""
    return [it for it in INCOMPARABLE if drawn in it.drawn and number(version) < it.until]
