"""Files as they travel over a connection."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping


def packed(files: Mapping[str, bytes]) -> bytes:
    """A tar of executable files in which equal contents are links of one file."""
    first: dict[int, str] = {}
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.mode = 0o755
            if id(data) in first:
                member.type, member.linkname = tarfile.LNKTYPE, first[id(data)]
                tar.addfile(member)
                continue
            member.size, first[id(data)] = len(data), name
            tar.addfile(member, io.BytesIO(data))
    return content.getvalue()
