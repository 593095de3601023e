"""A crew on a host: actors who carry out a program there and tell what they see.

What runs there is the package :mod:`harness.crew`, carried in one archive, in namespaces of its own.
"""

from __future__ import annotations

import functools
import io
import json
import zipfile
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.crew import relay
from harness.errors import LabError, tail
from harness.hosts.base import LabHost
from harness.models.acts import Act, View
from harness.worker import Worker

if TYPE_CHECKING:
    from typing_extensions import Self

ARCHIVE = "crew.pyz"

_APART = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc", "--"]
"""The director ends all processes of its PID namespace after a program: it must have one of its own."""


MOST = 8
"""How many actors there is room for."""


class Seen(NamedTuple):
    """After an act, or in the beginning: the act's answer and what everybody saw."""

    answer: Any
    view: View


class Crew:
    """Actors on a host for programs of one kind of namespace."""

    def __init__(self, host: LabHost, kind: str) -> None:
        """Start the director there.

        Raises:
            LabError: it does not start.
        """
        self._where = f"the crew for {kind} namespaces on {host.name}"
        program = f"{host.carry('crew', {ARCHIVE: archive()})}/{ARCHIVE}"
        self._worker = Worker(host, relay)
        self.base: dict[str, Any] = self._hear(self._worker.ask([*_APART, host.python, "-IS", program, kind]))

    def play(self, program: Sequence[tuple[Act, Sequence[int]]]) -> list[Seen]:
        """What was seen in the beginning and after each act of a program; with each, who should end by it.

        Raises:
            LabError: the crew broke, or does not answer in time: nothing was seen.
        """
        line = json.dumps({"most": MOST, "acts": program}).encode() + b"\n"
        return [Seen(**seen) for seen in self._hear(self._worker.ask(line))["seen"]]

    def _hear(self, line: bytes) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(line or b'{"broken": "its director has ended"}')
        if "broken" in answer:
            raise LabError(f"{self._where} broke: {tail(answer['broken'])}")
        return answer

    def close(self) -> None:
        """End it."""
        self._worker.close()

    def __enter__(self) -> Self:
        """The crew itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()


@functools.cache
def archive() -> bytes:
    """The crew as a program that a Python interpreter runs."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("__main__.py", "from harness.crew.director import main\n\nmain()\n")
        packed.writestr("harness/__init__.py", "")
        for package in ("probes", "crew"):
            for file in sorted(resources.files(f"harness.{package}").iterdir(), key=lambda file: file.name):
                if file.name.endswith(".py"):
                    packed.writestr(f"harness/{package}/{file.name}", file.read_bytes())
    return content.getvalue()
