"""Which mount namespace can be bound to a file?

Rule (mount_namespaces(7); namespaces(7), The /proc/pid/ns/ directory): one that is younger than the namespace
in which the file is, so that no namespace can keep itself alive; whatever CPUs made the two.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable

import pytest

from harness.hosts.base import LabHost

BOUND = "mount namespace bound to a file"

YOUNGER = """
taskset -c "$1" unshare --mount --propagation private sh -c '
    mount -t tmpfs tmpfs /mnt && cd /mnt && touch file && mkfifo up
    taskset -c "$1" unshare --mount sh -c "echo >up; exec sleep 60" &
    read up <up
    mount --bind "/proc/$!/ns/mnt" file 2>/dev/null && echo bound || echo refused
    kill "$!"' sh "$2"
"""
"""Binds a namespace to a file in an older one; is given the older one's CPU and the younger one's."""

ITSELF = """
unshare --mount --propagation private sh -c '
    mount -t tmpfs tmpfs /mnt && touch /mnt/file
    mount --bind /proc/self/ns/mnt /mnt/file 2>/dev/null && echo bound || echo refused'
"""


@pytest.fixture
def cpus(host: LabHost) -> list[str]:
    """The CPUs on which the host's user may run."""
    code = "import os; print(*sorted(os.sched_getaffinity(0)))"
    return host.check_output(f"{host.python} -c {shlex.quote(code)}").split()


def bound(host: LabHost, older: str, younger: str) -> str:
    """Whether a namespace that one CPU made can be bound in an older one, which another CPU made."""
    return host.check_output(f"sh -c {shlex.quote(YOUNGER)} sh {older} {younger}")


def test_younger_namespace_of_one_cpu_can_be_bound(host: LabHost, cpus: list[str]) -> None:
    """A mount namespace can be bound to a file in an older one, and not in itself."""
    assert bound(host, cpus[0], cpus[0]) == "bound"
    assert host.check_output(f"sh -c {shlex.quote(ITSELF)}") == "refused"


@pytest.mark.rule(name=BOUND)
def test_younger_namespace_of_another_cpu_can_be_bound(
    host: LabHost, cpus: list[str], known: Callable[..., bool]
) -> None:
    """A mount namespace can be bound to a file in an older one, whichever CPUs made the two."""
    if len(cpus) < 2:
        pytest.skip("the host's user may run on one CPU: the rule is about namespaces that two of them made")
    one, other = cpus[:2]
    found = {bound(host, one, other), bound(host, other, one)}

    assert "bound" in found
    assert found == {"bound"} or known(rule=BOUND, value="refused")
