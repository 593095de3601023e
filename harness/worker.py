"""A Python worker on a host: bulk work, such as thousands of mount operations, with one round trip for many.

execnet carries the source of a module there and messages to and fro. Its own specification of a gateway,
``popen//python=…``, appends Python's arguments to the given command line, which ssh would hand to a shell
unquoted, and it waits for the interpreter without a limit. So the process is started here, by the command
line that the host names, and execnet is given its pipes.

The module is one file that needs only the standard library of Python 3.8. It finds ``channel`` among its
names where it runs on a host, and answers what comes there::

    if __name__ == "__channelexec__":
        for request in channel:
            channel.send(answer(request))

What it has in common with another module it may import from that one, where both are carried.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any

import execnet
from execnet.gateway_base import ExecModel, Popen2IO, get_execmodel
from execnet.gateway_bootstrap import bootstrap_exec
from execnet.gateway_io import popen_bootstrapline
from execnet.xspec import XSpec

from harness.environment import environment
from harness.errors import LabError, WaitExpiredError, tail
from harness.hosts.base import LabHost

if TYPE_CHECKING:
    from typing_extensions import Self

_GRACE = 2.0
"""Seconds for an interpreter whose input has ended to end itself."""


_TOGETHER = """
import sys, types
*others, (name, source) = channel.receive()
for other, text in others:
    made = sys.modules[other] = types.ModuleType(other)
    exec(compile(text, other, "exec"), vars(made))
exec(compile(source, name, "exec"), globals())
"""
"""Makes modules importable there, by their names, and runs the last one."""


class _Pipes(Popen2IO):
    """The pipes of a process, as execnet wants them."""

    def __init__(self, process: subprocess.Popen[bytes], model: ExecModel) -> None:
        super().__init__(process.stdin, process.stdout, model)
        self._process = process

    def wait(self) -> int:
        """The process's exit status, once it has ended."""
        return self._process.wait()

    def kill(self) -> None:
        """End the process."""
        self._process.kill()


class Worker:
    """A module that runs on a host and answers requests; it ends with the host."""

    def __init__(
        self,
        host: LabHost,
        module: ModuleType,
        wait: float | None = None,
        *,
        beside: Sequence[ModuleType] = (),
    ) -> None:
        """Carry the module there and start it; its start and each answer may take ``wait`` seconds.

        It may import those ``beside`` it, of which each may import those before it.

        Raises:
            LabError: no Python started there.
            WaitExpiredError: it was not ready in time.
        """
        self.wait = host.wait if wait is None else wait
        """Seconds that its start and each answer may take."""
        self.where = f"worker {module.__name__} on {host.name}"
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        self._gateway: execnet.Gateway | None = None
        command = host.enter([host.python, "-ISuc", popen_bootstrapline], terminal=False)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=environment(),
                start_new_session=True,
            )
        except OSError as error:
            self._errors.close()
            raise LabError(f"{self.where} does not start: {error}") from error
        try:
            self._gateway = self._connect()
            self._channel = self._gateway.remote_exec(_TOGETHER if beside else module)
            if beside:
                self._channel.send([(it.__name__, inspect.getsource(it)) for it in (*beside, module)])
        except BaseException as error:
            said = self._last_words()
            self.close()
            if isinstance(error, OSError | EOFError | AssertionError):
                raise LabError(f"{self.where} does not start: {said}") from error
            raise
        host.shells.append(self)

    def _connect(self) -> execnet.Gateway:
        """The gateway over the process's pipes, once the interpreter has said that it is there."""
        spec = XSpec("popen//execmodel=main_thread_only//id=nslab")
        pipes = _Pipes(self._process, get_execmodel("thread"))
        expired = threading.Event()

        def end() -> None:
            expired.set()
            self._kill()

        # A pipe's read has no limit: its other end is closed instead.
        limit = threading.Timer(self.wait, end)
        limit.start()
        try:
            bootstrap_exec(pipes, spec)
        finally:
            limit.cancel()
            if expired.is_set():
                raise WaitExpiredError(f"the start of {self.where}", self.wait, self._said())
        if self._process.poll() is not None:
            raise EOFError
        return execnet.Gateway(pipes, spec)

    def ask(self, request: Any, wait: float | None = None) -> Any:
        """The module's answer to a request; both consist of plain values (execnet's "dumps").

        Raises:
            WaitExpiredError: no answer in time; the worker is then of no more use.
            LabError: the worker has ended, or its module raised an error; holds what it said.
        """
        self.send(request)
        return self.receive(wait)

    def send(self, request: Any) -> None:
        """Send a request and don't wait: its answer is fetched by :meth:`receive`.

        Raises:
            LabError: the worker has ended.
        """
        try:
            self._channel.send(request)
        except (OSError, EOFError) as error:
            raise self._ended() from error

    def receive(self, wait: float | None = None) -> Any:
        """The answer to the first request that has none so far.

        Raises:
            WaitExpiredError: no answer in time; the worker is then of no more use.
            LabError: the worker has ended, or its module raised an error; holds what it said.
        """
        limit = self.wait if wait is None else wait
        try:
            return self._channel.receive(limit)
        except self._channel.TimeoutError:
            said = self._said()
            self._kill()
            self.close()
            raise WaitExpiredError(f"an answer of {self.where}", limit, said) from None
        except self._channel.RemoteError as error:
            raise LabError(f"{self.where} broke: {tail(error.formatted)}") from None
        except (OSError, EOFError) as error:
            raise self._ended() from error

    def _ended(self) -> LabError:
        # What the module raised before the request went out is kept as the channel's error.
        told = "".join(told.formatted for told in self._channel._remoteerrors)
        return LabError(f"{self.where} has ended: {tail(told) if told else self._last_words()}")

    def _last_words(self) -> str:
        """How the process ended and what it had said."""
        try:
            status = f"exit status {self._process.wait(_GRACE)}"
        except subprocess.TimeoutExpired:
            status = "it still runs"
        return f"{status}; it said {tail(self._said())}"

    def _said(self) -> str:
        if self._errors.closed:
            return ""
        self._errors.seek(0)
        return self._errors.read().decode("utf-8", "backslashreplace")

    def _kill(self) -> None:
        """Kill the command line and the interpreter that it started, which holds the pipes too."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)

    @property
    def status(self) -> int | None:
        """Its exit status, negative where a signal ended it; None while it runs."""
        return self._process.returncode

    def close(self) -> None:
        """End the worker; the interpreter ends itself when its input ends."""
        if self._errors.closed:
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._kill()
            self._process.wait()
        if self._gateway is not None:
            self._gateway.join(_GRACE)
        self._process.stdout.close()
        self._errors.close()

    def __enter__(self) -> Self:
        """The worker itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()
