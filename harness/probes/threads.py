"""What a process with several threads, or one that shares its file system attributes, may not do."""

from __future__ import annotations

import _thread

from harness.probes.children import held, namespace
from harness.probes.registry import facts
from harness.probes.syscalls import FS, KINDS, NEWNS, NEWPID, NEWTIME, outcome, setns, unshare

FLAG = {kind: (kind, flag) for kind, flag in KINDS.items()}


def _start_thread() -> None:
    """Have a second thread, which waits for ever."""
    lock = _thread.allocate_lock()
    lock.acquire()
    _thread.start_new_thread(lock.acquire, ())


@facts("threaded.unshare_{}", FLAG)
def threaded_unshare(_kind: str, flag: int) -> str:
    """What unshare(2) with the flag of {} says to a process with two threads. Source: unshare(2), ERRORS."""
    _start_thread()
    return outcome(unshare, flag)


@facts("threaded.setns_{}", FLAG)
def threaded_setns(kind: str, flag: int) -> str:
    """What setns(2) says to a process with two threads that enters a child's new {} namespace.

    Source: setns(2), ERRORS; time_namespaces(7).
    """
    with held(KINDS[kind]) as pid, namespace(kind, pid) as descriptor:
        # Not before the child is there: cloned beside a thread, it may inherit a lock that the thread holds.
        _start_thread()
        return outcome(setns, descriptor, flag)


@facts("threaded.start_after_unshare_{}", {"pid": NEWPID, "time": NEWTIME})
def start_after_unshare(flag: int) -> str:
    """Whether a process that made a new {} namespace for its children can start a thread: `ok` or `refused`.

    Source: pid_namespaces(7), Compatibility of CLONE_NEWPID with other CLONE_* flags.
    """
    unshare(flag)
    try:
        _start_thread()
    except RuntimeError:
        return "refused"
    return "ok"


@facts("shared_fs.{}", {"unshare_mnt": "unshare", "setns_mnt": "setns"})
def shared_fs(how: str) -> str:
    """What {} says to a process that shares root and working directory with another one.

    Source: setns(2), ERRORS; unshare(2), CLONE_NEWNS.
    """
    with held(NEWNS) as pid, namespace("mnt", pid) as descriptor, held(FS):
        return outcome(unshare, NEWNS) if how == "unshare" else outcome(setns, descriptor, NEWNS)
