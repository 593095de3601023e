"""Isolators on a host, given the same trials: where what came of it differs, and how to repeat it."""

from __future__ import annotations

import functools
import io
import json
import shlex
import zipfile
from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

from harness.crew import relay
from harness.equivalence import probe, starter
from harness.errors import LabError
from harness.hosts.base import LabHost
from harness.isolators import Isolator
from harness.worker import Worker

if TYPE_CHECKING:
    from typing_extensions import Self

ARCHIVE = "equivalence.pyz"

Outcome = dict[str, Any]
"""What an isolator said of the start, how it ended, and the world of what it started."""


_ENVIRONMENT = ["env", "--ignore-environment", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "NSLAB=1"]

_WITHOUT_PIDFD = ("go1.20", "go1.21")
"""Versions whose ``SysProcAttr`` has no ``PidFD`` yet: it is left out of what is compared."""


class Pair:
    """Isolators side by side on one host."""

    def __init__(self, host: LabHost, isolators: Mapping[str, Isolator]) -> None:
        """Carry the isolators there and start what will start them.

        Raises:
            LabError: it does not start, or the host's architecture has no probe.
        """
        self.scratch = f"{host.scratch}/equivalence"
        versions = [isolator.version() for isolator in isolators.values()]
        self._pidfd = not any(version.startswith(_WITHOUT_PIDFD) for version in versions)
        commands = {name: _command(host, isolator) for name, isolator in isolators.items()}
        program = f"{host.carry('equivalence-programs', {ARCHIVE: archive()})}/{ARCHIVE}"
        self._worker = Worker(host, relay)
        served = [f"{name}={command}" for name, command in commands.items()]
        # The isolators' environment, and what of it a program may read from outside, is this one.
        ready = self._worker.ask([*_ENVIRONMENT, host.python, "-IS", program, self.scratch, *served])
        if not ready:
            self._worker.close()
            raise LabError(f"the starter on {host.name} does not start")
        machine = json.loads(ready)["machine"]
        if machine != probe.MACHINE:
            self._worker.close()
            raise LabError(f"{host.name} is {machine}: the probe is for {probe.MACHINE} alone")

    def outcomes(self, trial: Mapping[str, Any]) -> dict[str, Outcome]:
        """What came of a trial, by the isolators' names.

        Raises:
            LabError: nothing can be said of it.
        """
        asked = {**trial, "description": json.dumps(trial["description"])}
        line = self._worker.ask(json.dumps(asked).encode() + b"\n")
        if not line:
            raise LabError(f"the starter has ended over {json.dumps(trial)}")
        seen: dict[str, Outcome] = json.loads(line)
        for name, outcome in seen.items():
            if not self._pidfd:
                outcome.pop("PidFD", None)
            if "lost" in outcome:
                raise LabError(f"{name}: {outcome['lost']}: {json.dumps(trial)}")
        return seen

    def close(self) -> None:
        """End it."""
        self._worker.close()

    def __enter__(self) -> Self:
        """The pair itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()


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


def script(trial: Mapping[str, Any], scratch: str, names: tuple[str, str]) -> str:
    """A shell script that starts a trial's description with both isolators, for a person to repeat.

    Its two arguments are the isolators' commands.
    """
    lacking = ",".join(f"-cap_{number}" for number in trial["without"])
    prefix = f"setpriv --bounding-set {lacking} " if lacking else ""
    if trial["terminal"]:
        prefix = f"{prefix}setsid --ctty --wait "
    return "\n".join(
        [
            "#!/bin/sh",
            f"# usage: sh SCRIPT {' '.join(f'ISOLATE-OF-{name.upper()}' for name in names)}",
            f"# ignored signals: {trial['ignored']}, blocked signals: {trial['blocked']}",
            f"cd {shlex.quote(scratch)} || exit",
            "cat >description.json <<'END'",
            json.dumps(trial["description"], indent=2),
            "END",
            f"exec {starter.FILE}<plain {starter.PIPE}>/dev/null",
            f"exec {starter.TERMINAL}</dev/tty {starter.CGROUP}<.",
            'for isolate in "$1" "$2"; do',
            f'    {prefix}"$isolate" --description description.json --report 2',
            "done",
            "",
        ]
    )


@functools.cache
def archive() -> bytes:
    """What runs on the host, as a program that a Python interpreter runs."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("__main__.py", "from harness.equivalence.starter import main\n\nmain()\n")
        for folder in ("harness", "harness/equivalence"):
            packed.writestr(f"{folder}/__init__.py", "")
        for name in ("probe", "world", "starter"):
            source = resources.files("harness.equivalence").joinpath(f"{name}.py").read_bytes()
            packed.writestr(f"harness/equivalence/{name}.py", source)
    return content.getvalue()
