"""Baselines: what a kernel answered once, kept small, for later runs to be compared with.

A baseline is a run of one host without observations, titles and times: whatever reads runs reads it. Its
file is canonical, so that a difference between two versions of it is a difference of the kernel or the lab.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from harness import __version__, publish
from harness.compare import experiment
from harness.errors import UnmetNeedError
from harness.evidence import SCHEMA, HostDescription, Record, Run

FOLDER = "baselines"
"""Where baselines lie, below the reports."""


def file_for(folder: Path, kernel: str) -> Path:
    """Where the baseline of a kernel's release lies, or would lie."""
    return folder / f"{re.sub(r'[^A-Za-z0-9._+-]', '_', kernel)}.json"


def write(found: Sequence[Run], folder: Path) -> dict[Path, bool]:
    """Write a baseline for each kernel of the runs; of an experiment in several runs, the last counts.

    Returns:
        Each file, and whether it says anything new.

    Raises:
        UnmetNeedError: a run is incomplete, or two hosts of one kernel are in it: which is meant?
        OSError: the file can't be written.
    """
    kernels: dict[str, list[tuple[Run, HostDescription]]] = {}
    for run in found:
        if run.finished is None:
            raise UnmetNeedError(f"run {run.id} is incomplete: a baseline needs one that was finished")
        for host in run.hosts.values():
            if host.kernel:
                kernels.setdefault(host.kernel, []).append((run, host))
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[Path, bool] = {}
    for kernel, parts in kernels.items():
        names = {host.name for _, host in parts}
        if len(names) > 1:
            raise UnmetNeedError(
                f"hosts {', '.join(sorted(names))} have the same kernel {kernel}: name runs of one"
            )
        file, content = file_for(folder, kernel), text(reduced(parts))
        written[file] = not file.exists() or file.read_text(encoding="utf-8") != content
        if written[file]:
            publish.replace(file, content)
    return written


def reduced(parts: Iterable[tuple[Run, HostDescription]]) -> Run:
    """What is kept of one host's records in several runs."""
    records: dict[str, Record] = {}
    for run, host in parts:
        last = host
        for record in run.records:
            if record.host == host.name and record.outcome in ("passed", "failed"):
                records[experiment(record)] = _reduced(record)
    ordered = [records[name] for name in sorted(records)]
    return Run(
        schema=SCHEMA,
        id=f"baseline {last.kernel}",
        nslab=__version__,
        command=[],
        started="",
        finished="",
        hosts={last.name: last},
        records=ordered,
    )


def _reduced(record: Record) -> Record:
    return Record(
        test=record.test,
        title="",
        claims=record.claims,
        host=record.host,
        isolator=record.isolator,
        outcome=record.outcome,
        facts=dict(sorted(record.facts.items())),
        known=record.known,
        started="",
        seconds=0,
    )


def text(run: Run) -> str:
    """A run as a file in which each verdict and each fact has a line of its own."""
    head, tail = msgspec.json.encode(msgspec.structs.replace(run, records=[])).decode().split('"records":[]')
    records = ",\n".join(map(_lines, run.records))
    return f'{head}"records":[\n{records}\n]{tail}\n'


def _lines(record: Record) -> str:
    if not record.facts:
        return msgspec.json.encode(record).decode()
    empty = msgspec.json.encode(msgspec.structs.replace(record, facts={})).decode()
    facts = ",\n".join(
        f" {msgspec.json.encode(name).decode()}:{msgspec.json.encode(value).decode()}"
        for name, value in record.facts.items()
    )
    return f'{empty[:-1]},"facts":{{\n{facts}\n}}}}'


def kept(folder: Path, kernel: str) -> Path | None:
    """The baseline of a kernel's release or, where there is none, of another build of the same version.

    Of several, the one whose name is last; None where there is none.
    """
    exact = file_for(folder, kernel)
    if exact.exists():
        return exact
    version = re.match(r"\d+\.\d+\.[1-9]\d*(?!\d)", kernel)
    others = sorted(folder.glob(f"{version[0]}[!0-9]*.json")) if version else []
    return others[-1] if others else None


def counterpart(baseline: Run, host: HostDescription) -> HostDescription | None:
    """The host to compare a host with: the one of the same kernel, else the only one there is."""
    same = [each for each in baseline.hosts.values() if each.kernel == host.kernel]
    found = same or (list(baseline.hosts.values()) if len(baseline.hosts) == 1 else [])
    return found[0] if found else None
