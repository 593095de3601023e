"""The machines over ssh that a session has: found out once by testinfra's options, handed to workers."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

import msgspec
import pytest

from harness.errors import UnmetNeedError
from harness.sockets import make_folder, remove_folder
from harness.ssh.targets import Target, targets

_HANDED = "nslab_machines"
_OPTIONS = (
    *("connection", "ssh_config", "ssh_identity_file", "ssh_extra_args"),
    *("sudo", "sudo_user", "ansible_inventory", "force_ansible"),
)


class Machines(msgspec.Struct, frozen=True):
    """What was asked for, and a private folder in which the session's processes keep their sockets."""

    targets: list[Target] = []
    folder: str = ""


def asked_for(config: pytest.Config) -> Machines:
    """The machines of ``--hosts``, as the controller found them where this is a worker.

    Raises:
        UsageError: there are no such machines.
    """
    handed = getattr(config, "workerinput", {}).get(_HANDED)
    if handed is not None:
        return msgspec.json.decode(handed, type=Machines)
    hosts = config.getoption("--hosts", None)
    if hosts is None:
        return Machines()
    folder = make_folder("ssh")
    config.add_cleanup(lambda: remove_folder(folder))
    options = {name: config.getoption(name, None) for name in _OPTIONS}
    with contextlib.suppress(OSError):
        options["ssh_config"] = _lasting(options["ssh_config"], folder)
    try:
        return Machines(targets(hosts, options), str(folder))
    except UnmetNeedError as error:
        raise pytest.UsageError(f"--hosts: {error}") from error


def hand_over(found: Machines) -> dict[str, bytes]:
    """What a worker process is to be given."""
    return {_HANDED: msgspec.json.encode(found)}


def _lasting(ssh_config: str | None, folder: Path) -> str | None:
    """A file that ssh can read again and again, for ``--ssh-config=<(vagrant ssh-config)``."""
    if not ssh_config or stat.S_ISREG(os.stat(ssh_config).st_mode):  # noqa: PTH116 - follows /dev/fd
        return ssh_config
    copy = folder / "config"
    copy.write_bytes(Path(ssh_config).read_bytes())
    return str(copy)
