"""The command ``nslab``: what can be done with runs that are on disk."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import msgspec

from harness import __version__, comparing, publish, runs
from harness.environment import search_path
from harness.errors import LabError, UnmetNeedError
from harness.evidence import Run
from harness.isolators import command as isolators
from harness.kernels import command

USAGE = 2
"""The exit status for input that can't be used."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit status: 2 where the input can't be used, told in one line.
    """
    options = _parser().parse_args(arguments)
    os.environ["PATH"] = search_path()
    try:
        return int(options.run(options))
    except (runs.UnreadableRunError, UnmetNeedError, LabError) as problem:
        return _refuse(str(problem))
    except KeyboardInterrupt:
        return _refuse("interrupted")
    except OSError as problem:
        return _refuse(f"{problem.filename}: {problem.strerror}; check the path and its permissions")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nslab", description="a laboratory for Linux namespace isolation")
    parser.add_argument("--version", action="version", version=f"nslab {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    report = commands.add_parser("report", help="render runs to HTML again, from what is on disk")
    report.add_argument(
        "folder", nargs="+", type=Path, metavar="RUN", help="a run's folder, such as reports/<run>"
    )
    report.set_defaults(run=_report)
    comparing.add_parsers(commands)
    command.add_parser(commands)
    isolators.add_parser(commands)
    schema = commands.add_parser("schema", help="print the JSON schema of run.json")
    schema.set_defaults(run=_schema)
    return parser


def _report(options: argparse.Namespace) -> int:
    for folder in options.folder:
        print(publish.publish(runs.file_of(folder).parent))
    return 0


def _schema(_: argparse.Namespace) -> int:
    print(schema_text(), end="")
    return 0


def schema_text() -> str:
    """The JSON schema of ``run.json``, as ``docs/run.schema.json`` holds it."""
    return msgspec.json.format(msgspec.json.encode(msgspec.json.schema(Run)), indent=2).decode() + "\n"


def _refuse(line: str) -> int:
    print(f"nslab: {line}", file=sys.stderr)
    return USAGE


if __name__ == "__main__":
    sys.exit(main())
