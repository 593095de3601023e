"""Isolators on a host, given the same trials: where what came of it differs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from harness.directed import Directed
from harness.equivalence import probe
from harness.equivalence.versions import leave_out, sayable
from harness.errors import LabError, tail
from harness.hosts.base import LabHost
from harness.isolators import Isolator
from harness.runnable import runnable

Outcome = dict[str, Any]
"""What an isolator said of the start, how it ended, and the world of what it started."""


_ENVIRONMENT = ["env", "--ignore-environment", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "NSLAB=1"]

ORDINARY = 65533
"""A user whom no machine knows: what works for this one leans on no account."""


class Pair(Directed):
    """Isolators side by side on one host."""

    def __init__(self, host: LabHost, isolators: Mapping[str, Isolator], user: int = 0) -> None:
        """Carry the isolators there and start what will start them, as the host's user or another.

        Raises:
            LabError: it does not start, or the host's architecture has no probe.
        """
        # A folder for each user: what one has made there, another one may not write.
        self.scratch, self.wait = f"{host.scratch}/equivalence-{user}", host.wait
        self.user = user
        self._versions = [isolator.version() for isolator in isolators.values()]
        commands = {name: _command(host, isolator) for name, isolator in isolators.items()}
        packages = ("harness.equivalence", "harness.isolators.spawn")
        program = runnable("harness.equivalence.serving", *packages)
        served = [f"{name}={command}" for name, command in commands.items()]
        # The isolators' environment, and what of it a program may read from outside, is this one.
        super().__init__(
            host,
            "equivalence-programs",
            program,
            behind=_ENVIRONMENT,
            arguments=[self.scratch, str(user), "new" if host.has_own_groups else "own", *served],
        )
        if not self.first:
            self.close()
            raise LabError(f"the starter on {host.name} does not start")
        machine = json.loads(self.first)["machine"]
        if machine != probe.MACHINE:
            self.close()
            raise LabError(f"{host.name} is {machine}: the probe is for {probe.MACHINE} alone")

    def outcomes(self, trials: Sequence[Mapping[str, Any]]) -> list[dict[str, Outcome]]:
        """For each of some trials what came of it, by the isolators' names.

        Raises:
            LabError: nothing can be said of one.
        """
        asked = [
            {**trial, "description": json.dumps(sayable(trial["description"], *self._versions))}
            for trial in trials
        ]
        line = self.ask(json.dumps(asked).encode() + b"\n", self.wait * len(trials))
        if not line:
            raise LabError(f"the starter has ended over {json.dumps(trials)}: it said {tail(self._said())}")
        seen: dict[str, list[Outcome]] = msgspec.json.decode(line)
        for name, outcomes in seen.items():
            for trial, outcome in zip(trials, outcomes, strict=False):
                if "lost" in outcome:
                    raise LabError(f"{name}: {outcome['lost']}: {json.dumps(trial)}")
                leave_out(outcome, *self._versions)
        return [dict(zip(seen, each, strict=True)) for each in zip(*seen.values(), strict=True)]


def _command(host: LabHost, isolator: Isolator) -> str:
    """The path of the program that takes descriptions; of one that every host has, its name."""
    programs = isolator.programs(host.python, host.architecture)
    return f"{host.carry(isolator.name, programs)}/isolate" if programs else isolator.name


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """What differs between two outcomes, a line for each: the place, and both sides."""
    if isinstance(one, dict) and isinstance(other, dict):
        names = [*one, *(name for name in other if name not in one)]
        return [
            line
            for name in names
            for line in differences(one.get(name), other.get(name), f"{where}.{name}".lstrip("."))
        ]
    return [] if one == other else [f"{where}: {one!r} | {other!r}"]
