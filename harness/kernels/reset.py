"""What an experiment may leave behind in a guest, undone at once; and a look whether all is as it was."""

from __future__ import annotations

from harness.environment import TAG
from harness.kernels.vm import Vm

SCRATCH = "/dev/shm"  # noqa: S108 - the guest's own, emptied here

RESET = f"""\
[ -e /proc/self/mountinfo ] || {{ echo "/proc is broken"; exit; }}
# What grep could not read makes its exit status one of failure.
while left=$(grep -ls '{TAG}=' /proc/[0-9]*/environ); [ "$left" ]; do
    for each in $left; do each=${{each#/proc/}}; kill -9 ${{each%/environ}}; done
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
cd /proc
set -- $(grep -ls . [0-9]*/cmdline)
# By grep, which writes all of it at once: cat takes three times as long.
rest=$(grep -s '' self/mountinfo sysvipc/* sys/kernel/*name sys/kernel/msg* sys/kernel/sem* sys/kernel/shm* \
    sys/user/* sys/fs/mqueue/*)
echo "$# processes
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
