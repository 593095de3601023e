"""Starts in a guest, which has control groups of its own. Skipped where QEMU is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from broken_port import BrokenPort
from test_guests import SERIES, WAIT, place_of

from harness.equivalence.pair import ORDINARY, Pair
from harness.equivalence.starter import CGROUP
from harness.hosts.base import LabHost
from harness.isolators.port import Port
from harness.notebook import Notebook

pytest_plugins = ["stand_ins"]


@pytest.fixture
def guest() -> Iterator[LabHost]:
    """A guest to start in."""
    place = place_of(SERIES)
    with place.open(Notebook(), WAIT) as made:
        yield made
    place.close()


@pytest.mark.parametrize("user", [0, ORDINARY])
def test_a_user_starts_in_another_control_group(guest: LabHost, user: int) -> None:
    """Root and an ordinary user have one group to be in and one to start in; none of them is left behind."""
    groups = "find /sys/fs/cgroup -type d"
    before = guest.check_output(groups)
    pair = Pair(guest, {"port": Port(), "same": BrokenPort("steps", "\n")}, user=user)
    usual = {"terminal": False, "without": [], "ignored": [], "blocked": []}
    asked: tuple[dict[str, object], ...] = ({}, {"UseCgroupFD": True, "CgroupFD": CGROUP})
    descriptions = [{"Path": f"{pair.scratch}/probe", "SysProcAttr": attributes} for attributes in asked]

    at_home, elsewhere = pair.outcomes([{"description": it, **usual} for it in descriptions])

    (home,), (other,) = (seen["port"]["world"]["cgroup"] for seen in (at_home, elsewhere))
    assert home.endswith("/home"), home
    assert other == home.removesuffix("home") + "other"
    assert guest.check_output(groups) != before, "control: groups are seen while they are there"
    pair.close()
    assert guest.check_output(groups) == before
