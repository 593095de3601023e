"""Templates: a guest that was booted once, warmed up and saved; restoring it takes about a second."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from harness.hosts.base import readable
from harness.kernels import cache, initrd, qemu, ssh, userland
from harness.kernels.monitor import MonitorError
from harness.kernels.reset import RESET
from harness.kernels.store import Kernel
from harness.kernels.userland import Userland
from harness.kernels.vm import READY, GuestError, Vm
from harness.ssh.channel import ConnectionLostError

BOOT_WAIT = 180.0
"""Seconds that a first boot may take on a slow, busy machine without KVM."""

RESTORE_WAIT = 60.0
"""Seconds that a restore may take while others restore too."""

_ROOM = (qemu.MEGABYTES + 16) << 20
"""Bytes that a template may take: the guest's memory, which mostly has holes, its ram disk and its state."""

_KEY_LENGTH = 16
_KEPT = 2
"""Templates of one kernel that are kept beside a new one: another session may use another nslab or QEMU."""

_FORMAT = "2"
"""Another word for other files in a template's folder, or another meaning of them."""

WARM_UP = (
    "ps -ef; ls -l /proc/self; ipcs; ipcmk -Q; ipcrm --all; pstree -pl 0; ss -ltnp; hostname; domainname; "
    "mount; mkdir /tmp/warm; mount -t tmpfs warm /tmp/warm; umount /tmp/warm; rmdir /tmp/warm; "
    "python3 -IS -c 'import ctypes, socket; ctypes.CDLL(None)'; crun --version; readlink /proc/self/ns/*; "
    "unshare --fork --uts --ipc --pid --mount -- "
    "sh -c 'mount --make-rprivate /; mount -t proc proc /proc; ps'; "
    "grep -l nslab /proc/[0-9]*/environ; tar --version; rm -f /tmp/none; date; sh -c true"
)
"""What is run once before the guest is saved, so that its clones find it in memory and translated."""


class Template(msgspec.Struct, frozen=True):
    """A saved guest on the disk."""

    folder: Path
    kernel: Kernel
    disk: Path

    def command(self, console: str, monitor: int, *, shared: bool = False) -> list[str]:
        """QEMU's command line for the guest itself, or for a clone, which has its own copy of the memory."""
        return qemu.command(
            disk=self.disk,
            image=self.kernel.image,
            initrd=self.folder / "initrd",
            memory=self.folder / "memory",
            shared=shared,
            console=console,
            monitor=monitor,
        )

    @property
    def facts(self) -> dict[str, str]:
        """What is known of the guest: its release, the state in which it is pristine, the seconds to boot."""
        return msgspec.json.decode((self.folder / "facts.json").read_bytes(), type=dict[str, str])

    def restore(self) -> Vm:
        """A running clone of the saved guest, connected.

        Raises:
            GuestError: it did not come back.
        """
        with _slot():
            vm = Vm(
                self.kernel.name,
                lambda console, monitor: [*self.command(console, monitor), "-incoming", "defer"],
                "null",
                RESTORE_WAIT,
            )
            try:
                vm.monitor.allow_shared_memory()
                vm.monitor.migrate("migrate-incoming", f"exec:cat {shell_path(self.folder / 'state')}")
                vm.monitor.execute("cont")
                vm.connect()
                set_clock(vm)
            except MonitorError as error:
                broken = vm.broken(str(error))
                vm.close(keep_log=True)
                raise broken from error
            except BaseException:
                vm.close(keep_log=True)
                raise
        return vm


def shell_path(path: Path) -> str:
    """A path as the shell takes it that QEMU starts for a migration."""
    return "'" + str(path).replace("'", r"'\''") + "'"


def set_clock(vm: Vm) -> None:
    """Give the guest the machine's time, and randomness of its own."""
    assert vm.connection is not None
    line = f"date -s @{time.time():.3f} >/dev/null; cat >/dev/urandom"
    if vm.connection.feed(line, vm.wait, os.urandom(64)).returncode != 0:
        raise vm.broken("its clock can't be set")


def _slot() -> contextlib.AbstractContextManager[None]:
    """Wait for one of the machine's few places: more restores at once than processors are slower for all."""
    places = max(1, min(os.cpu_count() or 1, 16))
    return cache.locked(f"restore-{os.getpid() % places}")


def find(kernel: Kernel, land: Userland) -> Template:
    """Where the kernel's template is, or would be."""
    return Template(cache.folder("templates") / f"{kernel.name}-{_key(kernel, land)}", kernel, land.disk)


