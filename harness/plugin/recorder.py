"""Writes the run: each record when its experiment ends, the report when the session does."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from harness import __version__, claims, known, publish, runs
from harness.errors import HostLostError, LabError, UnmetNeedError
from harness.evidence import SCHEMA, HostDescription, Record, Run
from harness.hosts.obstacles import find_clone_refusal
from harness.hosts.place import HerePlace, Place
from harness.hosts.ssh import SshPlace
from harness.isolators import find
from harness.notebook import now, printable
from harness.plugin.conclusion import Conclusion
from harness.plugin.places import host_in, places
from harness.room import must_have_room

_AT_ONCE = 32
"""Machines that are connected to at once."""


def must_be_let_clone(isolators: Iterable[str]) -> None:
    """Refuse isolators that cannot start on this machine, by a look that starts nothing.

    Raises:
        UnmetNeedError: a filter forbids what they do.
    """
    cloning = [name for name in isolators if find(name).clones]
    if cloning and (refusal := find_clone_refusal()):
        raise UnmetNeedError(
            f"--isolator={','.join(cloning)}: {refusal}, as container runtimes do: run the lab on a machine "
            "or VM, start the container without the filter (docker run --security-opt seccomp=unconfined), "
            "or choose --isolator=unshare"
        )


class Recorder:
    """Runs in the controller only: owns the run's folder."""

    def __init__(self, config: pytest.Config, isolators: list[str]) -> None:
        """Nothing is written before experiments were collected."""
        self._config, self._isolators = config, isolators
        self._writer: runs.RunWriter | None = None
        self._whole = False
        self._started = now()
        self._reports = Path(config.getoption("--reports") or config.rootpath / "reports").absolute()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Begin the run, where this process runs the experiments itself; learn whether it came to its end.

        Not by the exit status: it is still 0 where a second Ctrl-C comes while pytest tells of the first.
        """
        if not session.testsfailed or session.config.option.continue_on_collection_errors:
            self._begin([item.nodeid for item in session.items])
        try:
            result = yield
        except session.Failed:
            # As many failures as a person asked for, with -x: that is an end too.
            self._whole = True
            raise
        self._whole = True
        return result

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Begin the run, where workers run the experiments."""
        self._begin(ids)

    def _begin(self, ids: list[str]) -> None:
        """Prepare what the experiments need and open the run: all that can be refused is refused here."""
        if self._writer or self._config.option.collectonly or not any(map(is_experiment, ids)):
            return
        try:
            must_have_room()
            if any(isinstance(place, HerePlace) for place in places(self._config).values()):
                must_be_let_clone(self._isolators)
            versions = {name: self._prepare(name) for name in self._isolators}
            found = [*self._describe(places(self._config).values())]
            self._open(found, versions)
        except (UnmetNeedError, LabError) as error:
            raise pytest.UsageError(str(error)) from error

    def _describe(self, found: Collection[Place]) -> Iterator[HostDescription]:
        """Prepare the places; what breaks there is told now, and again by each of its experiments."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            # Of hundreds of machines, each that can't be reached costs the time of a connection.
            reached = {
                place.name: pool.submit(place.prepare, self._say)
                for place in found
                if isinstance(place, SshPlace)
            }
            for place in found:
                self._say(place.notice)
                try:
                    if place.name in reached:
                        reached[place.name].result()
                    else:
                        place.prepare(self._say)
                except HostLostError as error:
                    self._say(str(error))
                yield place.describe()

    def _open(self, described: list[HostDescription], versions: dict[str, str]) -> None:
        run = Run(
            schema=SCHEMA,
            id=runs.new_id(),
            nslab=__version__,
            command=["pytest", *(printable(str(word)) for word in self._config.invocation_params.args)],
            started=self._started,
            isolators=versions,
            claims=list(claims.read().values()),
            sabotages=claims.sabotages(),
            known_differences=known.read().differences,
        )
        self._writer = runs.RunWriter(self._reports, run)
        for description in described:
            self._writer.describe_host(description)

    def _prepare(self, name: str) -> str:
        isolator = find(name)
        try:
            isolator.prepare(self._say)
        except OSError as error:
            raise UnmetNeedError(
                f"{name} isolator: {error}; make room or raise the limit (ulimit -a)"
            ) from error
        return isolator.version()

    def _say(self, line: str) -> None:
        """Tell a person what the session waits for."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter and line:
            reporter.ensure_newline()
            reporter.write_line(f"nslab: {line}")

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write a finished experiment down at once; where that fails the session ends."""
        record = getattr(report, "nslab_record", None)
        if record is None or self._writer is None:
            return
        try:
            self._writer.append(msgspec.convert(record, Record))
        except LabError as error:
            pytest.exit(f"{error}; what was finished before is kept")

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """Write down an experiment that took xdist's worker with it, and so left no record."""
        if is_experiment(crashitem):
            names = list(places(self._config))
            parameters = re.split(r"[\[\]-]", crashitem.partition("[")[2])
            lost = Record(
                test=printable(crashitem),
                title=printable(crashitem),
                claims=[],
                host=host_in(crashitem, names) or names[0],
                isolator=next((name for name in self._isolators if name in parameters), None),
                outcome="error",
                message=printable(str(report.longrepr)),
                started=now(),
                seconds=0.0,
            )
            report.nslab_record = msgspec.to_builtins(lost)  # type: ignore[attr-defined]
            report.nslab_broke = True  # type: ignore[attr-defined]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Close the run, unless something cut it short, and render it; the page's path comes last."""
        yield
        if not self._writer:
            return
        try:
            if self._whole:
                self._conclude(session)
                self._writer.finish(now(), int(session.exitstatus))
            page = publish.publish(self._writer.folder)
        except (LabError, runs.UnreadableRunError) as error:
            self._refuse(session, str(error))
        except OSError as error:
            self._refuse(session, f"cannot write the page: {error.strerror}")
        else:
            self._say(f"report: {shlex.quote(str(page))}")

    def _conclude(self, session: pytest.Session) -> None:
        """Tell what is known, stale or other than before; a regression is a failure of the session."""
        assert self._writer is not None
        found = Conclusion(self._config, runs.read(self._writer.folder / runs.FILE))
        for line in found.lines:
            self._say(line)
        if found.regressed and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _refuse(self, session: pytest.Session, why: str) -> None:
        """Say why there is no page; a session without one has not succeeded."""
        assert self._writer is not None
        folder = shlex.quote(str(self._writer.folder))
        self._say(f"no report: {why}; free it, then render what was finished: nslab report {folder}")
        if session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR


def is_experiment(nodeid: str) -> bool:
    """Whether a test lies in the folder of experiments."""
    return "experiments" in Path(nodeid.partition("::")[0]).parts
