"""A stand-in for another machine: an sshd of the tests' own, with a name, users and mounts of its own."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")

NAME = "faraway"
"""The stand-in's hostname."""

ORDINARY = "plain"
"""An ordinary user of the stand-in."""

_WAIT = 20.0

# sshd wants /run/sshd; the users are root and an ordinary one, and shells in /etc/passwd are small ones.
_BOOT = f"""\
hostname {NAME}
mount -t tmpfs -o mode=755 tmpfs /run && mkdir /run/sshd && cp -rp "$1" /run/machine && chmod 755 /run/machine
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount --bind /run/machine/passwd /etc/passwd
[ ! -e /etc/sudoers ] || mount --bind /run/machine/sudoers /etc/sudoers
for each in $3; do mount --bind /run/machine/config "$each"; done
mount --make-rshared /
exec "$2" -D -e -f /run/machine/sshd_config
"""

_CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey /run/machine/host
AuthorizedKeysFile /run/machine/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
LogLevel VERBOSE
"""


class Remote(NamedTuple):
    """A machine that can be reached."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def config(self) -> Path:
        """For ssh: the machine as ``faraway``, for its ordinary user as ``plain``."""
        return self.folder / "config"

    @property
    def options(self) -> list[str]:
        """For a session: the machine as its only host."""
        return [f"--hosts=ssh://{NAME}", f"--ssh-config={self.config}"]

    def run(self, command: str) -> str:
        """What a command prints there, by a plain ssh."""
        words = ["ssh", "-F", str(self.config), NAME, command]
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=_WAIT).stdout

    def end(self) -> None:
        """Switch it off."""
        self.process.kill()
        self.process.wait()


def left_there(machine: Remote) -> str:
    """What of the lab's there is on the machine: files, processes, its name, IPC objects, mounts."""
    return machine.run(
        "ls /tmp /dev/shm; for each in /proc/[0-9]*/environ; do grep -ls NSLAB_SESSION $each; done; "
        "hostname; ipcs -q; grep -c . /proc/self/mountinfo"
    )


def await_same(machine: Remote, before: str) -> None:
    """Wait until the machine is as before: its own shell waits for the last process of the lab to end."""
    machine.run(
        "for round in 1 2 3 4 5 6 7 8 9; do "
        "  for each in $(grep -ls NSLAB_SESSION /proc/[0-9]*/environ) $(pgrep -f [n]slab-); do "
        "    each=${each#/proc/}; tail --pid=${each%/environ} -f /dev/null; done; done"
    )
    assert left_there(machine) == before


def needed() -> None:
    """Skip where there can be no such machine."""
    if SSHD is None:
        pytest.skip("no sshd: install openssh-server")
    if os.geteuid() != 0:
        pytest.skip("sshd lets users in only where root runs it: run the tests as root")
    with contextlib.suppress(KeyError):
        getpass.getuser()


@contextlib.contextmanager
def remote(folder: Path, lacks: str = "") -> Iterator[Remote]:
    """Boot one; it ``lacks`` these commands, as far as they are where a system has them."""
    needed()
    with kept_port() as port:
        yield from _remote(folder, port, lacks)


def _remote(folder: Path, port: int, lacks: str) -> Iterator[Remote]:
    folder.mkdir(exist_ok=True)
    for name in ("host", "user"):
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)]
        subprocess.run(make, check=True, stdin=subprocess.DEVNULL)
    (folder / "passwd").write_text(
        "root:*:0:0::/root:/bin/sh\nsshd:*:65531:65531::/run/sshd:/bin/false\n"
        f"{ORDINARY}:*:65532:65532::/tmp:/bin/sh\n"
    )
    # sudo wants its configuration to be nobody else's; root too may have it run a command.
    (folder / "sudoers").write_text(f"root ALL=(ALL) ALL\n{ORDINARY} ALL=(ALL) NOPASSWD: ALL\n")
    (folder / "sudoers").chmod(0o440)
    (folder / "sshd_config").write_text(_CONFIG.format(port=port))
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    _write_config(folder, port)
    started = subprocess.Popen(
        [
            *("unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *("sh", "-c", _BOOT, "boot", str(folder), str(SSHD), _paths(lacks)),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        reader = _await_listening(started)
        yield Remote(folder, port, started)
    finally:
        started.kill()
        started.wait()
    reader.join(_WAIT)


def _paths(commands: str) -> str:
    """Where commands are that a system has, and those that they stand for."""
    found = [Path(folder, name) for name in commands.split() for folder in ("/usr/local/bin", "/usr/bin")]
    return " ".join(sorted({str(path.resolve()) for path in found if path.exists()}))


def _write_config(folder: Path, port: int) -> None:
    common = f"""\
    HostName 127.0.0.1
    Port {port}
    IdentityFile {folder}/user
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/known
    GlobalKnownHostsFile none
"""
    (folder / "config").write_text(
        f"Host {NAME}\n{common}    User root\nHost {ORDINARY}\n{common}    User {ORDINARY}\n"
    )


@contextlib.contextmanager
def kept_port() -> Iterator[int]:
    """A port that nobody else is given meanwhile, and on which one that asks for it by number may listen.

    Two sockets that say SO_REUSEADDR, as sshd does, may have one port where only one listens (socket(7)).
    """
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", 0))
        yield int(keeper.getsockname()[1])


def _await_listening(started: subprocess.Popen[bytes]) -> threading.Thread:
    """Wait for sshd's word, and go on reading what it says: it would stop where nobody does."""
    listening, said = threading.Event(), []

    def read() -> None:
        assert started.stderr is not None
        with started.stderr:
            for line in started.stderr:
                said.append(line)
                if b"Server listening" in line:
                    listening.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert listening.wait(_WAIT), f"sshd is not ready; it said {said!r}"
    return reader
