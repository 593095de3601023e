"""The worker on the host: starts the director behind it and hands programs and what was seen to and fro.

The director has no threads, unlike an execnet worker: its actors are forked, and enter namespaces that the
kernel refuses to a process with threads (setns(2), user namespaces).
"""

from __future__ import annotations

import subprocess
from typing import Any

# As harness.worker wants it: one file, that finds its channel among its names.
channel: Any = globals().get("channel")

if __name__ == "__channelexec__":
    director = subprocess.Popen(channel.receive(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert director.stdin is not None
    assert director.stdout is not None
    channel.send(director.stdout.readline())
    for program in channel:
        director.stdin.write(program)
        director.stdin.flush()
        channel.send(director.stdout.readline())
    director.stdin.close()
    director.wait()
