"""How many of pytest-xdist's workers there are where guests are asked for: each has one guest at a time."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from harness.plugin.places import LOCAL, wishes

_FOR_EACH = 400 << 20
"""Bytes of memory that a worker and its guest may come to take."""


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Where several kernels are asked for and nothing is said of workers, use two."""
    option = config.option
    if hasattr(config, "workerinput"):
        # A worker has the controller's options, less those that say what workers there are.
        return
    said = getattr(option, "numprocesses", 0) is not None or option.dist != "no" or option.tx
    if not said and not option.usepdb and not option.collectonly and guests_asked_for(config) > 1:
        option.numprocesses = min(2, affordable(_at_once(config)))


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> Generator[None, int, int]:
    """With ``-n auto``, no more workers than there is memory for their guests."""
    found = yield
    return min(found, affordable(_at_once(config))) if guests_asked_for(config) else found


def _at_once(config: pytest.Config) -> int:
    """How many guests a worker has at once."""
    return 2 if config.option.differential else 1


def guests_asked_for(config: pytest.Config) -> float:
    """How many kernels are to be booted; ``all`` are more than one."""
    asked = [wish for wish in wishes(config) if wish != LOCAL]
    return float("inf") if "all" in asked else len(asked)


def affordable(guests: int = 1) -> int:
    """How many workers, each with so many guests, processors and free memory suffice for; at least one."""
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(fields["MemAvailable"].split()[0]) << 10
    return max(1, min(len(os.sched_getaffinity(0)), available // (guests * _FOR_EACH)))
