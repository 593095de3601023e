"""What an experiment may leave behind in a guest, undone at once; and a look whether all is as it was."""

from __future__ import annotations

import re

from harness.environment import TAG
from harness.kernels.vm import Vm

SCRATCH = "/dev/shm"  # noqa: S108 - the guest's own, emptied here

_LEFT = f"{SCRATCH}/* {SCRATCH}/.[!.]* /dev/mqueue/* /dev/mqueue/.[!.]*"
"""A shell's patterns for what is removed; each stands for itself where there is nothing."""

_LOOK = f"""\
echo /tmp/* /tmp/.[!.]* /root/* /root/.[!.]* {_LEFT} /sys/fs/cgroup/*/ /sys/class/net/*
busybox grep -s '' [0-9]*/environ [0-9]*/cmdline self/mountinfo sysvipc/* sys/kernel/*name sys/kernel/msg* \
    sys/kernel/sem* sys/kernel/shm* sys/user/* sys/fs/mqueue/*
"""
"""A shell's lines, for ``/proc``, that show the guest's state. One program reads everything, and one that
needs no library: without KVM, starting one costs more than what it does, and the shell reads byte by byte."""

RESET = f"""\
unset {TAG}
# A /proc that leaked out of a namespace covers the guest's own, and knows no self for the guest's processes;
# umount(8) would read that self before a lazy umount.
while [ ! -e /proc/self/mountinfo ]; do busybox umount -l /proc || exit; done
cd /proc
turn=0
for round in 1 2 3 4 5 6 7 8 9; do
    echo guest >sys/kernel/hostname
    echo '(none)' >sys/kernel/domainname
    set -- {_LEFT}
    if [ "$*" != "{_LEFT}" ]; then
        mounts=
        while read -r id parent device root place rest; do
            case $place in {SCRATCH}/*) mounts="$place $mounts" ;; esac
        done <self/mountinfo
        for place in $mounts; do umount -l "$place"; done
        rm -rf "$@"
    fi
    objects=
    for file in sysvipc/*; do
        {{ read -r title && read -r object && objects=left; }} 2>/dev/null <"$file"
    done
    # After the files: it takes those for POSIX shared memory, and stops at a folder.
    [ ! "$objects" ] || ipcrm --all
    state=$({_LOOK})
    killed=
    IFS='
' && set -f
    for line in $state; do
        case $line in */environ:*{TAG}=*) killed="$killed ${{line%%/*}}" ;; esac
    done
    unset IFS && set +f
    for pid in $killed; do kill -9 "$pid" 2>/dev/null; done
    # The look knows no dead process by its arguments, and it is there until its parent has noticed.
    for pid in $killed; do
        while [ -e "$pid" ] && [ $((turn += 1)) -lt 9999 ]; do :; done
    done
    [ "$killed" ] || break
done
[ "$turn" -lt 9999 ] || echo 'a dead process is left'
echo "$state"
"""
"""A shell's lines: set the names, unmount and empty the place for scratch files, remove IPC objects and end
what carries the lab's mark, all of it again where there was such a process; then print what was seen last."""

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
