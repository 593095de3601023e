"""Print what a command in one kernel costs by virtme-ng and by a guest: python -m benchmarks.virtme IMAGE.

IMAGE is a ``vmlinuz`` that lies beside its modules (``lib/modules/RELEASE``, with the files that depmod(8)
makes); virtme-ng needs 9p or virtiofs among them, which Debian's ``-cloud-`` kernels lack.

Seen on a busy machine without KVM (6.1.192, virtme-ng 1.42): 47.5 s computed against 0.6 s, 73 times as much.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

from benchmarks.clock import seconds
from benchmarks.kernels import processor_time
from harness.hosts.guest import GuestPlace
from harness.kernels import qemu
from harness.kernels.choice import choose

PROGRAM = "vng"
INSTALL = "vng is not in $PATH: pip install virtme-ng, and install the packages kmod and udev"
ROUNDS = 10
_WAIT = 600
"""Seconds that virtme-ng may take for a command on a busy machine without KVM."""


def by_virtme(image: Path) -> tuple[float, float]:
    """Seconds that ``uname -r`` takes in a kernel that virtme-ng boots for it, and seconds computed."""
    without_kvm = ["--disable-kvm", "--disable-microvm"] if qemu.accelerator() == "tcg" else []
    command = [PROGRAM, *without_kvm, "--run", str(image.absolute()), "--", "uname -r"]
    began = processor_time()
    waited = seconds(
        lambda: subprocess.run(
            command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=_WAIT
        )
    )
    return waited, processor_time() - began


def by_guest(place: GuestPlace) -> tuple[float, float]:
    """Seconds that the command takes in a new clone of the lab's guest, and seconds computed."""

    def once() -> None:
        vm = place.restore()
        assert vm.connection is not None
        assert vm.connection.run("uname -r", vm.wait).returncode == 0
        vm.close()

    began = processor_time()
    waited = median(seconds(once) for _ in range(ROUNDS))
    return waited, (processor_time() - began) / ROUNDS


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("image", type=Path)
    asked = parser.parse_args().image
    if not shutil.which(PROGRAM):
        sys.exit(f"benchmarks.virtme: {INSTALL}")
    guests = GuestPlace(choose([str(asked)], str(asked.absolute().parent), print)[0])
    guests.prepare(print)
    found = {"virtme-ng": by_virtme(asked), "a new clone of the lab's guest": by_guest(guests)}
    for name, (waited, computed) in found.items():
        print(f"{name}: uname -r in {waited:.1f} s, {computed:.1f} s computed, by {qemu.accelerator()}")
    theirs, ours = found.values()
    print(f"ratio: {theirs[0] / ours[0]:.0f} waited, {theirs[1] / ours[1]:.0f} computed")
