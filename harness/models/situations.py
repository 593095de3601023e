"""Programs that a search plays first, by kind and name: what manual pages tell, and draws seldom hit."""

from __future__ import annotations

from harness.models.acts import Act

SITUATIONS: dict[str, dict[str, list[Act]]] = {
    "uts": {
        "a name is set and seen by who joins": [
            Act("clone", 0, (1, "uts")),
            Act("sethostname", 1, "red"),
            Act("setns", 0, 1),
            Act("exit", 1),
        ],
        "root sets the name of a namespace over which it has no capability": [
            Act("unshare", 0, "user"),
            Act("sethostname", 0, "red"),
            Act("sysctl", 0, "red"),
        ],
        "a namespace that is kept open is inherited": [
            Act("keep", 0),
            Act("fork", 0, 1),
            Act("unshare", 1, "uts"),
            Act("sethostname", 0, "red"),
            Act("return", 1),
        ],
    },
    "ipc": {
        "a removed segment lives until the last one detaches": [
            Act("get", 0, ("segment", 1, "create")),
            Act("attach", 0, 0),
            Act("fork", 0, 1),
            Act("remove", 0, ("segment", 0)),
            Act("get", 1, ("segment", 1, "")),
            Act("attach", 1, 0),
            Act("detach", 0),
            Act("exit", 1),
        ],
        "attached memory is shared across namespaces": [
            Act("get", 0, ("segment", 1, "create")),
            Act("attach", 0, 0),
            Act("clone", 0, (1, "ipc")),
            Act("write", 1, 2),
            Act("unshare", 0, "ipc"),
        ],
        "a namespace outlives its members where it is kept open": [
            Act("open", 0, ("one", "create")),
            Act("keep", 0),
            Act("unshare", 0, "ipc"),
            Act("open", 0, ("one", "")),
            Act("return", 0),
            Act("open", 0, ("one", "exclusive")),
        ],
    },
    "pid": {
        "nobody is born after the init": [
            Act("unshare", 0, "pid"),
            Act("fork", 0, 1),
            Act("kill", 0, (1, "KILL")),
            Act("fork", 0, 2),
        ],
        "a subreaper adopts, and its children do not": [
            Act("subreaper", 0, True),
            Act("fork", 0, 1),
            Act("fork", 1, 2),
            Act("fork", 2, 3),
            Act("exit", 2),
        ],
        "the init in the parent's namespace adopts": [
            Act("fork", 0, 1),
            Act("clone", 1, (2, "pid")),
            Act("setns", 1, 2),
            Act("fork", 1, 3),
            Act("exit", 1),
        ],
        "an init is ended from outside alone": [
            Act("clone", 0, (1, "pid")),
            Act("fork", 1, 2),
            Act("kill", 2, (1, "KILL")),
            Act("kill", 2, (1, "USR1")),
            Act("signal", 2, (0, "KILL")),
            Act("signal", 0, (1, "TERM")),
            Act("signal", 0, (1, "KILL")),
        ],
        "thirty-two levels and no more": [Act("nest", 0, (1, 32)), Act("nest", 0, (1, 2))],
    },
    "user": {
        "who made a namespace is capable there": [
            Act("setuid", 0, 1000),
            Act("clone", 0, (1, "user")),
            Act("map", 0, (1, ((0, 0, 1),))),
            Act("map", 0, (1, ((0, 1000, 1),))),
            Act("setns", 0, 1),
        ],
        "a map is written once, and not from afar": [
            Act("clone", 0, (1, "user")),
            Act("map", 0, (1, ((0, 0, 1001),))),
            Act("clone", 1, (2, "user")),
            Act("map", 0, (2, ((0, 0, 1),))),
            Act("map", 1, (2, ((0, 0, 1),))),
            Act("map", 1, (2, ((0, 0, 1),))),
        ],
        "a range outside is within one line of the parent's map": [
            Act("clone", 0, (1, "user")),
            Act("map", 0, (1, ((0, 1000, 2), (1000, 0, 1)))),
            Act("clone", 1, (2, "user")),
            Act("map", 1, (2, ((0, 0, 1001),))),
            Act("map", 1, (2, ((0, 1000, 1),))),
        ],
        "root without capabilities cannot hand on root": [
            Act("drop", 0),
            Act("unshare", 0, "user"),
            Act("map", 0, (0, ((0, 0, 1),))),
        ],
        "files belong to whom a map makes of their owners": [
            Act("create", 0, "one"),
            Act("fork", 0, 1),
            Act("setuid", 1, 1000),
            Act("create", 1, "two"),
            Act("chown", 1, ("one", 1000)),
            Act("unshare", 1, "user"),
            Act("map", 1, (1, ((0, 1000, 1),))),
            Act("chown", 1, ("two", 0)),
            Act("chown", 1, ("two", 1000)),
        ],
    },
}
