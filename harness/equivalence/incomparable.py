"""What the search does not draw or compare, since it would tell nothing: the known differences."""

from __future__ import annotations

from typing import NamedTuple


class Incomparable(NamedTuple):
    """Some values of some fields."""

    fields: str
    values: str
    go: str
    """What Go does with them."""
    port: str


COLUMNS = ("fields", "not compared", "Go", "the port")

INCOMPARABLE = (
    Incomparable(
        "`UidMappings`, `GidMappings`",
        "without a new user namespace",
        "hangs for ever: the parent waits for execve (`CLONE_VFORK`), the child for its maps",
        'refuses: "id maps without a new user namespace"',
    ),
    Incomparable(
        "`UidMappings`, `GidMappings`",
        "empty (`[]`), with `CLONE_NEWUSER` in `Unshareflags`",
        'its child takes the address of the first byte and crashes: "stack growth after fork" (1.27.3)',
        "EINVAL, as both with `Cloneflags`",
    ),
    Incomparable(
        "`AmbientCaps`",
        "from 64 on",
        "before 1.26 or so, the child leaves an array's bounds; EINVAL in 1.27",
        "EINVAL",
    ),
    Incomparable("`PidFD`", "with Go 1.21 and older", "there is no such field", "a pidfd"),
    Incomparable(
        "`UseCgroupFD`, `CgroupFD`", "with Go 1.19", "there are no such fields", "the control group"
    ),
    Incomparable(
        "`Cloneflags`",
        "`CLONE_NEWTIME` with Go 1.19",
        "hands it to clone(2), where it is part of a signal's number: ignored, from Linux 7.1 on refused",
        "a new namespace, by clone3(2)",
    ),
    Incomparable(
        "`Cloneflags`",
        "`CLONE_PARENT`",
        'the child is another process\'s: "waitid: no child processes"',
        "the same",
    ),
    Incomparable(
        "`Cloneflags`",
        "`CLONE_FILES`, `CLONE_THREAD` with `CLONE_SIGHAND`",
        "execve closes the report that both share, or ends the isolator: nothing is reported",
        "the same",
    ),
    Incomparable("`AmbientCaps`", "with Go 1.19", 'a refused one is "errno 0"', "its errno"),
    Incomparable(
        "the soft limit of open files",
        "with Go 1.19",
        "raised to the hard one for itself, and so for what it starts",
        "left alone; newer Go gives it back to what it starts",
    ),
    Incomparable(
        "`ExtraFiles`",
        "so that a descriptor is inherited at the number after the highest one that is handed over",
        "overwritten or not, by the numbers of Go's own pipes",
        "the same, by the numbers of its own pipes",
    ),
    Incomparable("`Ptrace`", "at all", "its parent has to trace the child", "unknown field"),
)
