"""System calls that Go or the port makes for its own runtime's sake: known and harmless, with their sources.

The data is ``experiments/go_runtime_calls.toml``.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = Path(__file__).parent.parent.parent / "experiments" / "go_runtime_calls.toml"


class Harmless(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call, or a part of one, that makes no difference to the program that is started."""

    what: str
    why: str
    source: str
    of: Literal["Go", "port", "both"] = "Go"
    """Who makes it."""
    pattern: str
    """A regular expression for the call in canonical form."""
    becomes: str = ""
    """What it counts as; nothing where that is empty."""
    since: str = "1.0"
    """The first version of Go that makes it, as far as versions can be had."""
    until: str = "99"
    """The first that makes it no more."""
    unless: str = ""
    """A field of ``SysProcAttr`` that asks for it: then it must be there in both."""

    def made_by(self, version: tuple[int, ...]) -> bool:
        """Whether this version of Go makes it."""
        return _numbers(self.since) <= version < _numbers(self.until)


def read(file: Path = FILE) -> list[Harmless]:
    """The data.

    Raises:
        msgspec.ValidationError: an entry lacks a field or has another type than it should.
    """
    return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8"))["call"], list[Harmless])


class Ignored:
    """Leaves out the harmless calls of the port or of one version of Go, and counts them."""

    def __init__(self, version: str, known: Iterable[Harmless]) -> None:
        """``version`` is such as go1.27.3; empty for the port."""
        self._of = of = "Go" if version else "port"
        self.known = [
            it for it in known if it.of in (of, "both") and (not version or it.made_by(_numbers(version)))
        ]
        self.counts: Counter[str] = Counter()

    def __call__(self, calls: Iterable[str], fields: Iterable[str]) -> list[str]:
        """The other calls by which a description with these fields is started."""
        asked = {*fields}
        known = [it for it in self.known if it.unless not in asked]
        return [call for call in (self._other(call, known) for call in calls) if call]

    def _other(self, call: str, known: Iterable[Harmless]) -> str:
        for it in known:
            call, times = re.subn(it.pattern, it.becomes, call)
            self.counts[it.what] += times
        return call

    def rows(self) -> Iterator[tuple[str, str, int, str, str]]:
        """Whose call was left out, which, how often, why, and where to read of it."""
        for it in self.known:
            yield self._of, it.what, self.counts[it.what], it.why, it.source


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))
