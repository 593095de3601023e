"""QEMU's monitor: commands by QMP, waited for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from types import TracebackType
from typing import TYPE_CHECKING

from qemu.qmp import ConnectError, EventListener, ExecInterruptedError, ExecuteError, QMPClient, QMPError

from harness.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import TypeVar

    from typing_extensions import Self

    T = TypeVar("T")


class MonitorError(LabError):
    """QEMU refused a command, did not answer in time, or has ended."""


class Monitor:
    """A conversation with one QEMU over a connected socket."""

    def __init__(self, connected: socket.socket, wait: float) -> None:
        """Greet QEMU; every later answer, too, may take ``wait`` seconds.

        Raises:
            MonitorError: nobody answers.
        """
        self._wait = wait
        self._loop = asyncio.new_event_loop()
        self._client = QMPClient("nslab")
        try:
            self._do(self._client.connect(connected), "its greeting")
        except BaseException:
            connected.close()
            self._loop.close()
            raise

    def execute(self, command: str, **arguments: object) -> object:
        """Have QEMU do something and tell its answer.

        Raises:
            MonitorError: it refused or did not answer.
        """
        return self._do(self._client.execute(command, arguments or None), f"the answer to {command!r}")

    def allow_shared_memory(self) -> None:
        """Leave the memory, which is a file, out of what is saved or restored."""
        capability = {"capability": "x-ignore-shared", "state": True}
        events = {"capability": "events", "state": True}
        self.execute("migrate-set-capabilities", capabilities=[capability, events])

    def migrate(self, command: str, uri: str) -> None:
        """Save to, or restore from, a URI and wait for the end (``migrate`` or ``migrate-incoming``).

        Raises:
            MonitorError: it failed.
        """
        with self._client.listener("MIGRATION") as events:
            self.execute(command, uri=uri)
            self._do(self._end_of_migration(events), f"the end of {command!r}")

    async def _end_of_migration(self, events: EventListener) -> None:
        async for event in events:
            status = event["data"]["status"]  # type: ignore[index]  # QMP's events are untyped
            if status == "completed":
                return
            if status == "failed":
                raise MonitorError("QEMU could not save or restore a guest's state")

    def forwarded_port(self) -> int:
        """The port of this machine that leads to the guest's sshd.

        Raises:
            MonitorError: QEMU names none.
        """
        # No QMP command tells it; the line reads: TCP[HOST_FORWARD]  12  127.0.0.1 43211  10.0.2.15  22 …
        shown = self.execute("human-monitor-command", **{"command-line": "info usernet"})
        for line in str(shown).splitlines():
            if "HOST_FORWARD" in line:
                return int(line.split()[3])
        raise MonitorError(f"QEMU names no forwarded port: {shown!r}")

    def _do(self, doing: Awaitable[T], awaited: str) -> T:
        try:
            return self._loop.run_until_complete(asyncio.wait_for(doing, self._wait))
        except (asyncio.TimeoutError, TimeoutError):
            raise MonitorError(f"waited {self._wait:g} s for {awaited} of QEMU; nothing came") from None
        except (ExecuteError, ConnectError, ExecInterruptedError, QMPError) as error:
            raise MonitorError(f"QEMU did not give {awaited}: {error}") from error

    def close(self) -> None:
        """End the conversation; QEMU goes on."""
        # QEMU may have ended already, or been killed in the middle of a word.
        with contextlib.suppress(MonitorError, EOFError, OSError):
            self._do(self._client.disconnect(), "the end of the conversation")
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def __enter__(self) -> Self:
        """The monitor itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()
