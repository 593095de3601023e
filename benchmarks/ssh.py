"""Print what a command on a machine over ssh costs against a plain ssh that shares its connection.

python -m benchmarks.ssh HOST [ssh's own options …]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from harness.hosts.remote import Link
from harness.hosts.ssh_stage import SshStage
from harness.isolate import Isolate
from harness.isolators import ISOLATORS
from harness.notebook import Notebook
from harness.ssh.targets import Target

ROUNDS = 100
WAIT = 60.0


def milliseconds(act: Callable[[], object]) -> float:
    """How long one act takes."""
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000


def compare(target: Target) -> None:
    """Alternate the three, so that each sees the same machine."""
    with tempfile.TemporaryDirectory(prefix="nslab-bench-") as folder:
        began = time.perf_counter()
        link = Link(target, Path(folder), WAIT)
        try:
            print(f"connected, and the machine looked at, in {(time.perf_counter() - began) * 1000:.0f} ms")
            print(f"stage made and dropped in {milliseconds(lambda: _stage(link).close()):.0f} ms")
            isolator = ISOLATORS["unshare"]()
            isolator.prepare()
            with _stage(link) as host:
                shell = Isolate(host, isolator).shell("pid")
                plain = link.connection.command("true")
                rows = [
                    (
                        milliseconds(lambda: subprocess.run(plain, check=True, stdin=subprocess.DEVNULL)),
                        milliseconds(lambda: host.run("true")),
                        milliseconds(lambda: shell.run("true")),
                    )
                    for _ in range(ROUNDS)
                ]
        finally:
            link.close()
    ssh, outside, inside = (statistics.median(column) for column in zip(*rows, strict=True))
    print(
        f"true: plain shared ssh {ssh:.1f} ms, on the stage {outside:.1f} ms (ratio {outside / ssh:.2f}), "
        f"inside {inside:.1f} ms (ratio {inside / ssh:.2f}); goal: 1.5"
    )


def _stage(link: Link) -> SshStage:
    return SshStage(link, Notebook(), WAIT)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(
            "benchmarks.ssh: expected a host, and options of ssh(1) after it: python -m benchmarks.ssh HOST"
        )
    host, *options = sys.argv[1:]
    compare(Target(f"ssh://{host}", [*options, "--", host], connect_wait=WAIT))
