"""A crew on a host: actors who carry out a program there and tell what they see.

What runs there is the package :mod:`harness.crew`, carried in one archive, in namespaces of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from harness.directed import Directed
from harness.errors import LabError, tail
from harness.hosts.base import LabHost
from harness.models.acts import Act, View
from harness.runnable import runnable

_APART = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc", "--"]
"""The director ends all processes of its PID namespace after a program: it must have one of its own."""


MOST = 8
"""How many actors there is room for."""

ENDS_WITHIN = 20.0
"""Seconds in which the kernel ends who should end: so long takes each program of which it does not."""


class Seen(NamedTuple):
    """After an act, or in the beginning: the act's answer and what everybody saw."""

    answer: Any
    view: View


class Crew(Directed):
    """Actors on a host for programs of one kind of namespace."""

    def __init__(self, host: LabHost, kind: str) -> None:
        """Start the director there.

        Raises:
            LabError: it does not start.
        """
        self._where = f"the crew for {kind} namespaces on {host.name}"
        program = runnable("harness.crew.director", "harness.probes", "harness.crew")
        super().__init__(host, "crew", program, behind=_APART, arguments=[kind])
        self.base: dict[str, Any] = self._hear(self.first)

    def play(self, program: Sequence[tuple[Act, Sequence[int]]]) -> list[Seen]:
        """What was seen in the beginning and after each act of a program; with each, who should end by it.

        Raises:
            LabError: the crew broke, or does not answer in time: nothing was seen.
        """
        return self.begin(program)()

    def begin(
        self, program: Sequence[tuple[Act, Sequence[int]]], ends_within: float = ENDS_WITHIN
    ) -> Callable[[], list[Seen]]:
        """Have a program played; what comes back waits for the same, once, each in its turn.

        The kernel has so many seconds to end those who should end; if it does not, the program ends there.
        """
        play = {"most": MOST, "acts": program, "ends_within": ends_within}
        self.send(json.dumps(play).encode() + b"\n")
        wait = self.wait + ends_within
        return lambda: [Seen(**seen) for seen in self._hear(self.receive(wait))["seen"]]

    def _hear(self, line: bytes) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(line or b'{"broken": "its director has ended"}')
        if "broken" in answer:
            raise LabError(f"{self._where} broke: {tail(answer['broken'])}")
        return answer
