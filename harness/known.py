"""Known differences: deviations of kernels from what documents promise, with the builds that have them.

The data is ``experiments/known_differences.toml``. A deviation that it knows is told as known, one that it
does not know stands out, and an entry that is no longer true is told to be stale.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from harness.errors import UnmetNeedError
from harness.evidence import HostDescription, KnownDifference, Run, Sighting, Value

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = Path(__file__).parent.parent / "experiments" / "known_differences.toml"

Sort = Literal["facts", "claims", "rules"]
Window = Literal["seen", "not seen", "unrecorded"]
Version = tuple[int, ...]

_BUILD = re.compile(r"[1-9]\d*(\.\d+)+")


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What kernels do differently without breaking a promise, such as a call that came with a version."""

    id: str
    what: str
    source: str
    facts: list[str] = []
    """Patterns of the facts whose differences it explains."""
    steps: dict[str, str] = {}
    """Pattern of a differential search's symptoms to the outcome of the step on the older of two kernels."""
    between: list[str] = []
    """The newest build seen without it and the oldest seen with it: only across these it explains steps."""
    unless: str = ""
    """A kind of operation just before a step, by which it must stop to differ where this explains it."""

    @property
    def words(self) -> str:
        """The change in one line."""
        return f"{self.id}: {self.what} ({self.source})"


class Known(NamedTuple):
    """All of the data."""

    differences: list[KnownDifference]
    changes: list[Change]


@functools.cache
def read(file: Path = FILE) -> Known:
    """The data.

    Raises:
        UnmetNeedError: an entry can't be used; one line names the file, the entry and what was expected.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnmetNeedError(f"{file}: {error}") from error
    for unknown in content.keys() - {"difference", "change"}:
        raise UnmetNeedError(f"{file}: {unknown!r} is no table of it; expected [[difference]] or [[change]]")
    known = Known(
        _entries(file, content.get("difference", []), KnownDifference),
        _entries(file, content.get("change", []), Change),
    )
    for difference in known.differences:
        _check(file, difference)
    for change in known.changes:
        _check_change(file, change)
    return known


def _entries(file: Path, entries: Any, type_: type[Any]) -> list[Any]:
    made: dict[str, Any] = {}
    for number, entry in enumerate(entries if isinstance(entries, list) else [entries], 1):
        name = entry.get("id", f"number {number}") if isinstance(entry, dict) else f"number {number}"
        try:
            made_of = msgspec.convert(entry, type_)
        except msgspec.ValidationError as error:
            raise UnmetNeedError(f"{file}: entry {name!r}: {error}") from error
        for field in entry.keys() - set(type_.__struct_fields__):
            raise UnmetNeedError(
                f"{file}: entry {name!r}: {field!r} is no field of it; there are "
                + ", ".join(type_.__struct_fields__)
            )
        if made.setdefault(made_of.id, made_of) is not made_of:
            raise UnmetNeedError(f"{file}: two entries have the id {name!r}; give one of them another")
    return list(made.values())


def _check(file: Path, entry: KnownDifference) -> None:
    """Hold an entry against what its type can't say."""
    head = f"{file}: entry {entry.id!r}"
    for build in [*entry.seen, *entry.not_seen]:
        if not _BUILD.fullmatch(build):
            raise UnmetNeedError(f"{head}: build {build!r}: expected a version such as 6.18.44")
    for build in set(entry.seen) & set(entry.not_seen):
        raise UnmetNeedError(f"{head}: build {build} is among seen and not_seen; leave it in one")
    if not entry.seen:
        raise UnmetNeedError(f"{head}: seen is empty; name the builds where it was seen")
    for field in ("what", "source", "script"):
        if not getattr(entry, field).strip():
            raise UnmetNeedError(f"{head}: {field} is empty")
    if not (entry.facts or entry.claims or entry.rules):
        raise UnmetNeedError(f"{head}: it explains nothing; give it facts, claims or rules")


def _check_change(file: Path, entry: Change) -> None:
    head = f"{file}: entry {entry.id!r}"
    if not (entry.facts or entry.steps):
        raise UnmetNeedError(f"{head}: it explains nothing; give it facts or steps")
    ordered = len(entry.between) == 2 and all(map(_BUILD.fullmatch, entry.between))
    if entry.steps and not (ordered and version(entry.between[0]) < version(entry.between[1])):
        raise UnmetNeedError(
            f"{head}: steps need between = [the newest build without it, the oldest with it]; "
            f"got {entry.between}"
        )


def build_of(host: HostDescription) -> str:
    """The version of a host's kernel: ``6.1.192`` of a Debian kernel that calls itself 6.1.0-43-amd64.

    Empty where the host did not say it.
    """
    packaged = re.search(r"(?:Debian |Ubuntu .* )([1-9]\d*(?:\.\d+)+)", host.build)
    if packaged:
        return packaged[1]
    if host.kind == "guest" and _BUILD.fullmatch(host.name):
        return host.name
    found = _BUILD.match(host.kernel)
    return found[0] if found else ""


