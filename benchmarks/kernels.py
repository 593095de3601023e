"""Print what guests cost: python -m benchmarks.kernels [VERSION].

Where other work shares the machine, look at the processor time: two workers need half of it at best.
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks import DOCUMENT
from benchmarks.clock import seconds
from benchmarks.guests import asked_for
from harness import runs
from harness.hosts.guest import GuestPlace
from harness.kernels import archive, qemu, template, userland
from harness.kernels.store import cached

ROUNDS = 10


def processor_time() -> float:
    """Seconds that this process and the children that it has waited for have computed."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)


def private_memory(pid: int) -> float:
    """Megabytes that a process shares with nobody and that lie in no file."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Private_Dirty: +(\d+) kB", text, re.MULTILINE)
    assert found
    return int(found[1]) / 1024


def restoring(place: GuestPlace) -> None:
    """How long until a clone answers, what that computes, and what memory it then has to itself."""
    waited, memory = [], []
    began = processor_time()
    for _ in range(ROUNDS):
        start = time.perf_counter()
        vm = place.restore()
        waited.append(time.perf_counter() - start)
        memory.append(private_memory(vm.pid))
        vm.close()
    computed = (processor_time() - began) / ROUNDS
    print(
        f"{place.name}: ready in {median(waited):.2f} s (median; {computed:.2f} s computed; goal: 1.2 s), "
        f"private memory {median(memory):.0f} MB (goal: 70 MB)"
    )


def cold_boots() -> None:
    """How long each kernel took to boot when its template was made."""
    land = userland.get(print)
    for kernel in sorted(cached(), key=lambda each: [int(part) for part in each.name.split(".")]):
        found = template.find(kernel, land)
        if found.folder.exists():
            print(
                f"{kernel.name}: booted in {found.facts['seconds']} s (goal: 30 s), by {qemu.accelerator()}"
            )


def document(version: str) -> None:
    """What the document costs on one kernel, and so on all of the archive's in two workers."""
    with tempfile.TemporaryDirectory(prefix="nslab-benchmark-") as name:
        command = [sys.executable, "-m", "pytest", *DOCUMENT, f"--kernels={version}", f"--reports={name}"]
        began = processor_time()
        waited = seconds(
            lambda: subprocess.run(
                [*command, "-q", "-p", "no:cacheprovider"], check=False, stdout=subprocess.DEVNULL
            )
        )
        records = runs.read(runs.folders(Path(name))[0] / runs.FILE).records
    computed = processor_time() - began
    kernels = len(archive.newest_of_each_series(archive.offered(print)))
    print(
        f"{version}: the document ({len(records)} experiments) in {waited:.0f} s, {computed:.0f} s computed; "
        f"{kernels} kernels in two workers: {computed * kernels / 2 / 60:.1f} min at best (goal: 4 min)"
    )


if __name__ == "__main__":
    asked, guests = asked_for(__doc__, "6.12")
    cold_boots()
    restoring(guests)
    document(asked)
