"""Start programs on a host from descriptions: what an experiment about ``SysProcAttr`` acts through."""

from __future__ import annotations

import json
from typing import Any

from testinfra.backend.base import CommandResult

from harness.hosts.base import LabHost
from harness.isolators import Isolator


class Described:
    """One isolator that takes descriptions (docs/go.md), on one host."""

    def __init__(self, host: LabHost, isolator: Isolator) -> None:
        """Carry the isolator's programs to the host."""
        self.host, self.isolator = host, isolator
        python = host.python if isolator.needs_python else ""
        directory = host.carry(isolator.name, isolator.programs(python, host.architecture))
        self.program = f"{directory}/isolate"

    def run(self, script: str, **attributes: Any) -> CommandResult:
        """What ``sh -c`` makes of a script when it is started with these fields of ``SysProcAttr``."""
        description = {
            "Path": "/bin/sh",
            "Args": ["sh", "-c", script],
            "Stdout": 1,
            "Stderr": 2,
            "SysProcAttr": attributes,
        }
        # On standard input, which the program does not get: so the evidence holds a line to be repeated.
        return self.host.run(
            "printf %%s %s | %s --description /proc/self/fd/0", json.dumps(description), self.program
        )

    def check_output(self, script: str, **attributes: Any) -> str:
        """What the script writes; it must succeed."""
        ran = self.run(script, **attributes)
        assert ran.rc == 0, f"{ran.command!r} ended with {ran.rc}: {ran.stderr}"
        return ran.stdout.rstrip("\n")
