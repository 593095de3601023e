"""A broken isolator: the port, with other flags, with functions replaced, or with lying tools inside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.isolators.base import MACHINE
from harness.isolators.port import COMPILED, SOURCE, Port
from harness.namespaces import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_LIBRARY = """
import ctypes, os
libc = ctypes.PyDLL(None, use_errno=True)
"""
"""For faults: the C library with all that ctypes can say, and the whole of ``os``."""

_OUTSIDE = {"uts": 8, "ipc": 9}
"""Kinds of the host's namespaces to the descriptors by which tools inside reach them."""

_TOOLS = f"""
def raw_environment(kept=raw_environment, path=os.path.dirname(os.path.realpath(__file__))):
    os.makedirs(path + "/bin", exist_ok=True)
    for name in os.listdir(path):
        if name.startswith("tool-") and not os.path.lexists(path + "/bin/" + name[5:]):
            os.symlink("../" + name, path + "/bin/" + name[5:])
    for kind, descriptor in {_OUTSIDE}.items():
        os.dup2(os.open("/proc/self/ns/" + kind, os.O_RDONLY), descriptor)
    first = b"PATH=" + os.fsencode(path) + b"/bin:"
    return [entry.replace(b"PATH=", first) if entry.startswith(b"PATH=") else entry for entry in kept()]
"""

_TOOL = """\
#!/bin/sh
told=${0%/*}/told
PATH=${PATH#*:}
in_hosts_uts='nsenter --uts=/proc/self/fd/8'
in_hosts_ipc='nsenter --ipc=/proc/self/fd/9'
"""


@dataclass
class Sabotaged(Port):
    """The port with a fault.

    ``source`` stands behind the port's own functions and replaces some of them; ``tools`` are the bodies of
    shell scripts that are found first in the inside's ``PATH``.
    """

    name: str
    lacks: frozenset[Kind] = frozenset()
    adds: frozenset[Kind] = frozenset()
    source: str = ""
    tools: Mapping[str, str] = field(default_factory=dict)

    def version(self) -> str:
        """What it is, lest its reports be taken for an isolator's."""
        return f"{super().version()}, sabotaged"

    def programs(self, python: str, architecture: str = MACHINE) -> dict[str, bytes]:
        """The port's programs with the fault in them, and the lying tools."""
        programs = super().programs(python, architecture)
        del programs[COMPILED]
        fault = _LIBRARY + self.source + (_TOOLS if self.tools else "")
        scripts = {f"tool-{name}": (_TOOL + body).encode() for name, body in self.tools.items()}
        return {**programs, SOURCE: programs[SOURCE] + fault.encode(), **scripts}

    def command(self, directory: str, namespaces: Iterable[Kind], argv: Sequence[str] = ()) -> list[str]:
        """The port's command line for the namespaces that this one really makes."""
        return super().command(directory, frozenset(namespaces) - self.lacks | self.adds, argv)
