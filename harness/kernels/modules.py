"""The modules that a guest needs to reach its disk, its root and its network, in the order of loading."""

from __future__ import annotations

import gzip
import lzma
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath

from harness.errors import UnmetNeedError

WANTED = ("virtio_pci", "virtio_blk", "virtio_net", "squashfs", "overlay")
"""What a guest is made of; a kernel that has no such module is taken to have it built in."""

_UNPACK: dict[str, Callable[[bytes], bytes]] = {".ko": bytes, ".xz": lzma.decompress, ".gz": gzip.decompress}


def is_module(path: str) -> bool:
    """Whether a file is a kernel module, packed or not."""
    return re.search(r"\.ko(\.\w+)?$", path) is not None


def name_of(path: str) -> str:
    """The name by which modules depend on one that lies at this path."""
    return PurePath(path).name.partition(".ko")[0].replace("-", "_")


def unpacked(path: str, content: bytes) -> bytes:
    """The module itself.

    Raises:
        UnmetNeedError: it is packed in a way that this Python can't unpack.
    """
    unpack = _UNPACK.get(PurePath(path).suffix)
    if unpack is None:
        raise UnmetNeedError(f"{path}: modules are read plain or packed by xz or gzip; unpack it")
    return unpack(content)


def in_order(found: Mapping[str, tuple[str, bytes]], wanted: Iterable[str] = WANTED) -> dict[str, bytes]:
    """The wanted modules and what they depend on, each after its dependencies.

    ``found`` maps each module's name to its path and content, packed or not.
    """
    ordered: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name in ordered or name not in found:
            return
        content = unpacked(*found[name])
        for other in dependencies(content):
            add(other)
        ordered[name] = content

    for name in wanted:
        add(name)
    return ordered


def dependencies(content: bytes) -> list[str]:
    """The modules that one needs before it, from its own ``.modinfo`` section (kmod's modinfo(8))."""
    said = re.search(rb"\0depends=([^\0]*)\0", content)
    names = said[1].decode("ascii") if said else ""
    return [name.replace("-", "_") for name in names.split(",") if name]
