"""Is what is in the user's cache the user's own, and written by one session at a time?"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest
from sessions import ORDINARY

from harness import private
from harness.errors import UnmetNeedError

pytest_plugins = ["stand_ins"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the cache of this test will be: nothing is there yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home" / "cache"))
    return tmp_path / "home" / "cache" / "nslab"


def test_folders_are_closed_to_others_whatever_the_umask(cache: Path) -> None:
    """Every folder that is made on the way is the user's alone."""
    old = os.umask(0)
    try:
        made = private.folder("kernels", "images")
    finally:
        os.umask(old)

    assert made == cache / "kernels" / "images"
    assert [path.stat().st_mode & 0o777 for path in (made, made.parent, cache)] == [0o700] * 3


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
@pytest.mark.parametrize("which", ["", "kernels", "kernels/images"])
def test_folder_that_others_can_write(cache: Path, which: str, mode: int) -> None:
    """Every folder of the cache is looked at, not only the last; a sticky one is no better."""
    private.folder("kernels", "images")
    (cache / which).chmod(mode)

    with pytest.raises(UnmetNeedError, match=r"others can write the cache .*; remove it: rm -r "):
        private.folder("kernels", "images")


@pytest.mark.parametrize("which", ["", "kernels", "kernels/images"])
@pytest.mark.parametrize("what", ["link", "file"])
def test_something_else_in_its_place(cache: Path, tmp_path: Path, which: str, what: str) -> None:
    """A symbolic link is not followed, wherever it leads, and a file is no folder."""
    place = cache / which
    place.parent.mkdir(mode=0o700, parents=True)
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    place.symlink_to(tmp_path / "elsewhere") if what == "link" else place.write_text("")

    with pytest.raises(UnmetNeedError, match=f"{place} is not a folder of user {os.geteuid()}"):
        private.folder("kernels", "images")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_folder_of_somebody_else(cache: Path, as_root: None) -> None:
    """Root trusts no cache of an ordinary user."""
    os.chown(private.folder(), ORDINARY, ORDINARY)

    with pytest.raises(UnmetNeedError, match=rf"its owner is {ORDINARY}\); set XDG_CACHE_HOME"):
        private.folder("go")


@pytest.mark.parametrize("who", ["anybody", "owner"])
def test_folder_that_somebody_else_can_replace(
    cache: Path, request: pytest.FixtureRequest, tmp_path: Path, who: str
) -> None:
    """Under a folder that others can write, or own, another cache could be put in its place."""
    private.folder()
    if who == "anybody":
        (tmp_path / "home").chmod(0o777)
    else:
        request.getfixturevalue("as_root")
        os.chown(tmp_path / "home", ORDINARY, ORDINARY)

    with pytest.raises(UnmetNeedError, match=rf"others can replace the cache .* {tmp_path}/home; set"):
        private.folder()


def test_sticky_folder_keeps_what_is_in_it(cache: Path, tmp_path: Path) -> None:
    """In a sticky folder such as /tmp nobody can rename what is another's."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home").chmod(0o1777)

    assert private.folder() == cache


def test_cache_that_cannot_be_made(cache: Path, tmp_path: Path) -> None:
    """One line says why, and what to set."""
    (tmp_path / "home").write_text("a file")

    with pytest.raises(UnmetNeedError, match=r"no cache: .*: Not a directory; set XDG_CACHE_HOME"):
        private.folder()


@pytest.mark.parametrize(("mode", "own"), [(0o700, True), (0o644, True), (0o664, False), (0o602, False)])
def test_file_is_trusted_where_only_the_user_can_write_it(tmp_path: Path, mode: int, own: bool) -> None:
    """A file that others can write, or that is none, is not believed."""
    file = tmp_path / "file"
    assert not private.trusted(file)
    file.write_text("")
    file.chmod(mode)

    assert private.trusted(file) == own
    (tmp_path / "link").symlink_to(file)
    assert not private.trusted(tmp_path / "link")


def test_lock_is_one_sessions(cache: Path) -> None:
    """While one session holds the lock no other can, and a link in its place is not followed."""
    file = private.folder("locks") / "thing"
    with private.locked(file):
        descriptor = os.open(file, os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)

    file.unlink()
    file.symlink_to(cache / "elsewhere")
    with pytest.raises(UnmetNeedError, match="Too many levels"), private.locked(file):
        pass
    assert not (cache / "elsewhere").exists()
