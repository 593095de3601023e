"""KTAP, the kernel's Test Anything Protocol: each host is a test whose subtests are the experiments.

Form: Documentation/dev-tools/ktap.rst of the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.compare import experiment
from harness.evidence import HostDescription, Record, Run

_VERSION = "KTAP version 1"
_BAD = ("failed", "error")


def render(found: Sequence[Run]) -> str:
    """The runs as one document."""
    hosts = [(run, host) for run in found for host in run.hosts.values()]
    lines = [_VERSION, f"1..{len(hosts)}"]
    for number, (run, host) in enumerate(hosts, 1):
        records = [record for record in run.records if record.host == host.name]
        lines += _subtests(run, host, records)
        bad = any(record.verdict in _BAD for record in records)
        lines.append(f"{'not ok' if bad else 'ok'} {number} {_plain(host.name)}")
    return "\n".join(lines) + "\n"


def _subtests(run: Run, host: HostDescription, records: Sequence[Record]) -> Iterator[str]:
    yield f"  {_VERSION}"
    yield f"  # kernel {_plain(host.kernel)}, run {_plain(run.id)}"
    yield f"  1..{len(records)}"
    for number, record in enumerate(records, 1):
        for name, value in record.facts.items():
            yield f"  # {_plain(name)}: {_plain(value)}"
        if record.verdict in _BAD and record.message:
            yield f"  # {_plain(record.message)}"
        yield f"  {_result(number, record)}"


def _result(number: int, record: Record) -> str:
    """One experiment's line; a known difference is a failure that was expected."""
    word = "not ok" if record.verdict in _BAD else "ok"
    directive = {"error": " # ERROR", "skipped": " # SKIP", "known": " # XFAIL"}.get(record.verdict, "")
    reason = f" {_plain(record.message)}" if directive else ""
    return f"{word} {number} {_plain(experiment(record))}{directive}{reason}"


def _plain(value: object) -> str:
    """One line without the character that begins a directive."""
    return " ".join(str(value).split()).replace("#", "_")
