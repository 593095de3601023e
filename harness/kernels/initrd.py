"""A guest's initial ram disk: static busybox, the modules, our init, and the key that may log in."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from harness.errors import LabError
from harness.programs import ask


def guest_files() -> dict[str, bytes]:
    """Our own files in a guest, by name."""
    ours = resources.files("harness.kernels") / "guest"
    return {name: (ours / name).read_bytes() for name in ("init", "rc")}


def write(target: Path, *, busybox: Path, modules: Iterable[Path], key: bytes) -> None:
    """Write an initial ram disk, in the cpio format that the kernel unpacks (initramfs-buffer-format.rst).

    ``key`` is the public key whose owner may log in.

    Raises:
        LabError: busybox could not pack it.
    """
    tree = target.with_suffix(".tree")
    for folder in ("bin", "modules", "nslab"):
        (tree / folder).mkdir(parents=True)
    shutil.copy(busybox, tree / "bin" / "busybox")
    for module in modules:
        shutil.copy(module, tree / "modules")
    for name, content in guest_files().items():
        path = tree / name if name == "init" else tree / "nslab" / name
        path.write_bytes(content)
        path.chmod(0o755)
    (tree / "nslab" / "authorized_keys").write_bytes(key)
    _pack(tree, target, busybox)
    shutil.rmtree(tree)


def _pack(tree: Path, target: Path, busybox: Path) -> None:
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    with target.open("wb") as output:
        pack = [str(busybox), "cpio", "-o", "-H", "newc", "-R", "0:0"]
        done = ask(pack, said=names.encode(), stdout=output, cwd=tree)
    if done.returncode != 0:
        raise LabError(f"busybox cannot pack {target}: {done.stderr.decode(errors='backslashreplace')}")
