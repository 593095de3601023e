"""What a search found on a kernel, kept in hypothesis' database, to be tried first the next time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hypothesis.database import ExampleDatabase

from harness.propagation.operations import Operation
from harness.propagation.programs import parse


class Memory:
    """Programs that one kernel and the model had otherwise when they were last tried."""

    def __init__(self, database: ExampleDatabase | None = None, release: str = "") -> None:
        """Without a database nothing is kept."""
        self._database = database
        self._key = f"nslab propagation {release}".encode()

    def __iter__(self) -> Iterator[list[Operation]]:
        """The programs, the shortest first."""
        kept = [] if self._database is None else sorted(self._database.fetch(self._key), key=len)
        return (parse(text.decode()) for text in kept)

    def keep(self, program: Iterable[Operation]) -> None:
        """Have a program tried first the next time."""
        if self._database is not None:
            self._database.save(self._key, _text(program))

    def forget(self, program: Iterable[Operation]) -> None:
        """Have it tried no more."""
        if self._database is not None:
            self._database.delete(self._key, _text(program))


def _text(program: Iterable[Operation]) -> bytes:
    return "; ".join(map(str, program)).encode()
