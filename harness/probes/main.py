"""What runs on the host: measures the facts of the given subjects and prints them as one line of JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys

from harness.probes import registry, sandbox, syscalls

LIMIT = 5.0
"""Seconds after which a probe is given up."""


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description="measure facts about this host's kernel")
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help="default: all")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds for each probe")
    parser.add_argument("--times", type=int, default=1, help="how often; answers that differ are errors")
    arguments = parser.parse_args()
    # Some kernels number mount namespaces for each CPU, and refuse what depends on their order.
    os.sched_setaffinity(0, {syscalls.libc.sched_getcpu()})
    probes = [*registry.load(arguments.subjects or [*registry.MODULES])]
    rounds = [sandbox.measure_all(probes, arguments.limit) for _ in range(arguments.times)]
    json.dump(
        {probe.name: settled([answers[probe.name] for answers in rounds]) for probe in probes}, sys.stdout
    )
    print()


def settled(answers: list[sandbox.Answer]) -> sandbox.Answer:
    """What a probe answers each time, or an error if that is not always the same."""
    varying = [answer for answer in answers if answer != answers[0]]
    if varying:
        return {"error": f"answered {json.dumps(answers[0])}, then {json.dumps(varying[0])}"}
    return answers[0]


if __name__ == "__main__":
    main()
