"""What a start by the port costs against one by Go, both being up; and the port's cold start."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from harness.equivalence import probe
from harness.hosts.base import write_programs
from harness.isolators import build, toolchain
from harness.isolators.base import silent
from harness.isolators.port import Port
from harness.isolators.spawn.description import Description, read
from harness.isolators.spawn.process import start

ROUNDS, STARTS = 10, 30
COLD = 30
NAMESPACES = {"no namespace": 0, "uts, ipc, pid, mnt": 0x2C020000}

_EXITS = b"\xb8\x3c\x00\x00\x00\x31\xff\x0f\x05"  # exit(0), on x86-64


def starts() -> None:
    """Rounds of starts by either side in turn: the medians' ratio."""
    with tempfile.TemporaryDirectory(prefix="nslab-benchmark-") as name:
        folder = Path(name)
        source = Path(__file__).with_name("go") / "starts.go"
        go = build.built({"starts.go": source.read_bytes()}, toolchain.find(), silent)
        write_programs(folder / "carried", {"starts": go, "exits": probe.program(_EXITS)})
        exits = str(folder / "carried" / "exits")
        for label, flags in NAMESPACES.items():
            described = read(json.dumps({"Path": exits, "SysProcAttr": {"Cloneflags": flags}}))
            rounds = [
                (_by_go(folder / "carried" / "starts", flags, exits), _by_port(described))
                for _ in range(ROUNDS)
            ]
            gos, ports = (median(times) * 1000 for times in zip(*rounds, strict=True))
            ratio = median(port / go for go, port in rounds)
            print(f"start, {label}: go {gos:.2f} ms, port {ports:.2f} ms, ratio {ratio:.2f} (goal: 2)")
        cold(folder, exits)


def _by_go(program: Path, flags: int, exits: str) -> float:
    """Median seconds of one start by Go."""
    ran = subprocess.run([program, str(flags), str(STARTS), exits], capture_output=True, check=True)
    return median(int(line) for line in ran.stdout.split()) / 1e9


def _by_port(described: Description) -> float:
    """Median seconds of one start by the port."""
    times = []
    for _ in range(STARTS):
        began = time.perf_counter()
        os.waitpid(start(described, []).pid, 0)
        times.append(time.perf_counter() - began)
    return median(times)


def cold(folder: Path, exits: str) -> None:
    """Processor time of the command with a description, of a program of the document, of Python alone."""
    python = str(Path(sys.executable).resolve())
    port = folder / "port"
    write_programs(port, Port().programs(python))
    (folder / "description").write_text(json.dumps({"Path": exits}))
    commands = {
        "isolate --description": [f"{port}/isolate", "--description", f"{folder}/description"],
        "uts": [f"{port}/uts", exits],
        "python alone": [python, "-IS", "-c", ""],
    }
    for label, command in commands.items():
        spent = median(_spent(command) for _ in range(COLD)) * 1000
        print(f"cold start, {label}: {spent:.1f} ms of CPU (goal: 30)")


def _spent(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    starts()
