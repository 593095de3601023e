"""QEMU's command line for a guest, and whether this machine can accelerate it."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness.environment import DYING_WITH_US
from harness.errors import UnmetNeedError
from harness.hosts.base import readable
from harness.kernels import cache
from harness.programs import ask

PROGRAM = "qemu-system-x86_64"
MEGABYTES = 256
MEMORY = f"{MEGABYTES}M"
ARGUMENTS = (
    # A panic ends QEMU. Fixed addresses let TCG translate a program once: half the time to boot.
    "console=ttyS0 quiet panic=-1 norandmaps nokaslr mitigations=off"
)
_COSTLY = "erms=off,la57=off,smap=off,smep=off,umip=off"
"""What a real processor does for nothing and TCG does dearly: a kernel that finds them copies byte by byte,
walks five levels of page tables, and switches a protection on and off around each access to user memory."""

_PROBE_WAIT = 10.0


@functools.cache
def version() -> str:
    """QEMU's version, in its own words.

    Raises:
        UnmetNeedError: there is no QEMU.
    """
    if not shutil.which(PROGRAM):
        raise UnmetNeedError(
            f"kernels are booted by {PROGRAM}, which is not in $PATH: install the package qemu-system-x86"
        )
    said = ask([PROGRAM, "--version"]).stdout.decode(errors="replace")
    found = re.search(r"version (.*)", said)
    return found[1] if found else said.strip()


@functools.cache
def accelerator() -> str:
    """``kvm`` where a processor of a guest runs by it, else ``tcg``.

    That ``/dev/kvm`` can be opened says little: the firmware must have been seen to run, and no kernel must
    have been seen that TCG boots and KVM does not.
    """
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return "tcg"
    distrusted = _distrust().exists() and _distrust().read_text() == _where()
    return "kvm" if not distrusted and _firmware_speaks() else "tcg"


def distrust_kvm(*, really: bool = True) -> None:
    """Go on without KVM on this kernel of the machine with this QEMU, or trust it again."""
    if really:
        cache.replace(_distrust(), _where().encode())
    else:
        _distrust().unlink(missing_ok=True)
    accelerator.cache_clear()


def _distrust() -> Path:
    return cache.folder() / "kvm-does-not-boot"


def _where() -> str:
    return f"{os.uname().release}, QEMU {version()}"


def _firmware_speaks() -> bool:
    """Whether SeaBIOS, run by KVM, writes its first words to its debug port."""
    command = [PROGRAM, *machine("kvm"), "-nodefaults", "-display", "none", "-m", "16M", "-no-reboot"]
    port = ["-chardev", "stdio,id=said", "-device", "isa-debugcon,iobase=0x402,chardev=said"]
    with subprocess.Popen(
        [*DYING_WITH_US, *command, *port],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as probe:
        assert probe.stdout is not None
        words = probe.stdout.read(1) if readable(probe.stdout.fileno(), _PROBE_WAIT) else b""
        probe.kill()
    return bool(words)


def machine(accelerator: str) -> list[str]:
    """The options for the machine and its processor.

    One processor: with two, a guest's clock was seen to go wrong under TCG.
    """
    processor = "max" if accelerator == "kvm" else f"max,{_COSTLY}"
    return ["-machine", "q35", "-accel", accelerator, "-cpu", processor, "-smp", "1"]


def command(
    *, disk: Path, image: Path, initrd: Path, memory: Path, shared: bool, console: str, monitor: int
) -> list[str]:
    """The command line of a guest.

    Args:
        disk: the userland.
        image: the kernel.
        initrd: the initial ram disk.
        memory: the file that is the guest's memory.
        shared: whether the guest writes into that file, or has a copy of its own of what it changes.
        console: a character device's backend and options, for the serial console.
        monitor: the descriptor of the socket on which QEMU speaks QMP.
    """
    return [
        PROGRAM,
        *machine(accelerator()),
        *("-m", MEMORY, "-machine", "memory-backend=memory"),
        *("-object", _memory(memory, shared=shared)),
        *("-no-user-config", "-nodefaults", "-display", "none", "-no-reboot"),
        *("-kernel", str(image), "-initrd", str(initrd), "-append", ARGUMENTS),
        *("-blockdev", f"driver=file,node-name=disk,read-only=on,filename={_escaped(disk)}"),
        *("-device", "virtio-blk-pci,drive=disk"),
        # Only the one port of this machine leads in, and nothing leads out.
        *("-netdev", "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:22"),
        *("-device", "virtio-net-pci,netdev=net,romfile="),
        *("-chardev", f"{console},id=console", "-serial", "chardev:console"),
        *("-chardev", f"socket,id=monitor,fd={monitor}", "-mon", "chardev=monitor,mode=control"),
    ]


def _memory(file: Path, *, shared: bool) -> str:
    share = "on" if shared else "off"
    return f"memory-backend-file,id=memory,size={MEMORY},mem-path={_escaped(file)},share={share}"


def _escaped(path: Path) -> str:
    """A path as QEMU's comma-separated options take it."""
    return str(path).replace(",", ",,")


def fixed() -> Sequence[str]:
    """All that a saved guest depends on, beside its files: another value makes another template."""
    return (version(), accelerator(), MEMORY, ARGUMENTS, *machine(accelerator()))
