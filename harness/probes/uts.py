"""UTS namespaces: the two names."""

from __future__ import annotations

import os
from typing import Callable

from harness.probes.children import in_child, in_new_user_namespace, read
from harness.probes.credentials import drop_capabilities
from harness.probes.registry import fact, facts
from harness.probes.syscalls import NEWUTS, outcome, setdomainname, sethostname, unshare

SETTERS: dict[str, tuple[str, Callable[[bytes], None]]] = {
    "hostname": ("/proc/sys/kernel/hostname", sethostname),
    "domainname": ("/proc/sys/kernel/domainname", setdomainname),
}


def _is_accepted(setter: Callable[[bytes], None], length: int) -> bool:
    return outcome(setter, b"x" * length) == "ok"


@facts("uts.{}_longest", SETTERS)
def longest(_path: str, setter: Callable[[bytes], None]) -> int:
    """The most bytes that a {} may have. Source: sethostname(2), ERRORS; setdomainname(2), ERRORS."""
    return max(length for length in range(200) if _is_accepted(setter, length))


@facts("uts.{}_shortest", SETTERS)
def shortest(_path: str, setter: Callable[[bytes], None]) -> int:
    """The fewest bytes that a {} may have. Source: sethostname(2); setdomainname(2)."""
    return min(length for length in range(200) if _is_accepted(setter, length))


@facts("uts.{}_too_long", SETTERS)
def too_long(_path: str, setter: Callable[[bytes], None]) -> str:
    """What the kernel says to a {} of 65 bytes. Source: sethostname(2), ERRORS; setdomainname(2), ERRORS."""
    return outcome(setter, b"x" * 65)


@facts("uts.{}_with_line_end", SETTERS)
def with_line_end(path: str, setter: Callable[[bytes], None]) -> bool:
    """Whether a {} may hold a line end. Source: sethostname(2), whose text names no forbidden byte."""
    setter(b"a\nb")
    with open(path) as file:
        return file.read() == "a\nb\n"


@facts("uts.{}_in_new_namespace", SETTERS)
def in_new_namespace(path: str, setter: Callable[[bytes], None]) -> str:
    """Whether a new namespace begins with the `same` {} or another. Source: uts_namespaces(7)."""
    setter(b"before")
    unshare(NEWUTS)
    return "same" if read(path) == "before" else "other"


CROSSINGS = {
    f"{name}_{how}": (*setter, flags)
    for name, setter in SETTERS.items()
    for how, flags in (("in_same_namespace", 0), ("in_new_namespace", NEWUTS))
}


@facts("uts.{}_crosses", CROSSINGS)
def crosses(path: str, setter: Callable[[bytes], None], flags: int) -> bool:
    """Whether this name, set by a child, is seen here: {words}. Source: uts_namespaces(7)."""
    setter(b"before")
    in_child(setter, b"after", flags=flags)
    return read(path) == "after"


@facts("uts.{}_set_without_capabilities", SETTERS)
def set_without_capabilities(_path: str, setter: Callable[[bytes], None]) -> str:
    """What the kernel says to a user without capabilities who sets the {}. Source: sethostname(2), ERRORS."""
    drop_capabilities()
    return outcome(setter, b"x")


@facts("uts.{}_set_from_child_user_namespace", SETTERS)
def set_from_child_user_namespace(_path: str, setter: Callable[[bytes], None]) -> str:
    """What the kernel says to root of a user namespace below the one that owns the UTS namespace: {words}.

    Source: user_namespaces(7), Interaction of user namespaces and other types of namespaces.
    """
    return outcome(in_new_user_namespace, setter, b"x")


@fact("uts.release_in_new_namespace")
def release_in_new_namespace() -> str:
    """Whether a new namespace shows the `same` kernel release or another.

    Source: uname(2); uts_namespaces(7).
    """
    before = os.uname().release
    unshare(NEWUTS)
    return "same" if os.uname().release == before else "other"
