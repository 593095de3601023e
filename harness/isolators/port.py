"""The port: ``isolate.py``, which does with clone(2) itself what the Go program does with ``Cloneflags``."""

from __future__ import annotations

import functools
import importlib.util
import io
import marshal
import platform
import struct
import sys
import time
import zipfile
from importlib import resources
from typing import TYPE_CHECKING

from harness.errors import UnmetNeedError
from harness.isolators.base import MACHINE, PROGRAM_NAMES, Progress, program_command, silent
from harness.isolators.isolate import SPAWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.namespaces import Kind

_SHEBANG_LIMIT = 127
"""Bytes of a first line that every kernel reads: ``BINPRM_BUF_SIZE`` was 128 until Linux 5.1, then 256."""

SOURCE = "isolate.py"
COMPILED = f"__pycache__/isolate.{sys.implementation.cache_tag}.pyc"
"""The source, and its code where this version of Python looks for it; another one puts its own beside it."""

_CALL = """\
import sys
sys.path.insert(0, __file__.rpartition("/")[0] or ".")
from isolate import main
main()
"""

_UNCHECKED = struct.pack("<IQ", 1, 0)
"""What stands in compiled code after its magic number where no source is to be looked at (PEP 552)."""

_ZIP_EPOCH = int(time.mktime((1980, 1, 1, 0, 0, 0, -1, -1, -1)))
"""The time that ``ZipInfo`` gives a file, in the local time in which zipimport reads it."""


class Port:
    """The port, run by the host's own Python interpreter."""

    name = "python"
    needs_python = True
    clones = True
    takes_descriptions = True

    def prepare(self, progress: Progress = silent) -> None:
        """Nothing to do: the source is carried as it is."""

    def version(self) -> str:
        """The controller's interpreter, such as ``port on Python 3.11.7``; a remote host's may differ."""
        return f"port on Python {platform.python_version()}"

    def programs(self, python: str, architecture: str = MACHINE) -> dict[str, bytes]:
        """A program under each name that calls the source; the source; the library's archive."""
        program = f"{launcher(python)}{_CALL}".encode()
        return {**dict.fromkeys(PROGRAM_NAMES, program), **called(), SPAWN: archive()}

    def command(self, directory: str, namespaces: Iterable[Kind], argv: Sequence[str] = ()) -> list[str]:
        """The same command line as the Go program's."""
        return program_command(directory, namespaces, argv)


@functools.cache
def called() -> dict[str, bytes]:
    """What the programs call: the source, and its code for this interpreter."""
    source = resources.files("harness.isolators").joinpath(SOURCE).read_bytes()
    return {SOURCE: source, COMPILED: _compiled(source, SOURCE, _UNCHECKED)}


@functools.cache
def archive() -> bytes:
    """The package ``spawn``, compiled for this interpreter too: another one takes the sources."""
    content = io.BytesIO()
    package = resources.files("harness.isolators.spawn")
    with zipfile.ZipFile(content, "w") as packed:
        for folder in ("harness", "harness/isolators"):
            _add(packed, f"{folder}/__init__.py", b"")
        for file in sorted(package.iterdir(), key=lambda file: file.name):
            if file.name.endswith(".py"):
                _add(packed, f"harness/isolators/spawn/{file.name}", file.read_bytes())
    return content.getvalue()


def _add(packed: zipfile.ZipFile, name: str, source: bytes) -> None:
    # The interpreter compares the time that a compiled file tells with its source's in the archive.
    packed.writestr(zipfile.ZipInfo(name), source)
    packed.writestr(
        zipfile.ZipInfo(f"{name}c"), _compiled(source, name, struct.pack("<III", 0, _ZIP_EPOCH, len(source)))
    )


def _compiled(source: bytes, name: str, validity: bytes) -> bytes:
    """The content of a compiled file, which tells in ``validity`` of which source it is."""
    code = compile(source, name, "exec", optimize=0)
    return importlib.util.MAGIC_NUMBER + validity + marshal.dumps(code)


def launcher(python: str) -> str:
    """The lines before a Python source that let the kernel run it with the interpreter at that path.

    ``-I`` and ``-S`` keep the user's environment and site-packages out. A path that a ``#!`` line cannot hold
    is started by a shell: the second line is a command to it and a string to Python.

    Raises:
        UnmetNeedError: the path cannot be written for both languages alike.
    """
    line = f"#!{python} -IS\n"
    if len(line.encode()) <= _SHEBANG_LIMIT and not any(blank in python for blank in " \t\n"):
        return line
    if any(special in python for special in "'\\\n"):
        raise UnmetNeedError(
            f"python isolator: cannot start {python!r} from a script; "
            "use an interpreter whose path has no quote, backslash or line end"
        )
    return f"""#!/bin/sh\n"exec" '{python}' "-IS" "$0" "$@"\n"""
