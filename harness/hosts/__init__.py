"""Where experiments act: one file and one line here for each kind of host."""

from __future__ import annotations

from harness.hosts.base import LabHost
from harness.hosts.machine import OnMachine
from harness.hosts.stage import Stage

HOSTS: dict[str, type[LabHost]] = {"disposable": Stage, "machine": OnMachine}
"""The values of ``--stage``."""
