"""Kernels: what the archive offers, what a person may ask for, what stays in the cache. No network."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from pathlib import Path

import pytest

from harness import cli
from harness.errors import UnmetNeedError
from harness.kernels import apt, archive, cache, modules, qemu, store
from harness.kernels import choice as choices
from harness.plugin.places import scope

ENTRY = """\
Package: {name}
Version: {version}
Depends: {depends}
Filename: pool/main/l/linux/{name}_amd64.deb
Size: 1000000
SHA256: {name}

"""


def entry(name: str, version: str, depends: str = "kmod") -> str:
    """One package as apt-cache prints it."""
    return ENTRY.format(name=name, version=version, depends=depends)


def split(release: str, version: str, *listed: str) -> str:
    """A kernel of the newer layout, of which the archive lists these parts."""
    needed = ", ".join(f"linux-{part}-{release} (= {version})" for part in ("binary", "modules"))
    image = entry(f"linux-image-{release}", version, f"kmod, {needed}")
    return image + "".join(entry(f"linux-{part}-{release}", version) for part in listed)


ARCHIVE = (
    entry("linux-image-6.1.0-56-cloud-amd64", "6.1.192-2")
    + entry("linux-image-6.12.117+deb13-cloud-amd64", "6.12.117-1")
    + entry("linux-image-6.12.117+deb12-cloud-amd64", "6.12.117-1~deb12u1")
    + entry("linux-image-6.12.96+deb13-cloud-amd64", "6.12.96-1")
    + entry("linux-image-6.12-cloud-amd64", "6.12.117-1", "linux-image-6.12.117+deb13-cloud-amd64")
    + split("7.1.13+deb13-cloud-amd64", "7.1.13-1~bpo13+1", "binary")
    + split("7.3.4+deb13-cloud-amd64", "7.3.4-1~bpo13+1", "binary", "modules")
)


@pytest.fixture
def builds() -> list[archive.Build]:
    """What that archive offers."""
    return archive.parse(ARCHIVE)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch, builds: list[archive.Build]) -> None:
    """An archive that needs no network."""
    monkeypatch.setattr(archive, "offered", lambda *_, **__: builds)
    monkeypatch.setattr(qemu, "version", lambda: "7.2")


def test_builds_are_in_the_order_of_versions(builds: list[archive.Build]) -> None:
    """6.12.96 is older than 6.12.117, a backport is older than what it was made from; no metapackages."""
    assert [build.package_version for build in builds] == [
        "6.1.192-2",
        "6.12.96-1",
        "6.12.117-1~deb12u1",
        "6.12.117-1",
        "7.1.13-1~bpo13+1",
        "7.3.4-1~bpo13+1",
    ]


def test_a_kernel_is_one_package_or_two(builds: list[archive.Build]) -> None:
    """Up to 6.18 the image holds all; later the kernel and its modules are packages beside an empty one."""
    packages = {build.series: [package.name for package in build.packages] for build in builds}

    assert packages["6.1"] == ["linux-image-6.1.0-56-cloud-amd64"]
    assert packages["7.3"] == [f"linux-{part}-7.3.4+deb13-cloud-amd64" for part in ("binary", "modules")]


def test_modules_that_the_lists_have_dropped_are_known_as_unsigned(builds: list[archive.Build]) -> None:
    """Their name and version follow from the image; the source says that no signature covers them."""
    build = archive.matching(builds, "7.1")

    assert build
    assert build.packages[1][:3] == ("linux-modules-7.1.13+deb13-cloud-amd64", "7.1.13-1~bpo13+1", "")
    assert "unsigned" in build.source


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("6.12", ["6.12.117"]),
        ("6.12.117", ["6.12.117"]),
        ("6.12.96", ["6.12.96"]),
        ("6.12.117-1~deb12u1", ["6.12.117+deb12-cloud-amd64"]),
        ("6.12.117+deb13-cloud-amd64", ["6.12.117"]),
        ("all", ["6.1.192", "6.12.117", "7.1.13", "7.3.4"]),
    ],
)
@pytest.mark.usefixtures("offered")
def test_what_a_person_may_ask_for(asked: str, names: list[str]) -> None:
    """A series, a version, a package's version, a release or all: each names the newest that fits."""
    assert [choice.name for choice in choices.choose([asked], "", print)] == names


@pytest.mark.usefixtures("offered")
def test_a_kernel_asked_for_twice_is_one_host() -> None:
    """Different words for one kernel make one column."""
    assert len(choices.choose(["6.12", "6.12.117", "6.12.117-1"], "", print)) == 1


