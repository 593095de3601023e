"""What an experiment may leave behind in a guest, undone at once; and a look whether all is as it was."""

from __future__ import annotations

import re

from harness.environment import TAG
from harness.kernels.vm import Vm

SCRATCH = "/dev/shm"  # noqa: S108 - the guest's own, emptied here

_LOOK = f"""\
echo /tmp/* /root/* {SCRATCH}/* /dev/mqueue/* /sys/fs/cgroup/*/ /sys/class/net/*
grep -as '' [0-9]*/environ [0-9]*/cmdline self/mountinfo sysvipc/* sys/kernel/*name sys/kernel/msg* \
    sys/kernel/sem* sys/kernel/shm* sys/user/* sys/fs/mqueue/*
"""
"""A shell's lines, for ``/proc``, that show the guest's state. One program reads everything: without KVM,
starting one costs more than what it does, and the shell itself reads byte by byte."""

RESET = f"""\
# A /proc that leaked out of a namespace covers the guest's own, and knows no self for the guest's processes;
# umount(8) would read that self before a lazy umount.
while [ ! -e /proc/self/mountinfo ]; do busybox umount -l /proc || exit; done
cd /proc
for round in 1 2 3 4 5 6 7 8 9; do
    state=$({_LOOK})
    undone= files= mounts= objects=
    IFS='
' && set -f
    for line in $state; do
        case $line in
        */environ:*{TAG}=*) kill -9 "${{line%%/*}}" 2>/dev/null; undone=yes ;;
        *" {SCRATCH}/* /dev/mqueue/* "*) ;;
        /*) files=left ;;
        self/mountinfo:*" {SCRATCH}/"*)
            mount=${{line#* * * * }}
            mounts="${{mount%% *}}
$mounts" ;;
        sysvipc/*:*key*) ;;
        sysvipc/*) objects=left ;;
        sys/kernel/hostname:guest | "sys/kernel/domainname:(none)") ;;
        sys/kernel/hostname:*) echo guest >sys/kernel/hostname; undone=yes ;;
        sys/kernel/domainname:*) echo '(none)' >sys/kernel/domainname; undone=yes ;;
        esac
    done
    for each in $mounts; do umount -l "$each"; undone=yes; done
    unset IFS && set +f
    [ ! "$files" ] || {{ rm -rf {SCRATCH}/* /dev/mqueue/*; undone=yes; }}
    # After the files: it takes those for POSIX shared memory, and stops at a folder.
    [ ! "$objects" ] || {{ ipcrm --all; undone=yes; }}
    [ "$undone" ] || break
done
echo "$state"
"""
"""A shell's lines: end what carries the lab's mark, unmount and empty the place for scratch files, remove
IPC objects, set the names, until nothing of it is left; then print what was seen last."""

_PROCESS = re.compile(r"\d+/(?:environ|(cmdline)):")


def reset(vm: Vm, wait: float) -> str:
    """Undo, within ``wait`` seconds, what is cheap to undo.

    Returns:
        The guest's state, as text that is only good for comparing: all that must be as it was when the guest
        was saved, and the number of processes that are not the kernel's own threads.

    Raises:
        subprocess.TimeoutExpired: the guest does not answer.
    """
    assert vm.connection is not None
    done = vm.connection.run(RESET, wait)
    lines = (done.stdout + done.stderr).decode("utf-8", "backslashreplace").splitlines()
    processes = sum(bool(found and found[1]) for found in map(_PROCESS.match, lines))
    return "\n".join([f"{processes} processes", *(line for line in lines if not _PROCESS.match(line))])
