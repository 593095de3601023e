"""``nslab isolators``: the isolators' programs in a folder, for a person to call."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness import isolators
from harness.errors import LabError
from harness.hosts.base import write_programs

if TYPE_CHECKING:
    import argparse


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "isolators", help="put the isolators' programs into a folder, to call by hand"
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where each gets a folder of its name")
    parser.add_argument(
        "name",
        nargs="*",
        default=["go", "python"],
        metavar="NAME",
        help="such as python, go, or go-1.23 for a version of Go (default: go python)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the programs and print where each isolator is.

    Raises:
        LabError: an isolator is not known or has no programs, or they can't be written.
    """
    for name in options.name:
        print(_written(name, options.folder / name))
    return 0


def _written(name: str, folder: Path) -> Path:
    try:
        isolator = isolators.find(name)
    except KeyError:
        known = ", ".join(isolators.ISOLATORS)
        raise LabError(f"no isolator {name!r}: expected one of {known}, or such as go-1.23") from None
    isolator.prepare(lambda line: print(f"nslab: {line}", file=sys.stderr))
    programs = isolator.programs(str(Path(sys.executable).resolve()))
    if not programs:
        raise LabError(f"isolator {name}: every machine has its own")
    folder.parent.mkdir(parents=True, exist_ok=True)
    write_programs(folder, programs)
    return folder / "isolate"
