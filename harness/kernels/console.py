"""A kernel's serial console on this terminal, from the first line on."""

from __future__ import annotations

import socket
import subprocess

from harness.environment import DYING_WITH_US
from harness.kernels import cache, initrd, ssh, userland
from harness.kernels.store import Kernel
from harness.kernels.template import Template
from harness.sockets import make_folder, remove_folder


def show(kernel: Kernel, progress: cache.Progress) -> int:
    """Boot with the serial console on this terminal (ctrl-a x ends it); QEMU's exit status.

    Raises:
        UnmetNeedError: something that this needs is missing.
    """
    land = userland.get(progress)
    key = ssh.key().with_suffix(".pub").read_bytes()
    folder = make_folder("console")
    try:
        shown = Template(folder, kernel, land.disk)
        initrd.write(folder / "initrd", busybox=land.busybox, modules=kernel.modules, key=key)
        ours, its = socket.socketpair()
        with ours, its:
            command = shown.command("stdio,mux=on,signal=off", its.fileno())
            # Here a person wants to see everything.
            command = [word.replace(" quiet ", " ") for word in command]
            return subprocess.run([*DYING_WITH_US, *command], check=False, pass_fds=[its.fileno()]).returncode
    finally:
        remove_folder(folder)
