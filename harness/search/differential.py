"""Hold two kernels against each other: the same programs on both, and what they show compared step by step.

No model says what is right. Where both do what models with their known differences do, that explains what
differs; what else is known is told apart by the kind of its last step (:func:`symptom`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

from harness.errors import LabError
from harness.known import explained_step, read, version
from harness.propagation import render
from harness.propagation.operations import Operation
from harness.propagation.programs import WEIGHTS as PLAIN
from harness.search import beyond
from harness.search.draw import Seed, Verdict, drawn, hunt
from harness.search.effort import never
from harness.search.guide import ATTACHED, TREES
from harness.search.kernel import TOGETHER, Answer, Kernel, Tables
from harness.search.memory import Memory
from harness.search.shorter import runnable, simplified, smallest
from harness.search.why import Shown, told_by_known

Pair = tuple[Kernel, Kernel]


@dataclass(frozen=True)
class Difference:
    """A program up to the first step after which two hosts show something else."""

    operations: Sequence[Operation]
    shown: tuple[Sequence[Shown], Sequence[Shown]]
    """What each host showed, step by step."""

    @property
    def last(self) -> tuple[Shown, Shown]:
        """What each showed after the last step."""
        one, other = self.shown
        return one[-1], other[-1]


def difference(
    operations: Sequence[Operation], one: Sequence[Answer], other: Sequence[Answer]
) -> Difference | None:
    """The first step of which two hosts' answers differ; none where they agree throughout."""
    tables = Tables(options=True), Tables(options=True)
    for number, (first, second) in enumerate(zip(one, other, strict=True), 1):
        for side, (_, texts) in zip(tables, (first, second), strict=True):
            side.change(texts)
        changed = first[1] or second[1]
        if first[0] != second[0] or (changed and not render.alike(tables[0].raw, tables[1].raw)):
            return Difference(operations[:number], (shown(one[:number]), shown(other[:number])))
    return None


def shown(answers: Iterable[Answer], *, options: bool = True) -> list[Shown]:
    """What a host showed after each step."""
    tables, steps = Tables(options=options), []
    for errno, texts in answers:
        tables.change(texts)
        steps.append(Shown(errno, tables.shown()))
    return steps


def symptom(found: Difference) -> tuple[str, tuple[str, str]]:
    """What differs in the words of known differences: the name of a rule, and its value on each host."""
    kind = found.operations[-1].kind
    one, other = found.last
    if one.errno != other.errno:
        return f"differential.{kind}", (one.errno or "done", other.errno or "done")
    return f"differential.{kind}.tables", ("other", "other")


class Reason(NamedTuple):
    """Why two hosts differ after a step."""

    words: str
    """In a line."""
    unless: str = ""
    """A kind of operation after which they must do the same, or this is not why they differ."""


def explained(found: Difference, builds: tuple[str, str]) -> Reason | None:
    """The change between two builds of the kernel that explains a difference, if one does."""
    name, values = symptom(found)
    (older, outcome), (newer, _) = sorted(zip(builds, values, strict=True), key=lambda it: version(it[0]))
    change = explained_step(read().changes, name, outcome, older, newer)
    return Reason(change.words, change.unless) if change else None


Asked = Callable[[], "Difference | Asked | None"]
"""Waits for both hosts and tells how they differ; what is left of a program may have begun meanwhile."""


def _verdict(asked: Asked) -> Verdict:
    """What the search for a program hears."""

    def hear() -> bool | Verdict:
        found = asked()
        return _verdict(found) if callable(found) else found is not None

    return hear


def without_trees(operations: Sequence[Operation], close: str) -> list[Operation]:
    """A program whose last step is done when trees in no namespace are let go.

    One that the step itself attaches is copied anew, unless it is attached already, and then kept.
    """
    *before, last = operations
    made = [it for it in before if it.kind in TREES and it.source == last.source]
    if not made or any(it.kind in ATTACHED and it.source == last.source for it in before):
        return [*before, last._replace(kind=close, target=""), last]
    return [*before, last._replace(kind=close, target="", source=""), made[-1], last]


