"""A guest: another kernel under QEMU as the host, restored from a template and thrown away when broken."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec

from harness.describe import describe
from harness.environment import SESSION, TAG
from harness.evidence import HostDescription
from harness.hosts.base import DEFAULT_WAIT, EnteringBackend, LabHost
from harness.kernels import cache, template
from harness.kernels.choice import Choice
from harness.kernels.reset import SCRATCH, reset
from harness.kernels.template import Template
from harness.kernels.vm import GuestError, Vm
from harness.notebook import Notebook
from harness.ssh.channel import ConnectionLostError
from harness.ssh.connection import Connection, shell_line
from harness.ssh.files import packed

_CARRIED = "/run/nslab"
"""Where programs are put in a guest; they stay as long as it lives."""

_VARIABLES = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/",
    "LC_ALL": "C",
    TAG: SESSION,
}


class SharedConnection(EnteringBackend):
    """Runs commands by the guest's shell over the connection that all share."""

    NAME = "guest"

    def __init__(self, name: str, vm: Vm, wait: float) -> None:
        """Reach the guest in ``vm``."""
        super().__init__(name, [], wait)
        self._vm = vm

    def execute(self, command: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command by the shell that stays in the guest.

        Raises:
            subprocess.TimeoutExpired: it did not end in time.
            GuestError: the guest is gone.
        """
        try:
            return connection(self._vm).run(command, self.wait, _VARIABLES)
        except ConnectionLostError as error:
            raise self._vm.broken(str(error)) from None


def connection(vm: Vm) -> Connection:
    """The open connection to a guest.

    Raises:
        GuestError: there is none any more.
    """
    if vm.connection is None:
        raise vm.broken("it has been given up")
    return vm.connection


class Guest(LabHost):
    """A guest during one experiment."""

    kind = "guest"
    user = "root"
    scratch = SCRATCH
    python = "/usr/bin/python3"
    has_own_groups = True
    terminal_is_elsewhere = True

    def __init__(self, place: GuestPlace, vm: Vm, notebook: Notebook, wait: float = DEFAULT_WAIT) -> None:
        """Act on the guest in ``vm``, which is given back to ``place`` in the end."""
        self._place, self._vm = place, vm
        super().__init__(notebook, wait, name=vm.name, backend=SharedConnection(vm.name, vm, wait))

    @property
    def pid(self) -> int:
        """The guest's QEMU among this machine's processes."""
        return self._vm.pid

    def must_be_up(self, grace: float = 0.0) -> None:
        """Raise GuestError where the guest is known to be gone.

        Raises:
            GuestError: it is.
        """
        if self._vm.lost:
            raise self._vm.broken("it is gone")

    def enter(
        self, argv: Sequence[str], variables: Mapping[str, str] | None = None, *, terminal: bool = True
    ) -> list[str]:
        """The command line of ssh that runs ``argv`` in the guest, on a terminal or without."""
        line = shell_line(argv, {**_VARIABLES, "TERM": "dumb", **(variables or {})})
        return connection(self._vm).command(line, terminal=terminal)

    def carry(self, folder: str, files: Mapping[str, bytes]) -> str:
        """Put executable files into a folder of the guest; they stay for later experiments.

        Raises:
            GuestError: the guest does not take them.
        """
        target = f"{_CARRIED}/{folder}"
        if target in self._vm.carried:
            return target
        unpack = f"mkdir -p {target} && tar -x -C {target}"
        try:
            done = connection(self._vm).feed(unpack, self.wait, packed(files))
        except subprocess.TimeoutExpired:
            raise self._vm.broken(f"{folder} could not be carried there in {self.wait:g} s") from None
        if done.returncode != 0:
            raise self._vm.broken(
                f"{folder} could not be carried there: {done.stderr.decode(errors='replace')}"
            )
        self._vm.carried.add(target)
        return target

    def drop(self) -> None:
        """End what runs on the guest's terminals and give the guest back."""
        for shell in self.shells:
            shell.close()
        self._place.take_back(self._vm, self.wait)


class GuestPlace:
    """Where a session gets the guests of one kernel from; beside those in use none is alive in a process."""

    kind = Guest.kind
    notice = ""
    _idle: ClassVar[set[GuestPlace]] = set()
    """Those with a guest that no experiment has at the moment."""

    def __init__(self, choice: Choice) -> None:
        """Know of a kernel; nothing is fetched or booted yet."""
        self.name = choice.name
        self._choice = choice
        self._template: Template | None = None
        self._broken: GuestError | None = None
        self._vm: Vm | None = None

    def prepare(self, progress: cache.Progress) -> None:
        """Fetch the kernel, and boot it into a template where there is none.

        Raises:
            UnmetNeedError: something is missing.
            GuestError: it does not boot, now or at an earlier call.
        """
        if self._broken:
            raise self._broken
        if self._template:
            return
        try:
            self._template = template.get(self._choice.kernel(progress), self._know, progress)
        except GuestError as error:
            self._broken = error
            raise

    def _know(self, vm: Vm) -> dict[str, str]:
        """What is kept with the template: how the host is described, and its state while it is pristine."""
        description = describe(Guest(self, vm, Notebook(), vm.wait))
        # Twice: what the first look brings into being belongs to the state.
        reset(vm, vm.wait)
        return {"description": msgspec.json.encode(description).decode(), "state": reset(vm, vm.wait)}

    def describe(self) -> HostDescription:
        """The host as it was when its template was made."""
        if self._template is None:
            empty = dict.fromkeys(("kernel", "distribution", "architecture", "user"), "")
            return HostDescription(name=self.name, kind=self.kind, tools={}, **empty)
        return msgspec.json.decode(self._template.facts["description"], type=HostDescription)

    def open(self, notebook: Notebook, wait: float) -> LabHost:
        """A pristine guest of the kernel.

        Raises:
            GuestError: there is none.
        """
        GuestPlace._idle.discard(self)
        for other in [*GuestPlace._idle]:
            other.close()
        self._vm = self._vm or self.restore()
        return Guest(self, self._vm, notebook, wait)

    def restore(self) -> Vm:
        """A clone of the template, which the caller ends.

        Raises:
            GuestError: there is none.
        """
        self.prepare(lambda _: None)
        assert self._template is not None
        return self._template.restore()

    def take_back(self, vm: Vm, wait: float) -> None:
        """Keep the guest for the next experiment where it is as it was; end it where it is not.

        Raises:
            GuestError: it was lost, or does not answer in time, and no error has told so yet.
        """
        self._vm = None
        told = vm.told
        try:
            pristine = not told and self._is_pristine(vm, wait)
        except GuestError:
            vm.close(keep_log=True)
            raise
        if pristine:
            self._vm = vm
            GuestPlace._idle.add(self)
        else:
            vm.close(keep_log=told)

    def _is_pristine(self, vm: Vm, wait: float) -> bool:
        assert self._template is not None
        if vm.lost:
            raise vm.broken("it was lost in the experiment")
        try:
            state = reset(vm, wait)
        except subprocess.TimeoutExpired:
            raise vm.broken(f"no answer within {wait:g} s after the experiment") from None
        except ConnectionLostError:
            raise vm.broken("it was lost after the experiment") from None
        return state == self._template.facts["state"]

    def close(self) -> None:
        """End the guest that is alive."""
        GuestPlace._idle.discard(self)
        if self._vm:
            self._vm.close()
            self._vm = None
