"""A kernel that is a model: what a search is tried on where no host is needed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from sabotaged_models import answers

from harness.propagation.operations import Operation
from harness.search import beyond
from harness.search.kernel import Answer, Kernel


class Played(Kernel):
    """A kernel that does what the model says of one with these known differences."""

    def __init__(self, *known: str) -> None:
        """Nothing runs on a host."""
        self._known = frozenset(known)
        self._sent: deque[list[Operation]] = deque()

    def send(self, operations: Iterable[Operation]) -> None:
        """Take a program."""
        self._sent.append([*operations])

    def begin(self) -> None:
        """Nothing waits."""

    def receive(self) -> list[Answer]:
        """What the model says of it."""
        guides = beyond.replay(self._sent.popleft(), self._known)
        return answers((guide.errno, guide.state) for guide in guides)