class Search:
    """A search on two hosts, and how much it has run."""

    def __init__(
        self,
        pair: Pair,
        known: tuple[Set[str], Set[str]] = (frozenset(), frozenset()),
        explain: Callable[[Difference], Reason | None] = lambda _: None,
        memory: Memory | None = None,
    ) -> None:
        """``known`` names the differences from the documents that each has, and that the model knows too.

        ``explain`` says why two hosts differ, or nothing where it is not known. What ``memory``
        has is tried first, and forgotten where the hosts now do the same or it is known why they do not.
        """
        self._pair, self._known, self._explain = pair, known, explain
        self._memory = memory or Memory()
        self.explained: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.programs = self.steps = 0

    def run(self, examples: int, seed: Seed = 0, over: Callable[[], bool] = never) -> Difference | None:
        """The shortest program, of so many, after which the hosts differ and nobody knows why; or none.

        Once the time is ``over``, no more are drawn.

        Raises:
            LabError: a worker broke; what it ran tells nothing.
        """
        found = self._memory.still(self.check) or self._new(examples, seed, over)
        if found:
            self._memory.keep(found.operations)
        return found

    def _new(self, examples: int, seed: Seed, over: Callable[[], bool]) -> Difference | None:
        for opening in beyond.BEGINNINGS:
            found = self.check(opening)
            if found:
                return self.shortest(found.operations)
        programs = drawn(
            beyond.WIDER,
            lambda begun, draws: [*beyond.read(draws, self._known, begun)],
            len(beyond.BEGINNINGS),
        )
        program = hunt(programs, self._ask, examples, seed, 2 * TOGETHER, over)
        return self.shortest(program) if program else None

    def known(self) -> list[tuple[str, int]]:
        """Why hosts differed where it is known, and how often that was met."""
        return sorted(self.explained.items())

    def check(self, operations: Sequence[Operation]) -> Difference | None:
        """Run a program, without the steps of which it is known why hosts differ; what then still differs."""
        found = self._begin(operations)()
        while callable(found):
            found = found()
        return found

    def _ask(self, operations: Sequence[Operation]) -> Verdict:
        return _verdict(self._begin(operations))

    def _begin(self, operations: Sequence[Operation]) -> Asked:
        """Send a program to both hosts; to be heard once, each in its turn."""
        for kernel in self._pair:
            kernel.send(operations)
        return lambda: self._hear(operations)

    def _hear(self, operations: Sequence[Operation]) -> Difference | Asked | None:
        for kernel in self._pair:
            kernel.begin()
        one, other = (kernel.receive() for kernel in self._pair)
        self.programs += 1
        self.steps += len(operations)
        self.kinds.update(
            operation.kind for operation, (errno, _) in zip(operations, one, strict=True) if not errno
        )
        found = difference(operations, one, other)
        why = self._why(found) if found else None
        if not found or not why:
            return found
        if why.unless:
            return self._put_to_the_test(operations, found, why)
        return self._go_on(operations, found, why)

    def _go_on(self, operations: Sequence[Operation], found: Difference, why: Reason) -> Asked | None:
        """Begin with what is left of a program without what is known."""
        self.explained[why.words] += 1
        left = runnable(self._without(operations, found))
        return self._begin(left) if left else None

    def _put_to_the_test(self, operations: Sequence[Operation], found: Difference, why: Reason) -> Asked:
        """Ask whether hosts do the same once the reason is gone; where they do not, it is another one."""
        program = without_trees(found.operations, why.unless)
        for kernel in self._pair:
            kernel.send(program)

        def hear() -> Difference | Asked | None:
            for kernel in self._pair:
                kernel.begin()
            one, other = (kernel.receive() for kernel in self._pair)
            # What is refused otherwise than it was is no answer to the question.
            same = one[-1][0] in {shown.errno for shown in found.last} and not difference(program, one, other)
            return self._go_on(operations, found, why) if same else found

        return hear

    def _without(self, operations: Sequence[Operation], found: Difference) -> list[Operation]:
        """A program without the step that shows what is known, and without later ones that are alike."""
        number, last = len(found.operations), found.operations[-1]
        return [
            it
            for place, it in enumerate(operations, 1)
            if place < number or (place > number and not (it.kind == last.kind and it.kind in beyond.WEIGHTS))
        ]

    def _why(self, found: Difference) -> Reason | None:
        known = told_by_known(found.operations, found.shown, self._known)
        return Reason(known) if known else self._explain(found)

    def shortest(self, operations: Sequence[Operation]) -> Difference:
        """Leave out or make plainer every step without which the hosts differ too, until none is left.

        Raises:
            LabError: they do not differ twice.
        """
        found = self.check(operations)
        if found is None:
            raise LabError("two hosts differed, but not when asked again")
        return smallest(found, lambda it: map(self.check, simplified(it.operations)))


KINDS = (*PLAIN, *beyond.WEIGHTS)
"""Each kind of operation: the model's own, and those beyond it."""
