"""Files that look like kernels."""

from __future__ import annotations

import struct
from pathlib import Path


def bz_image(path: Path, release: str) -> Path:
    """A file with the header of an x86 kernel image, and nothing else of one."""
    content = bytearray(0x1000)
    content[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", content, 0x20E, 0x400)
    struct.pack_into("<H", content, 0x236, 1)
    text = f"{release} (somebody@somewhere) #1".encode()
    content[0x600 : 0x600 + len(text)] = text
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
