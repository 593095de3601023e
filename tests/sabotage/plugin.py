"""Makes the sabotages available to a session.

``python -m pytest experiments/ -p tests.sabotage.plugin --isolator=no-newuts``, in the project's folder,
where Python finds ``tests``. A sabotaged host is asked for with ``--stage``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import hypothesis
import pytest

from harness.hosts import HOSTS
from harness.isolators import ISOLATORS

from . import faults

ISOLATORS.update({name: partial(replace, isolator) for name, isolator in faults.ISOLATORS.items()})
HOSTS.update(faults.HOSTS)


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """Let searches stop at the first counterexample: it need not be a small one."""
    hypothesis.settings.register_profile(
        "sabotage",
        hypothesis.settings.get_profile("nslab"),
        max_examples=5,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        report_multiple_bugs=False,
    )
    hypothesis.settings.load_profile("sabotage")
