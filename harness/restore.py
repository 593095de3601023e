"""Put this machine back as it was: processes, mounts and their propagation, names, IPC objects, files."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shutil
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from harness import mountinfo, queues
from harness.errors import LabError
from harness.mountinfo import Mount
from harness.state import Ipc, Machine, State, differences

_libc = ctypes.CDLL(None, use_errno=True)

_PATIENCE = 10.0
"""Seconds for killed processes to end: they need none, but on a busy machine have to get their turn."""

_PIDFD_SEND_SIGNAL, _PIDFD_OPEN = 424, 434
"""The same number on every architecture; by name only a Python since 3.9 knows them."""

_MNT_DETACH = 0x2
_IPC_RMID = 0
_FLAGS = {"unbindable": 1 << 17, "private": 1 << 18, "slave": 1 << 19, "shared": 1 << 20}
"""The propagation flags of mount(2)."""


def put_back(machine: Machine, before: State) -> list[str]:
    """Undo every difference from an earlier state, as far as the system lets.

    Returns:
        What is still different, by name: nothing where all went well.
    """
    _kill(machine, before)
    # POSIX queues may be reached through a mount alone, and that may be about to go.
    spoiled = machine.state()
    queues.remove(spoiled.queues - before.queues, spoiled.mounts)
    _unmount_new(machine, before)
    _restore_propagation(machine, before)
    now = machine.state()
    if now.hostname != before.hostname:
        with contextlib.suppress(OSError):
            socket.sethostname(before.hostname)
    if now.domainname != before.domainname:
        with contextlib.suppress(OSError):
            set_domainname(before.domainname)
    for ipc in now.ipc - before.ipc - before.others:
        _remove_ipc(ipc)
    for path in now.files - before.files:
        _remove(Path(path), now)
    # What this process holds it may still need: the shells on a machine are closed last.
    return differences(before, machine.state()._replace(held=before.held))


def _kill(machine: Machine, before: State) -> None:
    """End what the session started, until a look finds none: a process may have forked in between."""
    deadline = time.monotonic() + _PATIENCE
    while (left := {*machine.processes()} - before.processes) and time.monotonic() < deadline:
        killed = [process for pid, _ in left if (process := _killed(machine, pid)) is not None]
        for process in killed:
            _await_end(process, deadline)


def _killed(machine: Machine, pid: int) -> int | None:
    """Kill a process of the session's, and no other that has its PID by now.

    Returns:
        A descriptor of it (pidfd_open(2)), where it was one.
    """
    process: int = _libc.syscall(_PIDFD_OPEN, pid, 0)
    if process < 0:
        return None
    try:
        if machine.is_ours(pid):
            _libc.syscall(_PIDFD_SEND_SIGNAL, process, signal.SIGKILL, None, 0)
            return process
    except OSError:
        # It has ended, or somebody else has its PID.
        pass
    os.close(process)
    return None


def _await_end(process: int, deadline: float) -> None:
    """Wait until a process has ended, and close the descriptor of it."""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
    os.close(process)


def _unmount_new(machine: Machine, before: State) -> None:
    """Unmount what is new, until nothing more can be: a mount may hide another one's path."""
    old = {_identity(mount) for mount in before.mounts}
    progress = True
    while progress:
        new = [mount for mount in machine.state().mounts if _identity(mount) not in old]
        progress = False
        for mount in mountinfo.deepest_first(new):
            if machine.reaches(mount):
                progress |= _libc.umount2(os.fsencode(mount.point), _MNT_DETACH) == 0


def _identity(mount: Mount) -> tuple[int, str, str]:
    """What stays when a mount is moved; the kernel gives the number of one that is gone to another one."""
    return mount.id, mount.device, mount.root


def _restore_propagation(machine: Machine, before: State) -> None:
    current = {mount.id: mount for mount in machine.state().mounts}
    for mount in before.mounts:
        if mount.id not in current or current[mount.id].propagation == mount.propagation:
            continue
        # A slave that is shared as well was a slave first.
        for kind in reversed(mount.propagation.split("+")):
            with contextlib.suppress(LabError):
                set_propagation(machine, mount, kind)


def set_propagation(machine: Machine, mount: Mount, kind: str) -> None:
    """Change one mount's propagation type, as ``mount --make-KIND`` does (mount(2)).

    A mount that another one hides can't be reached by its path, and is left alone.

    Raises:
        LabError: the kernel refused; names the mount and the reason.
    """
    if not machine.reaches(mount):
        return
    if _libc.mount(b"none", os.fsencode(mount.point), None, ctypes.c_ulong(_FLAGS[kind]), None) != 0:
        raise LabError(f"cannot make {mount} {kind}: {os.strerror(ctypes.get_errno())}")


def set_domainname(name: str) -> None:
    """Set the NIS domain name (setdomainname(2)).

    Raises:
        OSError: the kernel refused.
    """
    if _libc.setdomainname(os.fsencode(name), len(os.fsencode(name))) != 0:
        raise OSError(ctypes.get_errno(), "setdomainname")


def _remove_ipc(ipc: Ipc) -> None:
    arguments = (ipc.id, 0, _IPC_RMID, 0) if ipc.kind == "sem" else (ipc.id, _IPC_RMID, None)
    function: Callable[..., int] = getattr(_libc, f"{ipc.kind}ctl")
    function(*arguments)


def _remove(path: Path, now: State) -> None:
    """Remove a file, a control group or a whole folder, but never what is mounted there."""
    place = os.path.realpath(path)
    if any(os.path.commonpath([mount.point, place]) == place for mount in now.mounts):
        return
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
