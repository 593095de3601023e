"""Does the port start programs by the system calls of Go's os/exec?

Rule (Go's syscall/exec_linux.go, forkAndExecInChild1, by version): the same description leads to the same
calls of the child from clone(2) to execve(2), in the same order and with the same arguments and answers. What
Go does for its own runtime's sake is listed in ``go_runtime_calls.toml``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.described import Described
from harness.equivalence import harmless
from harness.equivalence.strace import REMEDY, differences, traced
from harness.equivalence.versions import sayable
from harness.hosts.base import LabHost
from harness.isolators import Isolator
from harness.isolators.port import Port
from harness.notebook import Notebook

NEWTIME, NEWNS, NEWUTS, NEWIPC, NEWUSER = 0x80, 0x20000, 0x4000000, 0x8000000, 0x10000000
OWN_ID = [{"ContainerID": 0, "HostID": 0, "Size": 1}]
MAPS = {"UidMappings": OWN_ID, "GidMappings": OWN_ID}
NOBODY = {"Credential": {"Uid": 0, "Gid": 0, "NoSetGroups": True}}

ATTRIBUTES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "four kinds": {"Cloneflags": 0x2C020000},
    "a time namespace": {"Cloneflags": NEWTIME},
    "unshared mounts": {"Unshareflags": NEWNS | NEWUTS},
    "maps by the parent": {"Cloneflags": NEWUSER | NEWUTS, **MAPS, **NOBODY},
    "maps by the child": {"Unshareflags": NEWUSER | NEWIPC, **MAPS},
    "maps that allow setgroups": {"Cloneflags": NEWUSER, **MAPS, "GidMappingsEnableSetgroups": True},
    "a map of ids that are not there": {
        "Cloneflags": NEWUSER,
        "UidMappings": [{"ContainerID": 0, "HostID": 2**32 - 2, "Size": 9}],
    },
    "groups": {"Credential": {"Uid": 0, "Gid": 0, "Groups": [0]}},
    "ambient capabilities": {"AmbientCaps": [21, 6], **NOBODY},
    "a capability that does not exist": {"AmbientCaps": [63]},
    "a root": {"Chroot": "/"},
    "a root that is missing": {"Chroot": "/missing", "Setsid": True},
    "a session": {"Setsid": True, "Pdeathsig": 9},
    "a process group": {"Setpgid": True},
    "a process group that is not there": {"Setpgid": True, "Pgid": 2**22 - 1},
    "a terminal that is none": {"Setsid": True, "Setctty": True, "Ctty": 1},
    "no terminal": {"Noctty": True},
    "a pidfd": {"PidFD": 0},
    "everything": {
        "Cloneflags": NEWUTS,
        "Unshareflags": NEWNS | NEWIPC | NEWUSER,
        **MAPS,
        **NOBODY,
        "AmbientCaps": [21],
        "Chroot": "/",
        "Setsid": True,
        "Pdeathsig": 15,
    },
}

COMMANDS: dict[str, dict[str, Any]] = {
    "a directory": {"Dir": "/dev"},
    "streams crossed": {"Stdin": 2, "Stdout": 0, "Stderr": 1},
    "streams closed": {"Stdin": -1, "Stderr": -1},
    "a file more": {"ExtraFiles": [2, None, 1]},
    "a program that is missing": {"Path": "/missing"},
}

CALLS = ("description", "calls of the child", "of the isolator", "Go and the port")
HARMLESS = ("of", "call", "times", "why it makes no difference", "source")


def descriptions(version: str) -> dict[str, dict[str, Any]]:
    """What is started, by its name; a version of Go may know fewer fields."""
    usual = {"Path": "/bin/true", "Stdin": 0, "Stdout": 1, "Stderr": 2}
    named = {name: {**usual, "SysProcAttr": fields} for name, fields in ATTRIBUTES.items()}
    named |= {name: {**usual, "SysProcAttr": {}, **fields} for name, fields in COMMANDS.items()}
    named["everything"]["Dir"] = "/dev"
    return {name: it for name, it in named.items() if it == sayable(it, version)}


def test_port_and_go_make_the_same_system_calls(
    host: LabHost, golang: Isolator, need: Callable[[str, str], str], notebook: Notebook
) -> None:
    """From clone to execve, the port's child makes Go's calls in Go's order, and so does its parent."""
    need("strace", REMEDY)
    known = harmless.read()
    gos, ports = harmless.Ignored(golang.version(), known), harmless.Ignored("", known)
    programs = [Described(host, isolator).program for isolator in (golang, Port())]
    found, rows = [], []
    for name, description in descriptions(golang.version()).items():
        go, port = (traced(host, program, description) for program in programs)
        asked = description["SysProcAttr"]
        lines = differences(gos(go.child, asked), ports(port.child, asked))
        lines += differences(gos(go.parent, asked), ports(port.parent, asked))
        found += [f"{name} ({golang.version()} above the port), {line}" for line in lines]
        rows.append((name, len(port.child), len(port.parent), "different" if lines else "equal"))
    notebook.table(f"system calls, {golang.version()} and the port", CALLS, rows)
    notebook.table(f"known and harmless in {golang.version()}", HARMLESS, [*gos.rows(), *ports.rows()])

    assert not found, "\n".join(found)
    plain = traced(host, programs[1], descriptions("")["nothing"])
    assert differences(plain.child, traced(host, programs[1], descriptions("")["a root"]).child), (
        "control: a call more is seen"
    )
