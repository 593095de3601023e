"""What actors do and see where UTS namespaces are the question."""

from __future__ import annotations

import os
from typing import Any

from harness.crew.actor import Actor, Verb, fresh, in_words, settle
from harness.probes.children import read, write
from harness.probes.syscalls import KINDS, setdomainname, sethostname

NEW, NAMESPACES = "uts", (("uts",), ("user",))
__all__ = ["fresh", "in_words", "settle"]
FIRST = KINDS["uts"]


def prepare() -> dict[str, Any]:
    """Set the names that the model starts with; tell whether this is root of the initial user namespace."""
    sethostname(b"start")
    setdomainname(b"start.example")
    return {"root": read("/proc/self/uid_map").split() == ["0", "0", str(2**32 - 1)]}


def _sethostname(actor: Actor, name: Any, file: int | None) -> None:
    sethostname(name.encode())


def _setdomainname(actor: Actor, name: Any, file: int | None) -> None:
    setdomainname(name.encode())


def _sysctl(actor: Actor, name: Any, file: int | None) -> None:
    write("/proc/sys/kernel/hostname", name + "\n")


VERBS: dict[str, Verb] = {"sethostname": _sethostname, "setdomainname": _setdomainname, "sysctl": _sysctl}


def look(actor: Actor, living: Any) -> dict[str, Any]:
    """Both names; where uname(2) and /proc differ on the first, both of what they say."""
    uname, proc = os.uname().nodename, read("/proc/sys/kernel/hostname")
    return {
        "hostname": uname if uname == proc else [uname, proc],
        "domain name": read("/proc/sys/kernel/domainname"),
    }