def _key(kernel: Kernel, land: Userland) -> str:
    """Another word for everything on which a saved guest depends."""
    content = hashlib.sha256(ssh.key().with_suffix(".pub").read_bytes())
    for word in (*qemu.fixed(), kernel.digest(), land.key, WARM_UP, RESET, _FORMAT):
        content.update(word.encode() + b"\0")
    for file in initrd.guest_files().values():
        content.update(file)
    return content.hexdigest()[:_KEY_LENGTH]


def remove(name: str) -> int:
    """Remove the templates of a kernel; how many bytes that frees."""
    freed = 0
    with cache.locked(f"template-{name}"):
        for folder in _of(name):
            freed += cache.size(folder)
            cache.discard(folder)
    return freed


def _of(name: str) -> list[Path]:
    """The templates of a kernel, of whatever key."""
    return [*cache.folder("templates").glob(f"{name}-{'?' * _KEY_LENGTH}")]


def get(kernel: Kernel, finish: Callable[[Vm], dict[str, str]], progress: cache.Progress) -> Template:
    """The kernel's template; booted and saved now, where there is none.

    ``finish`` is given the booted guest and tells what is to be known of it. Where KVM does not boot the
    kernel and TCG does, KVM is no longer used.

    Raises:
        GuestError: the kernel does not boot.
        UnmetNeedError: something that this needs is missing.
    """
    land = userland.get(progress)
    try:
        return _get(kernel, land, finish, progress)
    except GuestError:
        if qemu.accelerator() == "tcg":
            raise
        progress(f"{kernel.name} does not boot by KVM; trying without")
        qemu.distrust_kvm()
        try:
            return _get(kernel, land, finish, progress)
        except GuestError:
            qemu.distrust_kvm(really=False)
            raise


def _get(
    kernel: Kernel, land: Userland, finish: Callable[[Vm], dict[str, str]], progress: cache.Progress
) -> Template:
    template = find(kernel, land)
    # Where it goes at this very moment it is made anew.
    with contextlib.suppress(FileNotFoundError):
        os.utime(template.folder)
        return template
    with cache.locked(f"template-{kernel.name}", progress):
        if not template.folder.exists():
            cache.discard_old(_of(kernel.name), _KEPT)
            with cache.making(template.folder) as scratch:
                _make(msgspec.structs.replace(template, folder=scratch), land, finish, progress)
    return template


def _make(
    template: Template, land: Userland, finish: Callable[[Vm], dict[str, str]], progress: cache.Progress
) -> None:
    # A guest whose memory the disk can't hold is killed in the middle (SIGBUS).
    cache.must_have_room(template.folder, _ROOM)
    began = time.monotonic()
    progress(f"booting {template.kernel.name} once, by {qemu.accelerator()}")
    key = ssh.key().with_suffix(".pub").read_bytes()
    initrd.write(template.folder / "initrd", busybox=land.busybox, modules=template.kernel.modules, key=key)
    with booted(template) as vm:
        seconds = time.monotonic() - began
        assert vm.connection is not None
        vm.connection.run(WARM_UP, BOOT_WAIT)
        facts = finish(vm) | {"seconds": f"{seconds:.1f}"}
        vm.disconnect()
        vm.monitor.execute("stop")
        vm.monitor.allow_shared_memory()
        vm.monitor.migrate("migrate", f"exec:cat >{shell_path(template.folder / 'state')}")
    (template.folder / "facts.json").write_bytes(msgspec.json.encode(facts))
    progress(f"{template.kernel.name} booted in {seconds:.0f} s and is kept")


@contextlib.contextmanager
def booted(template: Template) -> Iterator[Vm]:
    """A guest that has booted from nothing, connected.

    Raises:
        GuestError: it did not boot; tells of its console.
    """
    ours, its = socket.socketpair()
    with ours:
        vm = Vm(
            template.kernel.name,
            lambda console, monitor: template.command(console, monitor, shared=True),
            f"socket,fd={its.fileno()}",
            BOOT_WAIT,
            [its],
        )
        try:
            _await_ready(vm, ours)
            vm.connect()
            yield vm
        except BaseException as error:
            vm.close(keep_log=True)
            if isinstance(error, MonitorError | ConnectionLostError):
                raise vm.broken(str(error)) from error
            raise
        vm.close()


def _await_ready(vm: Vm, console: socket.socket) -> None:
    """Read the console until the guest says that it is ready; it ends when QEMU does."""
    deadline = time.monotonic() + BOOT_WAIT
    seen = b""
    while READY not in seen:
        if not readable(console.fileno(), max(0.0, deadline - time.monotonic())):
            raise vm.broken(f"did not boot within {BOOT_WAIT:g} s")
        said = console.recv(1 << 16)
        if not said:
            raise vm.broken("did not boot")
        seen = seen[-len(READY) :] + said
