"""What documents promise of facts, from the data beside the experiments."""

from __future__ import annotations

import functools
import sys
from fnmatch import fnmatchcase
from pathlib import Path

from harness.evidence import Value

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = Path(__file__).parent.parent / "experiments" / "promised_facts.toml"


@functools.cache
def patterns(file: Path = FILE) -> dict[str, Value]:
    """Pattern of names to the promised value; of several that fit a name, the last one counts."""
    found: dict[str, Value] = tomllib.loads(file.read_text(encoding="utf-8"))
    return found


@functools.cache
def promises(name: str) -> tuple[Value, ...]:
    """The value that documents promise of a fact; empty where they promise none."""
    return tuple(value for pattern, value in patterns().items() if fnmatchcase(name, pattern))[-1:]


def kept(name: str, value: Value) -> bool:
    """Whether a fact is as promised, or nothing is promised of it."""
    return not promises(name) or promises(name) == (value,)
