"""Fixtures: stand-ins for a machine, small projects whose sessions are processes, checkouts of lab."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkouts import Checkout
from remote import Remote, remote
from sessions import Project

from harness.hosts.stage import Stage
from harness.isolate import Isolate
from harness.isolators import ISOLATORS
from harness.notebook import Notebook


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A disposable host, here also the stand-in for a machine that can be spoiled."""
    with Stage(Notebook(), wait=10) as made:
        yield made


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    """A machine over ssh that nobody breaks for good."""
    with remote(tmp_path_factory.mktemp("machine") / "it") as booted:
        yield booted


@pytest.fixture
def isolated(stage: Stage) -> Isolate:
    """Starts isolated shells on the stage."""
    return Isolate(stage, ISOLATORS["python"]())


@pytest.fixture
def project() -> Iterator[Project]:
    """An empty project that switches the lab on, in a folder that every user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="project-"))
    folder.chmod(0o755)
    yield Project.make(folder)
    shutil.rmtree(folder)


@pytest.fixture
def as_root() -> None:
    """Skips the test where it is not run by root."""
    if os.geteuid() != 0:
        pytest.skip("only root can arrange this: run the tests as root")


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    """A checkout on which lab was never called."""
    made = Checkout(tmp_path)
    yield made
    made.end()
