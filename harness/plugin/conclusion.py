"""What is told at the end of a session: known differences that were met, stale entries, the baseline."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from harness import baseline, known, runs
from harness.compare import ABSENT, Row, compare
from harness.evidence import HostDescription, Run

KERNEL = "kernel"
"""The word for ``--baseline`` that means the kept one of each host's kernel."""

_MOST = 20
"""So many lines tell differences from a baseline; ``nslab compare`` tells all."""

_WORKERS = "workerinput"


def add_options(group: pytest.OptionGroup) -> None:
    """The option that names what to compare with."""
    group.addoption(
        "--baseline",
        metavar="RUN",
        help="compare with an earlier run, or with 'kernel': the kept baseline of each host's kernel; "
        "what regressed sets the exit status",
    )


def configure(config: pytest.Config) -> None:
    """Refuse what can't be compared with, before anything runs.

    Raises:
        UsageError: there is no such run, or it can't be read.
    """
    named = config.getoption("--baseline")
    if named in (None, KERNEL) or hasattr(config, _WORKERS):
        return
    try:
        runs.read(runs.file_of(Path(named)))
    except runs.UnreadableRunError as error:
        raise pytest.UsageError(f"--baseline={named}: {error}; or say --baseline={KERNEL}") from error


class Conclusion:
    """What a finished run says beside its verdicts."""

    def __init__(self, config: pytest.Config, run: Run) -> None:
        """Compare the run with what was asked for."""
        self._named: str | None = config.getoption("--baseline")
        self._folder = config.rootpath / "reports" / baseline.FOLDER
        self._run = run
        self.regressed = False
        self.lines = [*self._known(), *self._stale(), *self._against()]

    def _known(self) -> Iterator[str]:
        """Each known difference once, with the hosts that have it."""
        met: dict[str, dict[str, None]] = {}
        for record in self._run.records:
            for sighting in record.known:
                met.setdefault(sighting.words, {})[sighting.host or record.host] = None
        for words, hosts in met.items():
            yield f"known on {', '.join(hosts)}: {words}"

    def _stale(self) -> Iterator[str]:
        for found in known.stale(self._run, self._run.known_differences):
            yield f"known difference {found.words}"

    def _against(self) -> Iterator[str]:
        """Each host held against its baseline."""
        for host in self._run.hosts.values() if self._named else ():
            try:
                yield from self._host_against(host)
            except runs.UnreadableRunError as error:
                self.regressed = True
                yield f"baseline: {error}"

    def _host_against(self, host: HostDescription) -> Iterator[str]:
        if self._named == KERNEL:
            file = baseline.kept(self._folder, host.kernel)
            name = str(file or baseline.file_for(self._folder, host.kernel))
        else:
            name = str(self._named)
            file = runs.file_of(Path(name))
        before = runs.read(file) if file else None
        other = baseline.counterpart(before, host) if before else None
        if before is None or other is None:
            missing = f"no baseline of {host.name}, kernel {host.kernel}, in {name}"
            yield f"{missing}; 'nslab baseline RUN' keeps one"
            return
        rows = _compared(before, other, self._run, host)
        changed = [row for row in rows if row.differs]
        regressed = [row for row in changed if row.regressed]
        self.regressed |= bool(regressed)
        yield f"baseline of {host.name}, {name}: {_counted(rows, changed, regressed)}"
        told = sorted(changed, key=lambda row: not row.regressed)
        for row in told[:_MOST]:
            word = "regressed" if row.regressed else "changed"
            yield f"  {word}: {row.name}: {row.cells[0]}, now {row.cells[1]}"
        if len(told) > _MOST:
            yield f"  and {len(told) - _MOST} more: nslab compare {name} {self._run.id}"


def _compared(before: Run, other: HostDescription, run: Run, host: HostDescription) -> list[Row]:
    """What both have; experiments that only one of them has were not chosen or are new."""
    pair = compare([_only(before, other), _only(run, host)])
    return [row for row in pair.rows if ABSENT not in row.cells]


def _only(run: Run, host: HostDescription) -> Run:
    return msgspec.structs.replace(run, hosts={host.name: host})


def _counted(rows: list[Row], changed: list[Row], regressed: list[Row]) -> str:
    if not rows:
        return "nothing of this session is in it"
    if not changed:
        return f"{len(rows)} verdicts and facts are as they were"
    return f"{len(regressed)} regressed, {len(changed) - len(regressed)} otherwise changed, of {len(rows)}"
