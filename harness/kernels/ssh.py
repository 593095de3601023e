"""How a guest is reached: by a key of this user's, at a port that its QEMU has opened."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.errors import UnmetNeedError
from harness.kernels import cache
from harness.programs import ask
from harness.ssh.connection import Connection


def key() -> Path:
    """The private key that opens every guest of this user; made once. Its public half ends in ``.pub``.

    Raises:
        UnmetNeedError: there is no OpenSSH client.
    """
    file = cache.folder("ssh") / "key"
    if not shutil.which("ssh"):
        raise UnmetNeedError("guests are reached by ssh, which is not in $PATH: install openssh-client")
    if not file.exists():
        with cache.locked("key"):
            if not file.exists():
                half = file.with_name("half")
                half.unlink(missing_ok=True)
                make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "nslab", "-f", str(half)]
                done = ask(make)
                if done.returncode != 0:
                    why = " ".join(done.stderr.decode(errors="replace").split())
                    raise UnmetNeedError(f"cannot make the key {half}: {why}")
                half.with_name("half.pub").replace(file.with_name("key.pub"))
                half.replace(file)
    return file


def connect(port: int, folder: Path, wait: float) -> Connection:
    """A connection to one instance of a guest; its socket lies in ``folder``.

    Raises:
        ConnectionLostError: no connection in time.
    """
    options = {
        "HostName": "127.0.0.1",
        "IdentitiesOnly": "yes",
        "IdentityFile": f'"{key()}"',
        "Port": str(port),
        # A guest is known by the port that its own QEMU has opened; it makes its key when it boots.
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
    }
    words = [word for item in options.items() for word in ("-o", "=".join(item))]
    return Connection(["-F", "none", *words, "root@guest"], folder, wait, "the guest")
