"""Which hosts a session has: what was asked for, found out once and handed to worker processes."""

from __future__ import annotations

import re
from collections.abc import Container
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness import hosts
from harness.errors import LabError, UnmetNeedError
from harness.hosts.guest import GuestPlace
from harness.hosts.place import HerePlace, Place
from harness.hosts.ssh import SshPlace
from harness.hosts.ssh_host import SshHost
from harness.hosts.ssh_machine import SshMachine
from harness.hosts.ssh_stage import SshStage
from harness.kernels import qemu
from harness.kernels.choice import Choice, choose
from harness.plugin.machines import Machines, asked_for, hand_over

LOCAL = "local"
"""The kernel of this machine, among those of ``--kernels``."""

_PLACES = pytest.StashKey[dict[str, Place]]()
_MACHINES = pytest.StashKey[Machines]()
_CHOICES = pytest.StashKey[list[Choice]]()
_HANDED = "nslab_kernels"
_NOT_THIS_ONE = (
    "--stage=machine with local among other hosts: act on this machine itself in a session of its own"
)


def add_options(group: pytest.OptionGroup) -> None:
    """The options that name kernels."""
    group.addoption(
        "--kernels",
        metavar="VERSION[,VERSION]",
        help="boot these kernels as hosts: 6.12, 6.12.117, a package's version, all, a bzImage or a "
        "built tree; 'local' is this machine's own, on a stage",
    )
    group.addoption(
        "--differential",
        action="store_true",
        help="hold hosts against each other too, each against the next: needs two or more",
    )
    group.addoption(
        "--modules", metavar="DIR", default="", help="modules for a bzImage that is named in --kernels"
    )


def wishes(config: pytest.Config) -> list[str]:
    """The kernels that were asked for, each once."""
    asked = config.getoption("--kernels") or ""
    return list(dict.fromkeys(filter(None, (wish.strip() for wish in asked.split(",")))))


def configure(config: pytest.Config) -> None:
    """Find out which hosts were asked for.

    Raises:
        UsageError: there are no such kernels, or they can't be booted here.
    """
    asked = wishes(config)
    if config.getoption("--kernels") is not None and not asked:
        raise pytest.UsageError("--kernels: expected versions such as 6.12,7.3; see 'nslab kernels'")
    guests = [wish for wish in asked if wish != LOCAL]
    try:
        choices = _chosen(config, guests) if guests else []
    except (UnmetNeedError, LabError) as error:
        raise pytest.UsageError(f"--kernels={config.getoption('--kernels')}: {error}") from error
    others = acts_on_others(config)
    machines = asked_for(config)
    if others and any(target.name == LOCAL for target in machines.targets):
        raise pytest.UsageError(_NOT_THIS_ONE)
    config.stash[_CHOICES], config.stash[_MACHINES] = choices, machines
    found: list[Place] = [GuestPlace(choice) for choice in choices]
    found += _by_ssh(config, machines, SshMachine if others else SshStage)
    if LOCAL in asked or any(target.name == LOCAL for target in machines.targets) or not found:
        found.append(HerePlace(hosts.HOSTS, config.getoption("--stage"), config.getoption("--wait")))
    config.stash[_PLACES] = {place.name: place for place in found}
    if config.getoption("--differential") and len(config.stash[_PLACES]) < 2:
        raise pytest.UsageError(
            f"--differential: holds hosts against each other, and this session has one, {found[0].name}; "
            "name another, such as --kernels=6.12,local"
        )
    for place in found:
        config.add_cleanup(place.close)


def acts_on_others(config: pytest.Config) -> bool:
    """Whether experiments act on other machines themselves.

    Raises:
        UsageError: on this one too: who names others to throw away does not mean this one.
    """
    asked = [word.strip() for word in (config.getoption("--hosts", None) or "").split(",")]
    if config.getoption("--stage") != "machine" or not any(asked):
        return False
    if LOCAL in asked or LOCAL in wishes(config):
        raise pytest.UsageError(_NOT_THIS_ONE)
    return True


