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
echo [0-9]*
exec busybox grep -s '' [0-9]*/cmdline self/mountinfo sysvipc/* sys/kernel/*name sys/kernel/msg* \
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
    killed=
    for pid in [0-9]*; do
        case $known in *" $pid "*) continue ;; esac
        environ=
        # What separates entries is no character for the shell, what separates lines may be in one.
        while line= && read -r line || [ "$line" ]; do environ="$environ$line "; done <"$pid/environ"
        case $environ in *{TAG}=*) kill -9 "$pid" && killed="$killed $pid" ;; esac
    done 2>/dev/null
    [ "$killed" ] || break
    # The look knows no dead process by its arguments, and it is there until its parent has noticed. Others
    # have the processor while this shell waits for a copy of itself.
    for pid in $killed; do
        while [ -e "$pid" ] && [ $((turn += 1)) -lt 2000 ]; do (:); done
    done
done
[ "$turn" -lt 2000 ] || echo 'a dead process is left'
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
{_LOOK}"""
"""A shell's lines: end what carries the lab's mark and is not ``$known``, set the names, unmount and empty
the place for scratch files, remove IPC objects; then print what is seen."""

_PIDS = re.compile(r"\d+( \d+)*")


def reset(vm: Vm, wait: float) -> str:
    """Undo, within ``wait`` seconds, what is cheap to undo.

    Returns:
        The guest's state, as text that is only good for comparing: all that must be as it was when the guest
        was saved, and the number of processes that are not the kernel's own threads.

    Raises:
        subprocess.TimeoutExpired: the guest does not answer.
    """
    assert vm.connection is not None
    done = vm.connection.run(f"known='{vm.known}'\n{RESET}", wait)
    lines = (done.stdout + done.stderr).decode("utf-8", "backslashreplace").splitlines()
    # They were looked at and are not the lab's; one that has a number of theirs later is counted below.
    vm.known = " ".join(["", *filter(_PIDS.fullmatch, lines), ""])
    processes = sum("/cmdline:" in line for line in lines)
    kept = (line for line in lines if "/cmdline:" not in line and not _PIDS.fullmatch(line))
    return "\n".join([f"{processes} processes", *kept])
