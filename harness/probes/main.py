"""What runs on the host: measures the facts of the given subjects and prints them as one line of JSON."""

from __future__ import annotations

import argparse
import json
import sys

from harness.probes import registry, sandbox

LIMIT = 5.0
"""Seconds after which a probe is given up."""


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description="measure facts about this host's kernel")
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help="default: all")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds for each probe")
    arguments = parser.parse_args()
    probes = registry.load(arguments.subjects or [*registry.MODULES])
    json.dump({probe.name: sandbox.measure(probe, arguments.limit) for probe in probes}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