def _by_ssh(config: pytest.Config, machines: Machines, make: type[SshHost]) -> list[Place]:
    others = [target for target in machines.targets if target.name != LOCAL]
    folder, wait = Path(machines.folder), config.getoption("--wait")
    return [SshPlace(target, folder, number, wait, make) for number, target in enumerate(others)]


def _chosen(config: pytest.Config, guests: list[str]) -> list[Choice]:
    """The kernels, as the controller found them where this is a worker."""
    handed = getattr(config, "workerinput", {}).get(_HANDED)
    if handed is not None:
        return msgspec.json.decode(handed, type=list[Choice])
    if config.getoption("--stage") == "machine":
        raise UnmetNeedError("a guest is always acted on itself; leave --stage=machine out")
    qemu.version()
    return choose(guests, config.getoption("--modules"), _say_nothing)


def _say_nothing(_line: str) -> None:
    """Before pytest's terminal is there, nothing can be told."""


def places(config: pytest.Config) -> dict[str, Place]:
    """The session's sources of hosts by the names of the hosts, in the order of the matrix."""
    return config.stash[_PLACES]


def pairs(config: pytest.Config) -> list[Any]:
    """The neighbours in the matrix, as parameters; one that is skipped where none were asked for."""
    if not config.getoption("--differential"):
        why = "holds two hosts against each other: say --differential, and --kernels=6.12,local or --hosts"
        return [pytest.param((), marks=pytest.mark.skip(reason=why), id="differential")]
    return [pytest.param(pair, id="-".join(pair)) for pair in pairwise(places(config))]


def in_order_of_hosts(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run what belongs to one host together: then one guest at a time is alive."""
    names = list(places(config))
    if len(names) > 1:
        items.sort(key=lambda item: names.index(_host_of(item, names)) if _host_of(item, names) else -1)


def _host_of(item: pytest.Item, names: list[str]) -> str:
    parameters: dict[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
    name = parameters.get("host", "")
    return name if name in names else ""


class Spreading:
    """What pytest-xdist asks of the lab."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Hand the kernels to a worker, which then need not look for them."""
        node.workerinput[_HANDED] = msgspec.json.encode(node.config.stash[_CHOICES])
        node.workerinput.update(hand_over(node.config.stash[_MACHINES]))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """Keep a host's experiments in one worker, where guests or other machines are asked for."""
        if not (config.stash[_CHOICES] or config.stash[_MACHINES].targets) or config.getoption(
            "dist"
        ) not in ("load", "no"):
            return None
        from xdist.scheduler import LoadScopeScheduling

        names, workers = list(places(config)), len(config.getoption("tx") or ())
        divided = [] if config.getoption("--stage") == "machine" else left_over(names, workers)

        class ByHost(LoadScopeScheduling):
            """One worker for each host; for each file of the last ones, where they are fewer than workers."""

            def _split_scope(self, nodeid: str) -> str:
                return scope(nodeid, names, divided)

        return ByHost(config, log)


def left_over(names: list[str], workers: int) -> list[str]:
    """The hosts that remain when each worker has had as many whole ones as every other."""
    return names[len(names) - len(names) % max(workers, 1) :]


def scope(nodeid: str, names: list[str], divided: Container[str]) -> str:
    """The experiments that stay together: those of a host, or of a file of a divided one; others don't."""
    host = host_in(nodeid, names)
    if not host:
        return nodeid
    return f"{host} {nodeid.partition('::')[0]}" if host in divided else host


def host_in(nodeid: str, names: list[str]) -> str:
    """The host that a test's id names; empty where it names none."""
    # The longest first: a host's name may be the beginning of another one's.
    words = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    found = re.search(rf"\[({words})[-\]]", nodeid)
    return found[1] if found else ""
