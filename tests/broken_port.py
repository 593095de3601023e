"""The port with a fault in its library."""

from __future__ import annotations

import io
import zipfile

from harness.isolators.base import MACHINE
from harness.isolators.isolate import SPAWN
from harness.isolators.port import Port


class BrokenPort(Port):
    """The port with code behind the functions of a module of its library, which replaces some of them."""

    name = "broken"

    def __init__(self, module: str, fault: str) -> None:
        """``module`` is such as steps."""
        self._file, self._fault = f"harness/isolators/spawn/{module}.py", fault

    def programs(self, python: str, architecture: str = MACHINE) -> dict[str, bytes]:
        """The port's programs; the broken module is carried as source alone."""
        programs = super().programs(python, architecture)
        content = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(programs[SPAWN])) as whole, zipfile.ZipFile(content, "w") as faulty:
            for name in whole.namelist():
                if name == self._file:
                    faulty.writestr(name, whole.read(name) + self._fault.encode())
                elif name != f"{self._file}c":
                    faulty.writestr(zipfile.ZipInfo(name), whole.read(name))
        return {**programs, SPAWN: content.getvalue()}
