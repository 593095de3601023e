"""Do folders for sockets stay with their process, and go when it is gone?"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.sockets import make_folder, remove_folder

HOLDS = """
from harness.sockets import make_folder
print(make_folder("test"), flush=True)
input()
"""


@pytest.fixture(autouse=True)
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary directory of the test's own, whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="short-") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


@pytest.fixture
def other() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process that holds a folder, in a PID namespace where its PID is 1."""
    unshare = ["unshare", "--user", "--map-current-user", "--pid", "--fork", "--kill-child"]
    command = [*unshare, sys.executable, "-c", HOLDS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_folder_is_this_users_alone() -> None:
    """A folder is closed to others, and gone when it was removed."""
    folder = make_folder("test")
    assert folder.stat().st_mode & 0o777 == 0o700

    remove_folder(folder)

    assert not folder.exists()


def test_folder_of_a_living_process_stays(other: tuple[subprocess.Popen[str], Path]) -> None:
    """Another session's folder stays while that lives, wherever its PID may count, and then it goes."""
    process, folder = other
    remove_folder(make_folder("test"))
    assert folder.exists()

    process.kill()
    assert process.stdout is not None
    process.stdout.read()  # it holds the pipe as long as the folder
    remove_folder(make_folder("test"))

    assert not folder.exists()


def test_folder_of_another_purpose_stays(temporary: Path) -> None:
    """Only what was left for the same purpose is removed, and no link is followed."""
    for name in ("nslab-other-x", "outside"):
        (temporary / name).mkdir()
    (temporary / "nslab-test-x").symlink_to(temporary / "outside")

    remove_folder(make_folder("test"))

    assert sorted(path.name for path in temporary.iterdir()) == ["nslab-other-x", "nslab-test-x", "outside"]


def test_folders_of_one_process_stay_together() -> None:
    """A process may hold several folders for one purpose, as for two guests at a time."""
    first, second = make_folder("test"), make_folder("test")
    assert first.exists()

    remove_folder(first)

    assert not first.exists()
    assert second.exists()
    remove_folder(second)
