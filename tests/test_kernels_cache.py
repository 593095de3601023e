"""Kernels: what is fetched, unpacked and kept in the cache, and what is refused. No network."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kernel_files import bz_image

from harness import cli
from harness.errors import UnmetNeedError
from harness.kernels import apt, archive, cache, modules, qemu, store, template, userland

pytest_plugins = ["stand_ins"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_no_qemu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The missing program and its package are named."""
    monkeypatch.setenv("PATH", str(tmp_path))
    qemu.version.cache_clear()

    with pytest.raises(UnmetNeedError, match="install the package qemu-system-x86"):
        qemu.version()


@pytest.mark.parametrize("missing", ["account", "range", "newuidmap"])
def test_an_ordinary_user_without_ids_to_map(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """The package and the command that gives them are named, before anything is downloaded."""
    lines = "" if missing == "range" else "somebody:100000:65536\n"
    accounts = {} if missing == "account" else {1000: SimpleNamespace(pw_name="somebody")}
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(pwd, "getpwuid", accounts.__getitem__)
    monkeypatch.setattr(Path, "read_text", lambda _: lines)
    monkeypatch.setattr(shutil, "which", lambda tool: None if tool == missing else tool)

    with pytest.raises(UnmetNeedError, match=r"install the package uidmap, .*usermod --add-subuids"):
        userland.check_tools()


def test_old_userlands_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of userlands of other packages the last used one stays beside a new one; removing takes all."""
    monkeypatch.setattr(userland, "check_tools", lambda: None)
    monkeypatch.setattr(apt, "update", lambda _: None)
    monkeypatch.setattr(userland, "_make", lambda folder, _: (folder / "root.squashfs").write_bytes(b"x" * 9))
    made = []
    for used, packages in enumerate(["a", "b", "c"]):
        monkeypatch.setattr(userland, "PACKAGES", (packages,))
        made.append(userland.get(lambda _: None).disk.parent)
        os.utime(made[-1], (used, used))

    assert [folder.exists() for folder in made] == [False, True, True]
    assert userland.remove() > 0
    assert not any(folder.exists() for folder in made)


def test_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without lists the archive can't be read: apt's own reason is shown in one line."""
    monkeypatch.setattr(apt, "mirrors", lambda: ("file:/nonexistent/debian", ""))
    monkeypatch.setattr(apt, "KEYRING", Path("/nonexistent"))

    with pytest.raises(
        UnmetNeedError,
        match=r"^Debian's archive can't be read: .+; check the network and the space in the cache$",
    ):
        archive.offered(lambda _: None)


def test_a_file_that_is_not_what_the_lists_promise(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    """It is refused and removed, and no kernel is in the cache."""
    package = archive.Package("linux-image-1", "1", "pool/linux-image-1_1_amd64.deb", 3, "0" * 64)
    monkeypatch.setattr(apt, "download", lambda _, into: (into / "linux-image-1_1_amd64.deb").write_text("x"))

    with pytest.raises(UnmetNeedError, match="not the file that the archive's lists promise"):
        store.fetch(archive.Build("1", "1", (package,)), lambda _: None)

    assert not [*own_cache.rglob("*.deb")]
    assert store.cached() == []


def test_modules_are_loaded_after_what_they_depend_on() -> None:
    """Dependencies come first, each once; what is not there is taken as built in."""
    needs = {"a": "b,c-d", "b": "c_d", "c_d": "not_there", "unused": ""}
    found = {name: (f"{name}.ko", f"\0depends={needs[name]}\0".encode()) for name in needs}

    assert [*modules.in_order(found, ["a", "built_in"])] == ["c_d", "b", "a"]


def test_a_module_packed_in_an_unknown_way() -> None:
    """The file is named."""
    with pytest.raises(UnmetNeedError, match=r"a\.ko\.zst: modules are read plain"):
        modules.in_order({"a": ("a.ko.zst", b"")}, ["a"])


def test_what_was_interrupted_is_never_believed(own_cache: Path) -> None:
    """A folder appears whole or not at all, and what a killed session left is removed by the next."""
    final = cache.folder("images") / "thing"
    killed = final.with_name(".half-thing-killed")
    killed.mkdir()

    def interrupted() -> None:
        with cache.making(final) as scratch:
            (scratch / "part").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [*final.parent.iterdir()] == []

    with cache.making(final) as scratch:
        (scratch / "part").write_text("whole")
    assert (final / "part").read_text() == "whole"


def test_no_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder, the system's reason and a remedy are told in one line."""
    final = cache.folder("images") / "thing"

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(UnmetNeedError, match="No space left on device; free some space"), cache.making(final):
        pass


_FILL = """
import contextlib, io, subprocess, sys
from pathlib import Path
from harness import cli

cache, image, modules = sys.argv[1:]
for files in range(1, 30):
    options = f"size=1m,nr_inodes={files},mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "full", cache], check=True)
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        status = cli.main(["kernels", "fetch", image, f"--modules={modules}"])
    halves = [*Path(cache).rglob(".half-*")]
    subprocess.run(["umount", cache], check=True)
    print(status, said.getvalue().count("\\n"), "No space left on device" in said.getvalue(), halves)
"""
"""Fetches a kernel into ever larger file systems; prints how each fetch ended."""


@pytest.mark.usefixtures("as_root")
def test_a_full_disk_at_any_file(tmp_path: Path) -> None:
    """Whichever file or folder is the one too many, one line says so and nothing is left half-made."""
    folder = tmp_path / "modules"
    folder.mkdir()
    for name in modules.WANTED:
        (folder / f"{name}.ko").write_bytes(b"module")
    image = bz_image(tmp_path / "bzImage", "7.4.0")
    (tmp_path / "cache").mkdir(mode=0o700)
    apart = ["unshare", "--mount", "--propagation", "private"]

    done = subprocess.run(
        [*apart, sys.executable, "-c", _FILL, tmp_path / "cache", image, folder],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr == ""
    ends = done.stdout.splitlines()
    full = sum(end != "0 0 False []" for end in ends)
    assert full > 5, "control: it needs several files"
    assert ends == [f"{cli.USAGE} 1 True []"] * full + ["0 0 False []"] * (29 - full)


def test_no_room_for_a_template(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    """It is told before QEMU is started, whose guest would be killed when it writes into its memory."""
    kernel: Any = SimpleNamespace(name="6.1")
    made = template.Template(cache.folder("templates") / "made", kernel, own_cache)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100 << 20))
    monkeypatch.setattr(template, "find", lambda *_: made)
    monkeypatch.setattr(userland, "get", lambda _: None)

    with pytest.raises(UnmetNeedError, match=r"^no room in .+: 100 MB are free, 272 MB may be needed; free"):
        template.get(kernel, lambda _: {}, lambda _: None)
    assert [*made.folder.parent.iterdir()] == []


def test_a_cache_that_others_can_write_is_refused(own_cache: Path) -> None:
    """Kernels from there would run with the user's trust."""
    (own_cache / "nslab" / "kernels").mkdir(parents=True)
    (own_cache / "nslab" / "kernels").chmod(0o777)

    with pytest.raises(UnmetNeedError, match="others can write the cache"):
        cache.folder()


def test_a_lock_is_told_and_waited_for(own_cache: Path) -> None:
    """A second session says that it waits, and goes on when the first has ended."""
    path = cache.folder("locks") / "thing"
    # The lock is the child's: closing its input ends it.
    holder = subprocess.Popen(
        ["flock", path, "sh", "-c", "echo locked; cat >&2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == b"locked\n"
    said: list[str] = []

    def told(line: str) -> None:
        said.append(line)
        assert holder.stdin is not None
        holder.stdin.close()

    with cache.locked("thing", told):
        descriptor = os.open(path, os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)
    assert said == ["waiting for another session that prepares thing"]
    holder.stdout.close()
    holder.wait()
