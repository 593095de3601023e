"""What a search found, kept in hypothesis' database, to be tried first the next time."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Generic, TypeVar

import msgspec
from hypothesis.database import ExampleDatabase

from harness.propagation.operations import Operation
from harness.propagation.programs import WEIGHTS
from harness.search.shorter import runnable

_WORD = re.compile(r"[a-z0-9/,-]*")
"""What a program may name: its own places, file systems and attributes."""


Step = TypeVar("Step")
Found = TypeVar("Found")


class Kept(ABC, Generic[Step]):
    """Programs of which a search found something when they were last tried."""

    def __init__(self, database: ExampleDatabase | None = None, whose: str = "") -> None:
        """``whose`` it is tells searches apart. Without a database nothing is kept."""
        self._database = database
        self._key = f"nslab {whose}".encode()
        self.lost = False
        """Whether something that was to be kept was not, for the database can't be written."""

    @abstractmethod
    def program(self, kept: bytes) -> list[Step] | None:
        """The program that was kept; none where it can't be one of this version."""

    def __iter__(self) -> Iterator[list[Step]]:
        """The programs, the shortest first. What is none, of another version or damaged, is forgotten."""
        programs = []
        for kept in sorted(self._kept()):
            program = self.program(kept)
            if program is None:
                self._delete(kept)
            else:
                programs.append(program)
        return iter(sorted(programs, key=len))

    def still(self, check: Callable[[list[Step]], Found | None], *, forget: bool = True) -> Found | None:
        """What a check finds of the first program of which it finds anything.

        Those before it, of which it finds nothing any more, are forgotten, if they are to be.
        """
        for program in self:
            if found := check(program):
                return found
            if forget:
                self.forget(program)
        return None

    def keep(self, program: Iterable[Step]) -> None:
        """Have a program tried first the next time."""
        if self._database is None:
            return
        kept = msgspec.json.encode([*program])
        # hypothesis' own database says nothing where it can't write, or raises in older versions.
        try:
            self._database.save(self._key, kept)
        except OSError:
            self.lost = True
        self.lost |= kept not in self._kept()

    def forget(self, program: Iterable[Step]) -> None:
        """Have it tried no more."""
        self._delete(msgspec.json.encode([*program]))

    @property
    def trouble(self) -> list[str]:
        """A line where something was lost that was to be kept."""
        return [f"what was found is not kept for the next time: can't write {self._database}"] * self.lost

    def _kept(self) -> list[bytes]:
        try:
            return [] if self._database is None else [*self._database.fetch(self._key)]
        except OSError:
            return []

    def _delete(self, kept: bytes) -> None:
        if self._database is not None:
            self._database.delete(self._key, kept)


class Memory(Kept[Operation]):
    """Programs of mount operations that a kernel and the model, or another kernel, had otherwise."""

    def __init__(
        self,
        database: ExampleDatabase | None = None,
        whose: str = "",
        kinds: Collection[str] = WEIGHTS,
    ) -> None:
        """``kinds`` are those of the operations that the search knows."""
        super().__init__(database, whose)
        self._kinds = kinds

    def program(self, kept: bytes) -> list[Operation] | None:
        """The program that was kept; none where it can't be one of this version."""
        try:
            program = msgspec.json.decode(kept, type=list[Operation])
        except msgspec.MsgspecError:
            return None
        words = [word for it in program for word in (it.target, it.source)]
        sound = all(it.kind in self._kinds for it in program) and all(map(_WORD.fullmatch, words))
        return program if program and sound and runnable(program) == program else None
