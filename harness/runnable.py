"""Packages of the lab as a program that is carried to a host: a ZIP archive that its Python runs."""

from __future__ import annotations

import functools
import io
import zipfile
from importlib import resources


@functools.cache
def runnable(main: str, *packages: str) -> bytes:
    """The archive: whole packages, such as ``harness.probes``, and the module whose ``main()`` it starts."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("__main__.py", f"from {main} import main\n\nmain()\n")
        packed.writestr("harness/__init__.py", "")
        for package in packages:
            for file in sorted(resources.files(package).iterdir(), key=lambda file: file.name):
                if file.name.endswith(".py"):
                    packed.writestr(f"{package.replace('.', '/')}/{file.name}", file.read_bytes())
    return content.getvalue()
