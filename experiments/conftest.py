"""What only experiments need on a host: a listening daemon, a container, a kernel that runs programs."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator

import pytest

from harness.environment import TAG
from harness.hosts.base import LabHost
from harness.notebook import Notebook
from harness.search.kernel import Kernel, worker
from harness.search.promised import Outcome, Promises, Seen, held

# The parent reports the port when the socket listens and leaves; the child is the daemon. A guest without KVM
# would take three times as long to import socket and os.
_DAEMON = """
import _socket, posix
listener = _socket.socket()
listener.bind(("0.0.0.0", 0))
listener.listen()
if posix.fork():
    posix.write(1, b"%d" % listener.getsockname()[1])
    posix._exit(0)
posix.setsid()
for descriptor in (0, 1, 2):
    posix.dup2(posix.open("/dev/null", posix.O_RDWR), descriptor)
while True:
    posix.close(listener._accept()[0])
"""


@pytest.fixture
def daemon(host: LabHost, need: Callable[[str, str], str]) -> int:
    """The PID of a daemon of the host, found by the socket on which it listens."""
    need("ss", "install the package iproute2")
    port = host.check_output("%s -ISc %s", host.python, _DAEMON)
    assert host.socket(f"tcp://0.0.0.0:{port}").is_listening
    found = re.search(r"pid=(\d+)", host.check_output("ss -Hltnp sport = :%s", port))
    assert found, f"ss names no process that listens on port {port}"
    return int(found[1])


_PROCESS = {
    "terminal": False,
    "user": {"uid": 0, "gid": 0},
    "args": ["/busybox", "sleep", "3600"],
    "cwd": "/",
}
_BUNDLE = {
    "ociVersion": "1.0.2",
    "root": {"path": "rootfs"},
    "hostname": "container",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
    ],
    "linux": {"namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]},
}

# runc would make control groups, and those are the machine's: over a read-only hierarchy it goes without
# (--rootless ignores that they can't be written). Where the hierarchy is mounted there already, the kernel
# refuses it a second time at the same place: something has to lie between.
_RUNC = """\
mount -t tmpfs between /sys/fs/cgroup &&
mount -t cgroup2 -o ro cgroup2 /sys/fs/cgroup &&
cd "$1" &&
exec runc --rootless true --root "$1/state" run --pid-file pid --detach "$2" </dev/null >log 2>&1
"""
_CRUN = """\
cd "$1" &&
exec crun --cgroup-manager disabled --root "$1/state" run --pid-file pid --detach "$2" </dev/null >log 2>&1
"""
_RUNTIMES = {
    "runc": f"unshare --mount --cgroup sh -c {shlex.quote(_RUNC)}",
    "crun": f"sh -c {shlex.quote(_CRUN)}",
}
"""How each runtime starts a detached container; the shell's name, the bundle and a name for it follow."""


@pytest.fixture
def container(host: LabHost, need: Callable[[str, str], str]) -> int:
    """The PID, on the host, of a process in a container that runc or crun made from busybox alone."""
    runtime = need(" ".join(_RUNTIMES), "install the package runc or crun")
    need("busybox", "install the package busybox-static")
    bundle, name = f"{host.scratch}/container", f"nslab-{host.session}"
    process = {**_PROCESS, "env": ["PATH=/", f"{TAG}={host.session}"]}
    host.check_output(
        "mkdir -p %s/rootfs && cp $(command -v busybox) %s/rootfs && printf %%s %s >%s/config.json",
        *(bundle, bundle, json.dumps({**_BUNDLE, "process": process}), bundle),
    )
    started = host.run(f"{_RUNTIMES[runtime]} sh %s %s", bundle, name)
    assert started.rc == 0, f"{runtime} does not run: {host.check_output('cat %s', bundle + '/log')}"
    return int(host.check_output("cat %s", f"{bundle}/pid"))


@pytest.fixture
def kernel(host: LabHost) -> Iterator[Kernel]:
    """The host's kernel, as something that runs programs."""
    with worker(host) as running:
        yield Kernel(running)


Keeps = Callable[[str, Promises[Seen], Callable[[Outcome], Seen]], None]
"""Holds promises against a kernel: under a title, by how each program's outcome is looked at."""


@pytest.fixture
def keeps(kernel: Kernel, notebook: Notebook, known: Callable[..., bool]) -> Keeps[Seen]:
    """Holds each of several promises against the host's kernel, and tells of every one that is not kept."""

    def keeps(title: str, promises: Promises[Seen], look: Callable[[Outcome], Seen]) -> None:
        def is_known(difference: str) -> bool:
            return known(rule=f"propagation.{difference}", value=True)

        found = [*held(kernel, promises, look, is_known)]
        notebook.table(title, ("what", "program", "seen", "verdict"), [(*it[:4],) for it in found])
        broken = [it.broken for it in found if it.broken]
        assert not broken, f"{len(broken)} of {len(found)} not as promised:\n" + "\n\n".join(broken)

    return keeps
