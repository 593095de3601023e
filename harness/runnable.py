"""Parts of the lab as a program that is carried to a host: a ZIP archive that its Python runs."""

from __future__ import annotations

import functools
import io
import zipfile
from collections.abc import Iterator
from importlib import resources


@functools.cache
def runnable(main: str, *parts: str) -> bytes:
    """The archive: packages such as ``harness.probes``, or modules, and that whose ``main()`` it starts."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("__main__.py", f"from {main} import main\n\nmain()\n")
        holders = {part.rpartition(".")[0] for part in parts} - {*parts}
        for holder in sorted({"harness", *holders}):
            packed.writestr(f"{holder.replace('.', '/')}/__init__.py", "")
        for part in parts:
            for path, source in _sources(part.removeprefix("harness.").replace(".", "/")):
                packed.writestr(f"harness/{path}", source)
    return content.getvalue()


def _sources(place: str) -> Iterator[tuple[str, bytes]]:
    """The path below ``harness`` and the content of each file of a package or module."""
    package = resources.files("harness").joinpath(place)
    if not package.is_dir():
        yield f"{place}.py", resources.files("harness").joinpath(f"{place}.py").read_bytes()
        return
    for file in sorted(package.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".py"):
            yield f"{place}/{file.name}", file.read_bytes()