def version(build: str) -> Version:
    """A build's version as numbers, to be put in order."""
    return tuple(int(part) for part in build.split("."))


def window(entry: KnownDifference, build: str) -> Window:
    """What the entry lets one expect of a build: what its recorded neighbours of both sides agree on.

    A fix stays: beyond the newest recorded build without the difference, it is not expected.
    """
    recorded: dict[Version, Window] = {version(each): "not seen" for each in entry.not_seen}
    recorded |= {version(each): "seen" for each in entry.seen}
    here = version(build)
    below = max((each for each in recorded if each <= here), default=None)
    above = min((each for each in recorded if each >= here), default=None)
    if below is None:
        return "unrecorded"
    if above is None:
        return "not seen" if recorded[below] == "not seen" else "unrecorded"
    return recorded[below] if recorded[below] == recorded[above] else "unrecorded"


def fixed_in(entry: KnownDifference, build: str) -> str:
    """The next build, of those recorded, that is without the difference; empty where there is none."""
    later = [each for each in entry.not_seen if version(each) > version(build)]
    return min(later, key=version, default="")


def match(
    differences: Iterable[KnownDifference], build: str, sort: Sort, name: str, value: Value
) -> Sighting | None:
    """The known difference of this build that explains a deviating value, if there is one."""
    for entry in differences:
        if build and window(entry, build) != "not seen" and explains(entry, sort, name, value):
            return Sighting(id=entry.id, name=name, value=value, words=words(entry, build))
    return None


def explains(entry: KnownDifference, sort: Sort, name: str, value: Value) -> bool:
    """Whether an entry tells of this fact, claim or rule with this value."""
    if sort == "claims":
        return name in entry.claims and fnmatchcase(str(value), entry.claims[name])
    told: Mapping[str, Value] = getattr(entry, sort)
    return any(
        fnmatchcase(name, pattern) and type(value) is type(deviating) and value == deviating
        for pattern, deviating in told.items()
    )


def words(entry: KnownDifference, build: str) -> str:
    """The entry in one line, as a person reads it who meets it on a build."""
    fixed = fixed_in(entry, build)
    where = f"fixed in {fixed}" if fixed else "not fixed in any build that was seen"
    if window(entry, build) == "unrecorded":
        where += f"; {build} is not recorded among its builds"
    return f"{entry.id}, {where}: {entry.what}"


class Stale(NamedTuple):
    """An entry that is no longer true of a host."""

    id: str
    host: str
    build: str
    seen: str
    """What was seen instead."""

    @property
    def words(self) -> str:
        """One line with the next step."""
        return (
            f"{self.id} is stale: not seen on {self.host} (kernel {self.build}), {self.seen}; "
            f"add {self.build} to its not_seen"
        )


def stale(run: Run, differences: Iterable[KnownDifference]) -> list[Stale]:
    """The entries whose difference was looked for on a build of their window and is not there."""
    return [
        found
        for host in run.hosts.values()
        for entry in differences
        if build_of(host) and window(entry, build_of(host)) == "seen"
        for found in _not_there(run, host, entry)
    ]


def _not_there(run: Run, host: HostDescription, entry: KnownDifference) -> Iterator[Stale]:
    records = [record for record in run.records if record.host == host.name]
    if any(sighting.id == entry.id for record in records for sighting in record.known):
        return
    looked = {
        name: value
        for record in records
        for name, value in record.facts.items()
        if any(fnmatchcase(name, pattern) for pattern in entry.facts)
    }
    passed = [record for record in records if record.outcome == "passed"]
    held = [id_ for record in passed for id_ in record.claims if id_ in entry.claims]
    held += [name for record in passed for name in record.rules if _tells_of_rule(entry, name)]
    if any(explains(entry, "facts", name, value) for name, value in looked.items()):
        return
    seen = [f"{name} is {value}" for name, value in looked.items()]
    seen += [f"{name} held" for name in dict.fromkeys(held)]
    if seen:
        yield Stale(entry.id, host.name, build_of(host), ", ".join(seen[:3]))


def _tells_of_rule(entry: KnownDifference, name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in entry.rules)


def explained_step(
    changes: Iterable[Change], symptom: str, outcome: str, older: str, newer: str
) -> Change | None:
    """The change that explains a step's outcome on the older of two builds, if one does."""
    for change in changes:
        told = any(fnmatchcase(symptom, pattern) and outcome == it for pattern, it in change.steps.items())
        if told and _across(change, older, newer):
            return change
    return None


def _across(change: Change, older: str, newer: str) -> bool:
    """Whether a change came between two builds."""
    without, having = map(version, change.between)
    return version(older) <= without and having <= version(newer)


def explained(changes: Iterable[Change], fact: str) -> str:
    """The change that explains why kernels differ in a fact, in one line; empty where none does."""
    for change in changes:
        if any(fnmatchcase(fact, pattern) for pattern in change.facts):
            return change.words
    return ""
