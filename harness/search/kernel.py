"""Hold a program against a kernel: run it on a host, and find the first step that the model has otherwise."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.hosts.base import LabHost
from harness.propagation import render
from harness.propagation.operations import Operation
from harness.propagation.programs import Step
from harness.propagation.render import Raw
from harness.propagation.state import DIRECTORIES
from harness.search import beyond_on_host, births, calls, chain, on_host
from harness.worker import Worker

Answer = tuple[str, Mapping[int, str]]
"""What a host says of a step: the error's name, and the mount tables that it changed."""

Expected = Sequence[Mapping[int, Sequence[Raw]]]
"""What the model says of the tables after each step."""

TOGETHER = 16
"""Programs in one message: to carry one costs a guest as much as four steps do."""

_EACH = 1.0
"""Seconds more that a message may take for each program in it: each takes some hundredths, in a guest too."""

MADE = sorted(DIRECTORIES - {"/"})
"""The directories that a host makes in every file system."""


@dataclass(frozen=True)
class Disagreement:
    """A program up to the first step of which the kernel shows something else than the model."""

    steps: Sequence[Step]
    errno: str
    """The error's name as the kernel has it, empty where there is none."""
    seen: Sequence[render.Tables]
    """The kernel's tables after each of the steps."""


def worker(host: LabHost) -> Worker:
    """A worker that runs programs on a host."""
    return Worker(host, on_host, beside=[calls, chain, births])


def wider_worker(host: LabHost) -> Worker:
    """A worker that also does operations beyond the model."""
    return Worker(host, beyond_on_host, beside=[calls, chain, births, on_host])


class Kernel:
    """A host's kernel, reached by a worker that runs programs."""

    def __init__(self, worker: Worker) -> None:
        """The worker is that of a host, or of a host and operations beyond the model."""
        self._worker = worker
        self._unsent: list[list[Operation]] = []
        self._unheard: deque[int] = deque()
        self._answers: deque[list[Answer]] = deque()

    def run(self, steps: Sequence[Step]) -> list[Answer]:
        """Run one program: for each step what the kernel says, in one round trip."""
        self.send(step.operation for step in steps)
        return self.receive()

    def send(self, operations: Iterable[Operation]) -> None:
        """Have a program run: :data:`TOGETHER` are sent at once, and :meth:`receive` fetches answers."""
        self._unsent.append([*operations])
        if len(self._unsent) == TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Have run what waits for others to be sent with."""
        if not self._unsent:
            return
        self._worker.send(json.dumps((MADE, self._unsent)))
        self._unheard.append(len(self._unsent))
        self._unsent = []

    def receive(self) -> list[Answer]:
        """The answers to the first program that was sent and not heard of: each is to be fetched once."""
        self.begin()
        if not self._answers:
            programs = self._unheard.popleft()
            self._answers += _parted(self._worker.receive(self._worker.wait + programs * _EACH))
        return self._answers.popleft()

    def begin(self) -> None:
        """Have sent what :meth:`receive` would wait for."""
        if not self._answers and not self._unheard:
            self.flush()


def _parted(message: bytes) -> list[list[Answer]]:
    """The answers to the programs of one message (``on_host.joined``)."""
    short, *texts = message.decode().split("\0")
    following = iter(texts)
    return [
        [(errno, {number: next(following) for number in changed}) for errno, changed in answers]
        for answers in json.loads(short)
    ]


def expected(steps: Iterable[Step]) -> Expected:
    """The model's tables after each step: the same object where nothing has changed."""
    tables: list[Mapping[int, list[Raw]]] = []
    state = None
    for step in steps:
        tables.append(tables[-1] if step.state is state else render.raw_of_state(step.state))
        state = step.state
    return tables


def disagreement(
    steps: Sequence[Step], answers: Sequence[Answer], model: Expected = ()
) -> Disagreement | None:
    """The first step that the kernel has otherwise than the model; none where they agree throughout.

    ``model`` is what the model expects, where that has been made already.
    """
    tables = Tables()
    before = None
    for number, (step, (errno, texts), after) in enumerate(
        zip(steps, answers, model or expected(steps), strict=True), 1
    ):
        tables.change(texts)
        # Where nothing changed on either side, they agree as they did before.
        same = after is before and not texts
        if errno != step.errno or not (same or render.alike(tables.raw, after)):
            return Disagreement(steps[:number], errno, seen(steps[:number], answers))
        before = after
    return None


def seen(steps: Sequence[Step], answers: Iterable[Answer]) -> list[render.Tables]:
    """The kernel's tables after each step."""
    tables = Tables()
    shown = []
    for _, (_, texts) in zip(steps, answers, strict=False):
        tables.change(texts)
        shown.append(tables.shown())
    return shown


class Tables:
    """The kernel's mount tables as they stand."""

    def __init__(self, *, options: bool = False) -> None:
        """None so far; of each mount its own options too, or not."""
        self._options = options
        self.raw: dict[int, list[Raw]] = {}
        """By the kernel's numbers of groups."""

    def change(self, texts: Mapping[int, str]) -> None:
        """Take in the tables that a step changed; empty ones are gone."""
        for number, text in texts.items():
            if text:
                self.raw[number] = render.of_text(text, options=self._options)
            else:
                self.raw.pop(number, None)

    def shown(self) -> render.Tables:
        """The tables in canonical form."""
        return render.named({number: self.raw[number] for number in sorted(self.raw)})
