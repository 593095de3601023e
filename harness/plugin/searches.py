"""Searches: hypothesis' profiles, how far they go, by which chance, and where what they find is kept."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

import hypothesis
import pytest
from hypothesis.database import DirectoryBasedExampleDatabase, ExampleDatabase

from harness.search.effort import Effort

hypothesis.settings.register_profile(
    "nslab",
    deadline=None,
    derandomize=True,
    max_examples=10,
    # Neither says anything of a claim: fixtures are made for all examples, and machines are slow at times.
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    "search", hypothesis.settings.get_profile("nslab"), derandomize=False, max_examples=200
)
# For `experiments/test_propagation_search.py`, which runs fifteen programs for each example: 100,000.
hypothesis.settings.register_profile(
    "soak", hypothesis.settings.get_profile("nslab"), derandomize=False, max_examples=6667
)
hypothesis.settings.load_profile("nslab")

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
"""Seconds of each unit of time."""

_DRAWN = pytest.StashKey["int | str"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long a search goes on, if not as long as its profile says."""
    parser.getgroup("nslab", "namespace laboratory").addoption(
        "--search-for",
        metavar="TIME",
        help="let each search go on for 90s, 30m, 8h or 2d, whatever the profile of hypothesis says",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse before anything runs what is no time."""
    seconds(config)


def seconds(config: pytest.Config) -> float | None:
    """How long each search is to go on, where ``--search-for`` says so.

    Raises:
        UsageError: it is no time.
    """
    asked = config.getoption("--search-for")
    if asked is None:
        return None
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhd])", asked)
    if not found or not float(found[1]):
        raise pytest.UsageError(f"--search-for={asked}: expected a time such as 90s, 30m, 8h or 2d")
    return float(found[1]) * _UNITS[found[2]]


@pytest.fixture
def effort(pytestconfig: pytest.Config) -> Effort:
    """How far a search is to go, and by which chance."""
    assert hypothesis.settings.default is not None
    return Effort(hypothesis.settings.default.max_examples, _seed(pytestconfig), seconds(pytestconfig))


def _seed(config: pytest.Config) -> int | str:
    """What was asked for; else always the same one where the profile leaves nothing to chance.

    hypothesis takes what is no number for a seed, too.
    """
    asked = config.getoption("--hypothesis-seed")
    if asked is not None:
        return int(asked) if re.fullmatch(r"-?\d+", asked) else str(asked)
    assert hypothesis.settings.default is not None
    if hypothesis.settings.default.derandomize:
        return 0
    return config.stash.setdefault(_DRAWN, secrets.randbits(32))


@pytest.fixture
def examples(pytestconfig: pytest.Config) -> ExampleDatabase:
    """Where a search keeps what it finds: where hypothesis keeps its examples.

    Not by way of hypothesis' settings: there, no profile that leaves nothing to chance has a database, and
    whatever hypothesis draws for other experiments would come to lie beside.
    """
    home = os.environ.get("HYPOTHESIS_STORAGE_DIRECTORY") or pytestconfig.rootpath / ".hypothesis"
    return DirectoryBasedExampleDatabase(Path(home) / "examples")
