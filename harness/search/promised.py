"""Programs of which a kernel must do at each step what the model has, and leave what is written down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, TypeVar

from harness.propagation.programs import Step, parse, replay
from harness.propagation.render import Table, Tables
from harness.search.hold import WITNESSES
from harness.search.kernel import Answer, Kernel, disagreement, seen
from harness.search.script import told as message


class Outcome(NamedTuple):
    """What a kernel makes of a program."""

    program: str
    steps: list[Step]
    """As the model has them."""
    answers: list[Answer]
    """As the kernel has them."""

    @property
    def errno(self) -> str:
        """The last step's error; empty where there is none."""
        return self.answers[-1][0]

    @property
    def refused(self) -> list[str]:
        """The steps that the kernel refused, and with which errors."""
        said = zip(self.steps, self.answers, strict=True)
        return [f"{step.operation}: {errno}" for step, (errno, _) in said if errno]

    @property
    def tables(self) -> Tables:
        """All mount tables after the last step."""
        return seen(self.steps, self.answers)[-1]

    @property
    def parts(self) -> str:
        """Where kernel and model part, as trees; empty where they agree throughout."""
        found = disagreement(self.steps, self.answers)
        return message(found, "here") if found else ""

    @property
    def explained(self) -> str:
        """The one difference from the documents with which the model has it as the kernel; or empty."""
        return next(filter(self._has, WITNESSES), "")

    def _has(self, difference: str) -> bool:
        steps = replay(parse(self.program), {difference})
        return disagreement(steps, self.answers[: len(steps)]) is None


def ran(kernel: Kernel, programs: Iterable[str]) -> Iterator[Outcome]:
    """What a kernel makes of programs, which travel together."""
    sent = [(program, replay(parse(program))) for program in programs]
    for _, steps in sent:
        kernel.send(step.operation for step in steps)
    for program, steps in sent:
        yield Outcome(program, steps, kernel.receive())


Seen = TypeVar("Seen")
Promises = Mapping[str, tuple[str, Seen]]
"""Programs and what is to be seen after each, by what they tell."""


class Held(NamedTuple):
    """A promise that was held against a kernel."""

    name: str
    program: str
    seen: str
    verdict: str
    """Whether it is ``kept`` or ``broken``, or which known difference explains what is seen."""
    broken: str
    """What was promised, what is seen, and where the model has it otherwise; empty where it is kept."""


def held(
    kernel: Kernel, promises: Promises[Seen], look: Callable[[Outcome], Seen], known: Callable[[str], bool]
) -> Iterator[Held]:
    """Hold each promise against a kernel, whatever becomes of the others.

    A difference that alone explains a program, and is known of this kernel, breaks no promise.
    """
    outcomes = ran(kernel, (program for program, _ in promises.values()))
    for (name, (program, promised)), outcome in zip(promises.items(), outcomes, strict=True):
        found, parts = look(outcome), outcome.parts
        told = f"{name}: {program}\n  promised: {promised}\n  seen:     {found}\n{parts}"
        if parts and (difference := outcome.explained) and known(difference):
            yield Held(name, program, str(found), difference, "")
        elif parts or found != promised:
            yield Held(name, program, str(found), "broken", told)
        else:
            yield Held(name, program, str(found), "kept", "")


Left = dict[int | str, str]
"""Tables, each as its lines in a row, by the namespaces' numbers; by ``refused`` the steps that were."""


def left(outcome: Outcome) -> Left:
    """All tables by the namespaces' numbers, and what was refused where something was.

    A namespace's first mount is left out where it is private.
    """
    refused: Left = {"refused": ", ".join(outcome.refused)} if outcome.refused else {}
    return {**{number: ", ".join(_told(table)) for number, table in outcome.tables.items()}, **refused}


def _told(table: Table) -> Iterator[str]:
    for line in table:
        if line.depth or line.tags:
            yield " ".join((line.text, *line.tags))