@pytest.mark.usefixtures("offered")
@pytest.mark.parametrize(
    ("asked", "near"), [("6.12.50", "6.12.96, 6.12.117"), ("9.9", "6.1, 6.12, 7.1, 7.3")]
)
def test_a_version_that_nobody_offers(asked: str, near: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line names those that are near; the exit status is 2."""
    status = cli.main(["kernels", "fetch", asked])

    assert status == cli.USAGE
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(UnmetNeedError, match=rf"'{asked}'.* near it are {near}$"):
        choices.choose([asked], "", print)


def bz_image(path: Path, release: str) -> Path:
    """A file with the header of an x86 kernel image, and nothing else of one."""
    content = bytearray(0x1000)
    content[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", content, 0x20E, 0x400)
    text = f"{release} (somebody@somewhere) #1".encode()
    content[0x600 : 0x600 + len(text)] = text
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_own_image_is_named_by_its_release(tmp_path: Path) -> None:
    """The header of a bzImage tells the release that it will have."""
    (choice,) = choices.choose([str(bz_image(tmp_path / "bzImage", "7.4.0-rc1-mine"))], "", print)

    assert choice.name == "7.4.0-rc1-mine"


def test_built_tree_brings_its_modules(tmp_path: Path) -> None:
    """A folder of a built kernel is its image, and the modules wherever they lie in it, in their order."""
    bz_image(tmp_path / "arch/x86/boot/bzImage", "7.4.0")
    for name, needs in (("virtio_blk", ""), ("overlay", "helper"), ("helper", "")):
        path = tmp_path / "drivers" / f"{name}.ko"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\0depends=" + needs.encode() + b"\0")

    (choice,) = choices.choose([str(tmp_path)], "", print)

    found = [path.name for path in choice.kernel(print).modules]
    assert found == ["00-virtio_blk.ko", "01-helper.ko", "02-overlay.ko"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"#!/bin/sh\n", "no x86 kernel: expected a bzImage"),
        (b"\x7fELF" + bytes(1000), "an unpacked vmlinux; name the bzImage beside it"),
        (b"", "no x86 kernel"),
    ],
)
def test_a_file_that_is_no_kernel(tmp_path: Path, content: bytes, said: str) -> None:
    """It is said what the file is and what was expected."""
    (tmp_path / "file").write_bytes(content)

    with pytest.raises(UnmetNeedError, match=said):
        choices.choose([str(tmp_path / "file")], "", print)


def test_a_tree_in_which_nothing_was_built(tmp_path: Path) -> None:
    """The missing image is named, and the next step."""
    with pytest.raises(UnmetNeedError, match="has no arch/x86/boot/bzImage; run make there"):
        choices.choose([str(tmp_path)], "", print)


def test_no_qemu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The missing program and its package are named."""
    monkeypatch.setenv("PATH", str(tmp_path))
    qemu.version.cache_clear()

    with pytest.raises(UnmetNeedError, match="install the package qemu-system-x86"):
        qemu.version()


def test_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without lists the archive can't be read: apt's own reason is shown in one line."""
    monkeypatch.setattr(apt, "mirrors", lambda: ("file:/nonexistent/debian", ""))
    monkeypatch.setattr(apt, "KEYRING", Path("/nonexistent"))

    with pytest.raises(UnmetNeedError, match=r"^Debian's archive can't be read: .+; check the network$"):
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


def test_a_guest_is_reached_from_this_machine_only() -> None:
    """Its one port is on the loopback address, and nothing leads out of it."""
    nowhere = Path("/nowhere")
    command = qemu.command(
        disk=nowhere, image=nowhere, initrd=nowhere, memory=nowhere, shared=False, console="null", monitor=3
    )

    networks = [word for word in command if word.startswith("user,")]
    assert networks == ["user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:22"]


@pytest.mark.parametrize(
    ("nodeid", "spare", "expected"),
    [
        ("experiments/test_pid.py::test_a[6.1.192-go]", False, "6.1.192"),
        ("experiments/test_pid.py::test_a[6.1.192-go]", True, "6.1.192 experiments/test_pid.py"),
        ("experiments/test_pid.py::test_a[6.1.192+x-go-b]", False, "6.1.192+x"),
        ("experiments/test_uts.py::test_a[stage]", False, "stage"),
        ("tests/test_b.py::test_a[6]", False, "tests/test_b.py::test_a[6]"),
    ],
)
def test_one_guests_experiments_stay_in_one_worker(nodeid: str, spare: bool, expected: str) -> None:
    """The name of the host in the test's id decides."""
    assert scope(nodeid, ["6.1.192", "6.1.192+x", "stage"], spare=spare) == expected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--kernels="], "expected versions such as 6.12"),
        (["--kernels=/nonexistent"], "/nonexistent"),
        (["--kernels=/etc/passwd"], "no x86 kernel"),
        (["--kernels=local", "--stage=machine", "--isolator=nobody"], "no such isolator"),
    ],
)
def test_pytest_refuses_in_one_line(arguments: list[str], said: str, pytestconfig: pytest.Config) -> None:
    """What can't be a host ends the session before it starts, with exit status 4."""
    done = subprocess.run(
        ["pytest", "experiments/test_pid.py", "--collect-only", "-q", *arguments],
        cwd=pytestconfig.rootpath,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert said in done.stderr
    assert done.stderr.strip().count("\n") == 0
