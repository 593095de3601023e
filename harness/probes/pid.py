"""PID namespaces: numbering, nesting, init, and who may enter which."""

from __future__ import annotations

import os
import signal
from typing import Any

from harness.probes.children import held, identity, in_child, in_new_user_namespace, namespace, read, write
from harness.probes.registry import fact, facts
from harness.probes.syscalls import NEWPID, NEWUSER, call, error_name, outcome, setns, unshare


@fact("pid.first")
def first() -> int:
    """The PID of the first process in a new PID namespace. Source: pid_namespaces(7)."""
    return int(in_child(os.getpid, flags=NEWPID))


@fact("pid.parent_of_first")
def parent_of_first() -> int:
    """The PID that the first process of a PID namespace sees as its parent's.

    Source: pid_namespaces(7), Nesting.
    """
    return int(in_child(os.getppid, flags=NEWPID))


@fact("pid.numbers_in_status")
def numbers_in_status() -> int:
    """How many numbers NSpid has of a process one PID namespace below that of /proc.

    Source: proc_pid_status(5), NSpid.
    """
    with held(NEWPID) as pid:
        lines = read(f"/proc/{pid}/status").splitlines()
        return len(next(line for line in lines if line.startswith("NSpid:")).split()) - 1


def _nest(flag: int) -> list[Any]:
    """Go one level down in a child, and so on; the number of levels below and the errno at the bottom."""
    try:
        # Root must be mapped before it may make the next user namespace.
        enter, flags = (in_new_user_namespace, 0) if flag == NEWUSER else (in_child, flag)
        below = enter(_nest, flag, flags=flags)
    except OSError as error:
        return [0, error_name(error.errno or 0)]
    return [below[0] + 1, below[1]]


NESTED = {"pid": NEWPID, "user": NEWUSER}


@facts("{}.levels_below_host", NESTED)
def levels_below_host(flag: int) -> int:
    """How many levels of {} namespaces fit below the host's.

    Source: pid_namespaces(7), Nesting; user_namespaces(7), Nested namespaces.
    """
    return int(_nest(flag)[0]) + 1


@facts("{}.one_level_too_many", NESTED)
def one_level_too_many(flag: int) -> str:
    """What is said to one more {} namespace below the deepest.

    Source: clone(2), ERRORS; user_namespaces(7).
    """
    return str(_nest(flag)[1])


@fact("pid.unshare_twice")
def unshare_twice() -> str:
    """What the second unshare(CLONE_NEWPID) of a process says.

    Source: unshare(2), ERRORS; pid_namespaces(7).
    """
    unshare(NEWPID)
    return outcome(unshare, NEWPID)


@fact("pid.fork_after_init_died")
def fork_after_init_died() -> str:
    """What fork(2) says after the first process of the children's PID namespace has ended.

    Source: pid_namespaces(7), The namespace init process.
    """
    unshare(NEWPID)
    in_child(os.getpid)
    return outcome(in_child, os.getpid)


@fact("pid.setns_ancestor")
def setns_ancestor() -> str:
    """What setns(2) says to the PID namespace of an ancestor. Source: setns(2), ERRORS; pid_namespaces(7)."""
    with namespace("pid") as descriptor:
        return outcome(in_child, setns, descriptor, NEWPID, flags=NEWPID)


@fact("pid.setns_sibling")
def setns_sibling() -> str:
    """What setns(2) says to a PID namespace that is neither below nor the caller's.

    Source: setns(2), ERRORS.
    """
    with held(NEWPID) as pid, namespace("pid", pid) as descriptor:
        return outcome(in_child, setns, descriptor, NEWPID, flags=NEWPID)


@fact("pid.setns_descendant")
def setns_descendant() -> list[str]:
    """What setns(2) into a child's PID namespace changes: the caller's, its children's. Source: setns(2)."""
    before = identity("pid")
    with held(NEWPID) as pid, namespace("pid", pid) as descriptor:
        setns(descriptor, NEWPID)
        # What is made there has to end first, for the kernel ends it with its init.
        after = [identity("pid"), in_child(identity, "pid")]
    return ["same" if found == before else "new" for found in after]


@fact("pid.for_children_before_first_child")
def for_children_before_first_child() -> str:
    """What opening pid_for_children says after unshare(2), before the first child. Source: namespaces(7)."""
    unshare(NEWPID)
    return outcome(os.open, "/proc/self/ns/pid_for_children", os.O_RDONLY)


@fact("pid.signal_from_inside")
def signal_from_inside() -> bool:
    """Whether init survives SIGKILL from its own namespace.

    Source: pid_namespaces(7), The namespace init process.
    """
    return bool(in_child(_kill_own_init, flags=NEWPID))


def _kill_own_init() -> bool:
    if os.getpid() != 1:
        raise RuntimeError("no PID namespace was made")
    os.kill(1, signal.SIGKILL)
    return True


@fact("pid.signal_from_outside")
def signal_from_outside() -> str:
    """The signal by which init ends that got SIGKILL from the parent namespace. Source: pid_namespaces(7)."""
    pid = call("clone", NEWPID | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        signal.pause()
    os.kill(pid, signal.SIGKILL)
    return signal.Signals(os.WTERMSIG(os.waitpid(pid, 0)[1])).name


@fact("pid.orphan_is_adopted_by")
def orphan_is_adopted_by() -> int:
    """The PID of an orphan's new parent in a new PID namespace.

    Source: pid_namespaces(7), Adoption of orphans.
    """
    return int(in_child(_orphan, flags=NEWPID))


def _orphan() -> int:
    reading, writing = os.pipe()
    ended, ending = os.pipe()
    middle = call("clone", signal.SIGCHLD, 0, 0, 0, 0)
    if middle == 0:
        if call("clone", signal.SIGCHLD, 0, 0, 0, 0) == 0:
            os.close(ending)
            os.read(ended, 1)
            os.write(writing, b"%d" % os.getppid())
        os._exit(0)
    os.waitpid(middle, 0)
    os.close(ending)
    return int(os.read(reading, 20))


@fact("pid.max_in_new_namespace")
def max_in_new_namespace() -> int:
    """kernel.pid_max as a new PID namespace shows it. Source: pid_namespaces(7), /proc/sys/kernel/pid_max."""
    return int(in_child(read, "/proc/sys/kernel/pid_max", flags=NEWPID))


@fact("pid.last_in_new_namespace")
def last_in_new_namespace() -> int:
    """kernel.ns_last_pid as the first process of a new PID namespace reads it. Source: pid_namespaces(7)."""
    return int(in_child(read, "/proc/sys/kernel/ns_last_pid", flags=NEWPID))


@fact("pid.next_chosen_by_ns_last_pid")
def next_chosen_by_ns_last_pid() -> int:
    """The PID of a child made after 499 was written to ns_last_pid.

    Source: pid_namespaces(7), /proc files.
    """
    write("/proc/sys/kernel/ns_last_pid", "499")
    return int(in_child(os.getpid))
