"""Hold a kernel against the model: draw programs, run them, and make what differs as short as it can be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from random import Random
from typing import NamedTuple

from harness.errors import LabError
from harness.propagation import cells
from harness.propagation.operations import Operation
from harness.propagation.programs import OPENINGS, Step, parse, replay
from harness.propagation.state import (
    FREES_COVER,
    KEEPS_COVER,
    LOST_COVER,
    LOST_UNBINDABLE,
    SHIFTS_COVER,
    TWO_COVERS,
    first,
)
from harness.search.draw import Seed, hunt, programs
from harness.search.effort import never
from harness.search.kernel import TOGETHER, Disagreement, Expected, Kernel, disagreement, expected
from harness.search.memory import Memory
from harness.search.shorter import simplified, smallest

WITNESSES: dict[str, list[Operation]] = {
    LOST_UNBINDABLE: parse("make-unbindable /; unshare"),
    LOST_COVER: parse(
        "mount t1 /a; mount t2 /a/a; make-shared /a; bind /a /b; unshare-user; mount t3 /b/a; ns1: bind /a /"
    ),
    SHIFTS_COVER: parse(
        "make-shared /; mount t1 /a; mount t2 /a/a; unshare; ns1: make-rslave /; ns1: mount t3 /a/a;"
        "umount-l /a"
    ),
    KEEPS_COVER: parse("make-shared /; mount t1 /a; mount t2 /a/a; mount t3 /a/a; unshare-user; umount-l /a"),
    FREES_COVER: parse(
        "mount t1 /a; mount t2 /a/a; make-shared /a; bind /a /b; unshare-user; mount t3 /b/a;ns1: umount /a/a"
    ),
    TWO_COVERS: parse("make-shared /; unshare-user; ns1: mount t1 /a; bind /a /; rbind / /"),
}
"""For each known difference of the model the shortest program that shows it."""


class Found(NamedTuple):
    """A disagreement, and which difference from the documents explains it."""

    disagreement: Disagreement
    difference: str
    """The difference's id; empty where the model has none that explains it."""


class Search:
    """A search on one kernel, and what it has reached so far."""

    def __init__(self, kernel: Kernel, known: Set[str] = frozenset(), memory: Memory | None = None) -> None:
        """``known`` names the differences from the documents that the model is to have.

        What ``memory`` has is tried first, and forgotten where the kernel and the model now agree.
        """
        self._kernel, self._known, self._memory = kernel, known, memory or Memory()
        self._begun = known
        self.cells: Counter[str] = Counter()
        self.programs = self.steps = self.drawn = 0

    def run(self, examples: int, seed: Seed = 0, over: Callable[[], bool] = never) -> Disagreement | None:
        """The shortest program, of so many, that kernel and model have otherwise; none where they agree.

        Once the time is ``over``, no more are drawn.

        Raises:
            LabError: the worker broke; what it ran tells nothing.
        """
        # Where they agree behind a difference that was found meanwhile, the next search meets it again.
        forget = self._known == self._begun
        if found := self._memory.still(lambda it: self.check(replay(it, self._known)), forget=forget):
            return found
        openings = [replay(opening, self._known) for opening in OPENINGS]
        said = [(opening, self._begin(opening)) for opening in openings]
        if differing := [opening for opening, disagreement in said if disagreement()]:
            return self.shortest(differing[0])
        drawn = hunt(programs(self._known), self._ask, examples, seed, 2 * TOGETHER, over)
        return self.shortest(drawn) if drawn else None

    def check(self, steps: Sequence[Step]) -> Disagreement | None:
        """Run a program and say where the kernel has it otherwise."""
        return self._begin(steps)()

    def _ask(self, steps: Sequence[Step]) -> Callable[[], bool]:
        self.drawn += 1
        said = self._begin(steps)
        return lambda: said() is not None

    def _begin(self, steps: Sequence[Step]) -> Callable[[], Disagreement | None]:
        """Send a program, and see to the model meanwhile.

        Returns:
            What waits for the kernel and tells where it differs; to be called once, each in its turn.
        """
        self._kernel.send(step.operation for step in steps)
        model = expected(steps)
        return lambda: self._hear(steps, model)

    def _hear(self, steps: Sequence[Step], model: Expected) -> Disagreement | None:
        found = disagreement(steps, self._kernel.receive(), model)
        self.programs += 1
        self.steps += len(steps)
        if not found:
            self._count(steps)
        return found

    def _count(self, steps: Sequence[Step]) -> None:
        """Note what a program reaches."""
        before = first()
        for step in steps:
            self.cells.update(cells.reached(before, step.operation, step.errno, step.state))
            before = step.state

    def shortest(self, steps: Sequence[Step]) -> Disagreement:
        """Leave out or make plainer every step with which the disagreement does without, until none is left.

        Raises:
            LabError: the kernel does not do the same twice.
        """
        found = self.check(steps)
        if found is None:
            raise LabError("the kernel did something else than the model, but not when asked again")
        return smallest(
            found,
            lambda it: (
                self.check(replay(attempt, self._known))
                for attempt in simplified([step.operation for step in it.steps])
            ),
        )

    def coverage(self) -> list[tuple[str, int]]:
        """Each cell of the rules' tables, and how often a step has reached it."""
        return [(cell, self.cells[cell]) for cell in cells.ALL]

    def run_on(self, examples: int, seed: Seed = 0, over: Callable[[], bool] = never) -> Iterator[Found]:
        """All disagreements that are found, each behind the one before it, by so many programs in all.

        The search goes on where a difference that the model can have explains what was found; so the last
        one may be one that nothing explains.

        Raises:
            LabError: the worker broke; what it ran tells nothing.
        """
        seeds = Random(seed)  # noqa: S311 - chance, not secrets
        while disagreement := self.run(examples - self.drawn, seed, over):
            self._memory.keep(step.operation for step in disagreement.steps)
            found = Found(disagreement, self._explanation(disagreement))
            yield found
            if not found.difference:
                return
            self._known = {*self._known, found.difference}
            seed = seeds.getrandbits(64)

    def _explanation(self, found: Disagreement) -> str:
        """The difference with which the model has it as the kernel has; empty where none explains it."""
        operations = [step.operation for step in found.steps]
        others = WITNESSES.keys() - self._known
        return next((it for it in sorted(others) if self._explains(it, operations)), "")

    def _explains(self, difference: str, operations: Sequence[Operation]) -> bool:
        steps = replay(operations, {*self._known, difference})
        # Where the model can't tell of all of it, it explains nothing.
        return len(steps) == len(operations) and not self.check(steps)


def deviations(kernel: Kernel, known: Callable[[str], bool]) -> set[str]:
    """The differences that the kernel shows and that are known of its build: the search goes on behind."""
    return {name for name in WITNESSES if _shows(kernel, name) and known(name)}


def _shows(kernel: Kernel, difference: str) -> bool:
    """Whether a kernel does with a difference's program what that difference alone makes of it."""
    promised, otherwise = replay(WITNESSES[difference]), replay(WITNESSES[difference], {difference})
    answers = kernel.run(promised)
    return disagreement(promised, answers) is not None and disagreement(otherwise, answers) is None
