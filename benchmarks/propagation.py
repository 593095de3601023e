"""What the search of mount propagation costs: python -m benchmarks.propagation [VERSION].

Verified steps for each second against bare system calls, on a stage; and in a guest against the stage. Where
other work shares the machine, look at the processor time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.clock import seconds
from benchmarks.guests import asked_for
from harness.hosts.guest import GuestPlace
from harness.hosts.stage import Stage
from harness.notebook import Notebook
from harness.propagation.operations import Operation
from harness.search.hold import Search, deviations
from harness.search.kernel import Kernel, worker
from harness.worker import Worker

ROUNDS = 5
PROGRAMS = 200

_WAIT = 60.0
"""Seconds for one answer of a guest's worker."""


class Recording(Kernel):
    """A kernel that remembers what it ran."""

    def __init__(self, worker: Worker) -> None:
        """Nothing ran yet."""
        super().__init__(worker)
        self.ran: list[list[Operation]] = []

    def send(self, operations: Iterable[Operation]) -> None:
        """Have one program run."""
        self.ran.append([*operations])
        super().send(self.ran[-1])

    def again(self) -> None:
        """The same system calls and reads of mount tables once more, and nothing else: all in a row."""
        for operations in self.ran:
            super().send(operations)
        for _ in self.ran:
            self.receive()


def search() -> None:
    """Verified steps for each second, beside the same programs run without a model and without draws."""
    with Stage(Notebook()) as stage, worker(stage) as running:
        behind = deviations(Kernel(running), lambda _: True)
        rounds = [_searched_and_plain(running, behind, seed) for seed in range(ROUNDS)]
    verified = median(it.steps / it.whole for it in rounds)
    ratio = median(it.plain / it.whole for it in rounds)
    print(f"propagation: {verified:.0f} verified steps/s, ratio to the bare calls {ratio:.2f} (goal: 0.5)")


class Searched(NamedTuple):
    """A search on the stage: its steps, the seconds that they took, and those of the bare calls."""

    steps: int
    whole: float
    plain: float


def _searched_and_plain(worker: Worker, behind: set[str], seed: int) -> Searched:
    kernel = Recording(worker)
    held = Search(kernel, behind)
    whole = seconds(lambda: held.run(PROGRAMS, seed))
    return Searched(held.steps, whole, seconds(kernel.again))


class Cost(NamedTuple):
    """What one verified step costs, in seconds."""

    wall: float
    computed: float
    """By a guest's QEMU; of a stage it is not told."""


def in_guest(guests: GuestPlace) -> None:
    """Verified steps for each second in a guest, beside a stage of this machine, in turn."""
    with (
        Stage(Notebook()) as stage,
        guests.open(Notebook(), _WAIT) as guest,
        worker(stage) as here,
        worker(guest) as there,
    ):
        behind = [deviations(Kernel(running), lambda _: True) for running in (here, there)]
        rounds = [
            (_searched_and_plain(here, behind[0], seed), _cost(there, behind[1], seed, guest.pid))
            for seed in range(ROUNDS)
        ]
    guests.close()
    verified = median(1 / there.wall for _, there in rounds)
    ratio = median(here.whole / here.steps / there.wall for here, there in rounds)
    bare = median(here.plain / here.steps / there.wall for here, there in rounds)
    computed = median(there.computed for _, there in rounds)
    print(
        f"{guests.name}: {verified:.0f} verified steps/s, ratio to the stage {ratio:.2f}, to bare calls "
        f"there {bare:.2f} (goal: 0.1, a fifth of the half); QEMU computes {computed * 1000:.2f} ms a step"
    )


def _cost(running: Worker, behind: set[str], seed: int, pid: int = 0) -> Cost:
    """What a step of one search costs."""
    held = Search(Kernel(running), behind)
    before = processor_time_of(pid)
    whole = seconds(lambda: held.run(PROGRAMS, seed))
    return Cost(whole / held.steps, (processor_time_of(pid) - before) / held.steps)


def processor_time_of(pid: int) -> float:
    """Seconds that a process has computed (proc_pid_stat(5), utime and stime); of no process, none."""
    if not pid:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    _, guests = asked_for(__doc__, "7.3")
    search()
    in_guest(guests)
