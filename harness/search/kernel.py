"""Hold a program against a kernel: run it on a host, and find the first step that the model has otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.propagation import render
from harness.propagation.programs import Step
from harness.propagation.render import Raw
from harness.propagation.state import DIRECTORIES
from harness.worker import Worker

Answer = tuple[str, Mapping[int, bytes]]
"""What a host says of a step: the error's name, and the mount tables that it changed."""

_MADE = sorted(DIRECTORIES - {"/"})


@dataclass(frozen=True)
class Disagreement:
    """A program up to the first step of which the kernel shows something else than the model."""

    steps: Sequence[Step]
    errno: str
    """The error's name as the kernel has it, empty where there is none."""
    seen: Sequence[render.Tables]
    """The kernel's tables after each of the steps."""


class Kernel:
    """A host's kernel, reached by a worker that runs programs."""

    def __init__(self, worker: Worker) -> None:
        """The worker has :mod:`harness.search.on_host`."""
        self._worker = worker

    def run(self, steps: Sequence[Step]) -> list[Answer]:
        """Run one program: for each step what the kernel says, in one round trip."""
        self.send(steps)
        return self.receive()

    def send(self, steps: Iterable[Step]) -> None:
        """Have a program run; the answers are fetched by :meth:`receive`."""
        self._worker.send((_MADE, [tuple(step.operation) for step in steps]))

    def receive(self) -> list[Answer]:
        """The answers to the program that was sent."""
        answers: list[Answer] = self._worker.receive()
        return answers


def disagreement(steps: Sequence[Step], answers: Sequence[Answer]) -> Disagreement | None:
    """The first step that the kernel has otherwise than the model; none where they agree throughout."""
    tables = Tables()
    state = None
    for number, (step, (errno, texts)) in enumerate(zip(steps, answers, strict=True), 1):
        tables.change(texts, step)
        # Where nothing changed on either side, they agree as they did before.
        same = step.state is state and not texts
        if errno != step.errno or not (same or tables.shown() == render.of_state(step.state)):
            return Disagreement(steps[:number], errno, seen(steps[:number], answers))
        state = step.state
    return None


def seen(steps: Sequence[Step], answers: Iterable[Answer]) -> list[render.Tables]:
    """The kernel's tables after each step."""
    tables = Tables()
    shown = []
    for step, (_, texts) in zip(steps, answers, strict=False):
        tables.change(texts, step)
        shown.append(tables.shown())
    return shown


class Tables:
    """The kernel's mount tables as they stand."""

    def __init__(self) -> None:
        """None so far."""
        self._raw: dict[int, list[Raw]] = {}

    def change(self, texts: Mapping[int, bytes], step: Step) -> None:
        """Take in the tables that a step changed."""
        for number in self._raw.keys() - step.state.namespaces.keys():
            del self._raw[number]
        for number, text in texts.items():
            self._raw[number] = render.of_text(text.decode())

    def shown(self) -> render.Tables:
        """The tables in canonical form."""
        return render.named({number: self._raw[number] for number in sorted(self._raw)})
