"""Which machines ``--hosts`` names, and how ssh gets to each: testinfra's own reading of its options."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import testinfra.backend
from testinfra.backend.ansible import AnsibleBackend
from testinfra.backend.local import LocalBackend
from testinfra.backend.ssh import SshBackend

from harness.errors import UnmetNeedError
from harness.ssh.connection import in_one_line

LOCAL = "local"
"""This machine, among the hosts."""

_EXPECTED = "expected ssh://[USER@]HOST[:PORT], ansible://GROUP or local"
_CHECK_WAIT = 30.0


class Target(msgspec.Struct, frozen=True):
    """A machine that ssh reaches."""

    name: str
    """As test ids and records show it."""
    arguments: list[str] = []
    """ssh's options and the host."""
    sudo: list[str] = []
    """The prefix by which a command there becomes that of another user; empty for the user who logs in."""
    connect_wait: float = 10.0
    """Seconds that a connection may take."""


def targets(hosts: str, options: Mapping[str, Any]) -> list[Target]:
    """The machines in a value of ``--hosts``, each once; one of the name ``local`` is this machine.

    ``options`` are testinfra's, by their names in its Python interface, such as ``ssh_config``.

    Raises:
        UnmetNeedError: there is no such machine, or a file can't be read; one line says which.
    """
    if not shutil.which("ssh"):
        raise UnmetNeedError("machines are reached by ssh, which is not in $PATH: install openssh-client")
    given = {name: value for name, value in options.items() if value}
    for name in ("ssh_config", "ssh_identity_file", "ansible_inventory"):
        _must_be_readable(f"--{name.replace('_', '-')}", given.get(name))
    found: dict[str, Target] = {}
    for spec in filter(None, (word.strip() for word in hosts.split(","))):
        for target in _named(spec, given):
            found.setdefault(target.name, target)
    if not found:
        raise UnmetNeedError(_EXPECTED)
    _check(found.values())
    return list(found.values())


def _must_be_readable(option: str, path: str | None) -> None:
    if path and not os.access(path, os.R_OK):
        why = "is not readable" if os.path.exists(path) else "does not exist"  # noqa: PTH110
        raise UnmetNeedError(f"{option}={path} {why}")


def _named(spec: str, given: Mapping[str, Any]) -> Iterator[Target]:
    if spec == LOCAL:
        yield Target(LOCAL)
        return
    address, own = testinfra.backend.parse_hostspec(spec)
    # testinfra's default is paramiko, which has no terminals to drive and no connection to share.
    settings = {"connection": "ssh", **given, **own}
    way = settings.pop("connection")
    if settings.get("force_ansible"):
        raise UnmetNeedError(f"{spec}: --force-ansible has no terminals to drive; leave it out")
    if "@" in address and ":" in address.partition("@")[0]:
        # Not even repeated: it would end in a log.
        raise UnmetNeedError("a password in --hosts would be seen by every user: have a key instead")
    if way == "local":
        yield Target(LOCAL)
    elif way == "ansible":
        for name in _in_inventory(address or "all", spec, settings.get("ansible_inventory")):
            yield _of_inventory(name, settings)
    elif way in ("ssh", "safe-ssh") and address:
        backend = SshBackend(address, **settings)
        yield _target(f"ssh://{address}", backend)
    else:
        raise UnmetNeedError(f"{spec} names no machine: {_EXPECTED}")


def _target(name: str, backend: SshBackend) -> Target:
    words = shlex.split(backend.ssh_extra_args or "")
    if backend.ssh_config:
        words += ["-F", os.path.abspath(os.path.expanduser(backend.ssh_config))]  # noqa: PTH100, PTH111
    if backend.ssh_identity_file:
        words += ["-i", os.path.expanduser(backend.ssh_identity_file)]  # noqa: PTH111
    if backend.host.user:
        words += ["-l", backend.host.user]
    if backend.host.port:
        words += ["-p", backend.host.port]
    user = ["-u", backend.sudo_user] if backend.sudo_user else []
    return Target(
        name=sanitised(name),
        arguments=[*words, "--", backend.host.name],
        sudo=["sudo", "-n", *user, "--"] if backend.sudo else [],
        connect_wait=float(backend.timeout),
    )


def sanitised(name: str) -> str:
    """A host's name as test ids and file names can bear it."""
    return re.sub(r"[^\w.@:/+-]", "_", name, flags=re.ASCII)


def _in_inventory(pattern: str, spec: str, inventory: str | None) -> list[str]:
    """The names of an inventory's machines that belong to a group, or are named so."""
    with _ansible():
        try:
            names = AnsibleBackend.get_hosts(pattern, ansible_inventory=inventory)
            known = _runner(inventory).inventory
        except (AssertionError, RuntimeError, ValueError) as error:
            said = in_one_line(str(error))
            raise UnmetNeedError(f"{spec}: the inventory {inventory or ''} tells no hosts: {said}") from error
    if not names:
        groups = ", ".join(sorted(group for group in known if group != "_meta"))
        raise UnmetNeedError(f"{spec}: the inventory has no such group or host; its groups are {groups}")
    return names


def _of_inventory(name: str, settings: Mapping[str, Any]) -> Target:
    passed = {key: settings[key] for key in ("ssh_config", "ssh_identity_file") if key in settings}
    with _ansible():
        try:
            host = _runner(settings.get("ansible_inventory")).get_host(name, **passed)
        except (ImportError, RuntimeError) as error:
            raise UnmetNeedError(f"ansible://{name}: not reached by ssh ({error})") from error
    backend = host.backend if host else None
    if isinstance(backend, LocalBackend):
        return Target(LOCAL)
    if not isinstance(backend, SshBackend):
        raise UnmetNeedError(f"ansible://{name}: its ansible_connection is not ssh, as the lab needs it")
    if backend.host.password:
        raise UnmetNeedError(f"ansible://{name}: has a password (ansible_ssh_pass): have a key instead")
    backend.sudo = backend.sudo or bool(settings.get("sudo"))
    backend.sudo_user = backend.sudo_user or settings.get("sudo_user")
    return _target(f"ansible://{name}", backend)


def _runner(inventory: str | None) -> Any:
    from testinfra.utils.ansible_runner import AnsibleRunner

    return AnsibleRunner.get_runner(inventory)


@contextlib.contextmanager
def _ansible() -> Iterator[None]:
    """Have Ansible's commands found that belong to this very environment."""
    before = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join([before, sysconfig.get_path("scripts")])
    try:
        if not shutil.which("ansible-inventory"):
            raise UnmetNeedError(
                "ansible:// needs the command ansible-inventory: pip install 'nslab[ansible]'"
            )
        yield
    finally:
        os.environ["PATH"] = before


def _check(found: Any) -> None:
    """Have ssh read each configuration once, without connecting.

    Raises:
        UnmetNeedError: it refuses one.
    """
    seen = set()
    for target in found:
        options = tuple(target.arguments[:-1])
        if target.name == LOCAL or options in seen:
            continue
        seen.add(options)
        asked = ["ssh", "-G", *target.arguments]
        ran = subprocess.run(
            asked, capture_output=True, text=True, errors="replace", timeout=_CHECK_WAIT, check=False
        )
        if ran.returncode != 0:
            raise UnmetNeedError(f"{target.name}: ssh refuses its options: {in_one_line(ran.stderr)}")
