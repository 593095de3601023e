"""Messages between processes: JSON, with open files, and who sent it from the kernel."""

from __future__ import annotations

import array
import json
import socket
import struct
from typing import Any

_CREDENTIALS = struct.Struct("3i")
_LONGEST = 1 << 15
_ANCILLARY = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(4)


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends; what is received tells who sent it (unix(7), SCM_CREDENTIALS)."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    return ends


def send(end: socket.socket, message: Any, files: tuple[int, ...] = ()) -> None:
    """Send a message, with open files."""
    attached = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
    end.sendmsg([json.dumps(message).encode()], attached)


def receive(end: socket.socket) -> tuple[Any, list[int], tuple[int, int]]:
    """A message, the files that came with it, and the sender's PID and user ID as the receiver sees them.

    Raises:
        EOFError: nobody is there any more.
    """
    content, attached, _, _ = end.recvmsg(_LONGEST, _ANCILLARY)
    if not content:
        raise EOFError("nobody is at the other end")
    files, sender = array.array("i"), (0, 0)
    for level, kind, data in attached:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            files.frombytes(data[: len(data) - len(data) % files.itemsize])
        elif level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            sender = _CREDENTIALS.unpack(data)[:2]
    return json.loads(content), files.tolist(), sender
