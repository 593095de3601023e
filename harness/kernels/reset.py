"""What an experiment may leave behind in a guest, undone at once; and a look whether all is as it was."""

from __future__ import annotations

from harness.environment import TAG
from harness.kernels.vm import Vm

SCRATCH = "/dev/shm"  # noqa: S108 - the guest's own, emptied here

RESET = f"""\
# A /proc that leaked out of a namespace covers the guest's own, and knows no self for the guest's processes;
# umount(8) would read that self before a lazy umount.
while [ ! -e /proc/self/mountinfo ]; do busybox umount -l /proc || exit; done
cd /proc
# One look at all processes: who carries the lab's mark, and how many are not the kernel's own threads.
while :; do
    left= count=0
    for each in $(grep -aHso -e '^.' -e '{TAG}=' [0-9]*/environ [0-9]*/cmdline); do
        case $each in
        */environ:{TAG}=) kill -9 "${{each%%/*}}" 2>/dev/null; left=yes ;;
        */cmdline*) count=$((count + 1)) ;;
        esac
    done
    [ "$left" ] || break
done
while read -r id parent device root point rest; do
    case $point in {SCRATCH}/*) mounts="$point $mounts" ;; esac
done </proc/self/mountinfo
for each in $mounts; do umount -l "$each"; done
for each in {SCRATCH}/* /dev/mqueue/*; do [ ! -e "$each" ] || rm -rf {SCRATCH}/* /dev/mqueue/*; done
for each in msg sem shm; do
    {{ read -r line; ! read -r line || ipcrm --all; }} </proc/sysvipc/$each
done
echo guest >/proc/sys/kernel/hostname
echo '(none)' >/proc/sys/kernel/domainname
echo /tmp/* /root/* {SCRATCH}/* /dev/mqueue/* /sys/fs/cgroup/*/ /sys/class/net/*
# By grep, which writes all of it at once: cat takes three times as long.
rest=$(grep -s '' self/mountinfo sysvipc/* sys/kernel/*name sys/kernel/msg* sys/kernel/sem* sys/kernel/shm* \
    sys/user/* sys/fs/mqueue/*)
echo "$count processes
$rest"
"""
"""A shell's lines: end what carries the lab's mark, unmount and empty the place for scratch files, remove
IPC objects, set the names; then print everything that must be as it was when the guest was saved."""


def reset(vm: Vm, wait: float) -> str:
    """Undo, within ``wait`` seconds, what is cheap to undo.

    Returns:
        The guest's state, as text that is only good for comparing.

    Raises:
        subprocess.TimeoutExpired: the guest does not answer.
    """
    assert vm.connection is not None
    done = vm.connection.run(RESET, wait)
    return (done.stdout + done.stderr).decode("utf-8", "backslashreplace")
