"""What a person sees while kernels are fetched and booted."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from harness.kernels import cache
from harness.kernels.waiting import Waiting


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where packages arrive, in a cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return cache.folder("downloads")


def test_a_terminal_shows_what_is_done_and_what_has_arrived(
    downloads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each thing has its own line; that of a download tells how much of it is on the disk."""
    monkeypatch.setenv("TERM", "xterm")
    shown = io.StringIO()
    with Waiting(Console(file=shown, force_terminal=True, width=100)) as progress:
        progress("downloading a kernel (3 MB)")
        (downloads / "part").write_bytes(b"x" * 2_000_000)
        progress._bars.refresh()
        progress("booting it once")

    assert "nslab: downloading a kernel (3 MB)" in shown.getvalue()
    assert "2 MB" in shown.getvalue()
    assert "nslab: booting it once" in shown.getvalue()


def test_elsewhere_each_thing_is_a_plain_line(downloads: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A log has no use for bars."""
    with Waiting(Console(file=io.StringIO())) as progress:
        progress("unpacking it")

    assert capsys.readouterr().err == "nslab: unpacking it\n"
