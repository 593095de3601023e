"""Do sessions that use the cache of kernels at the same time get along?"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.kernels import apt, cache, template, userland
from harness.kernels.store import Kernel
from harness.kernels.template import Template


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return cache.folder()


@pytest.mark.usefixtures("own_cache")
def test_lists_that_another_session_has_just_fetched_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has waited for another session asks the archive for nothing, which might not answer any more."""

    @contextlib.contextmanager
    def after_another(*_: object) -> Iterator[None]:
        cache.replace(apt.updated(), b"")
        yield

    monkeypatch.setattr(cache, "locked", after_another)
    monkeypatch.setattr(apt, "sources", lambda: "")
    monkeypatch.setattr(apt, "_run", lambda *_, **__: pytest.fail("asked"))

    apt.update(pytest.fail)


def test_a_template_that_goes_while_it_is_looked_for_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    """A template that another session removes between two steps is one that is not there."""
    made = Template(own_cache / "it", Kernel("1", "1", "", Path(), ()), Path())
    made.folder.mkdir()

    def too_late(path: Path) -> None:
        path.rmdir()
        raise FileNotFoundError(path)

    monkeypatch.setattr(os, "utime", too_late)
    monkeypatch.setattr(template, "find", lambda *_: made)
    monkeypatch.setattr(template, "_make", lambda it, *_: (it.folder / "made").write_text(""))
    monkeypatch.setattr(userland, "get", lambda _: SimpleNamespace())

    assert template.get(made.kernel, lambda _: {}, print) == made
    assert (made.folder / "made").exists()
