"""How deep do user namespaces nest?

Rule (user_namespaces(7), Nested namespaces, Namespace membership): 32 levels below the initial namespace, and
no more.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.hosts.base import LabHost

INITIAL = "user:[4026531837]"
"""The initial user namespace, as the kernel's ``PROC_USER_INIT_INO`` has it."""

LEVELS = "levels of user namespaces"

DOWN = """
level=${1:-0}
unshare --user --map-root-user sh "$0" $((level + 1)) 2>/dev/null || echo "$level"
"""
"""Goes down as far as the kernel lets it, and prints how many levels that were."""


@pytest.fixture
def down(host: LabHost) -> str:
    """The path of that script on the host, which is in the initial user namespace."""
    if host.check_output("readlink /proc/self/ns/user") != INITIAL:
        pytest.skip("the host's own user namespace is not the initial one: how deep it lies can't be told")
    return host.carry("nesting", {"down": DOWN.encode()}) + "/down"


@pytest.mark.rule(name=LEVELS)
def test_user_namespaces_nest_as_deep_as_is_told(
    host: LabHost, down: str, known: Callable[..., bool]
) -> None:
    """Of user namespaces, 32 levels fit below the initial one; from one level further down, one less."""
    levels = int(host.check_output(f"sh {down}"))
    from_below = int(host.check_output(f"unshare --user --map-root-user sh {down}"))

    assert from_below == levels - 1
    assert levels == 32 or known(rule=LEVELS, value=levels)
