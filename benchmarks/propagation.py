"""What the search of mount propagation costs: verified steps for each second, against bare system calls."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from benchmarks.clock import seconds
from harness.hosts.stage import Stage
from harness.notebook import Notebook
from harness.propagation.programs import Step
from harness.search.hold import Search, deviations
from harness.search.kernel import Answer, Kernel, worker
from harness.worker import Worker

ROUNDS = 5
PROGRAMS = 200


class Recording(Kernel):
    """A kernel that remembers what it ran."""

    def __init__(self, worker: Worker) -> None:
        """Nothing ran yet."""
        super().__init__(worker)
        self.ran: list[Sequence[Step]] = []

    def run(self, steps: Sequence[Step]) -> list[Answer]:
        """Run one program."""
        self.ran.append(steps)
        return super().run(steps)

    def again(self) -> None:
        """The same system calls and reads of mount tables once more, and nothing else: all in a row."""
        for steps in self.ran:
            self.send(step.operation for step in steps)
        for _ in self.ran:
            self.receive()


def search() -> None:
    """Verified steps for each second, beside the same programs run without a model and without draws."""
    with Stage(Notebook()) as stage, worker(stage) as running:
        behind = deviations(Kernel(running), lambda _: True)
        rounds = [_searched_and_plain(running, behind, seed) for seed in range(ROUNDS)]
    verified = median(steps / whole for steps, whole, _ in rounds)
    ratio = median(plain / whole for _, whole, plain in rounds)
    print(f"propagation: {verified:.0f} verified steps/s, ratio to the bare calls {ratio:.2f} (goal: 0.5)")


def _searched_and_plain(worker: Worker, behind: set[str], seed: int) -> tuple[int, float, float]:
    kernel = Recording(worker)
    held = Search(kernel, behind)
    whole = seconds(lambda: held.run(PROGRAMS, seed))
    return held.steps, whole, seconds(kernel.again)
