"""Kernels: what the archive offers and what a person may ask for. No network."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from kernel_files import bz_image

from harness import cli
from harness.errors import UnmetNeedError
from harness.kernels import archive, qemu
from harness.kernels import choice as choices

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


def elf(machine: int, order: str = "<") -> bytes:
    """The header of an ELF file for a machine, in its order of bytes."""
    return struct.pack(f"{order}4sBB10xHH", b"\x7fELF", 2, 1 if order == "<" else 2, 2, machine) + bytes(1000)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"#!/bin/sh\n", "no x86 kernel: expected an x86-64 bzImage"),
        (b"", "no x86 kernel"),
        (elf(62), "an unpacked vmlinux; name the bzImage beside it"),
        (elf(183), "an ELF file for arm64"),
        (elf(22, ">"), "an ELF file for s390"),
        (elf(92), r"an ELF file for another architecture \(e_machine 92\)"),
        (bytes(0x38) + b"ARM\x64", "a kernel for arm64"),
        (bytes(0x38) + b"RSC\x05", "a kernel for riscv"),
        (bytes(0x24) + b"\x18\x28\x6f\x01", "a kernel for arm"),
        (b"MZ\0\0zimg", "a kernel for another architecture, packed for EFI"),
        (bytes(0x202) + b"HdrS", "an x86 kernel of 32 bits"),
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


@pytest.mark.usefixtures("offered")
def test_list_names_each_release_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Where it is no terminal's, nothing is folded: each line begins with a version and its release."""
    assert cli.main(["kernels", "list", "--all"]) == 0

    words = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [found[:2] for found in words if "Debian" in found or "Debian," in found] == [
        ["6.1.192", "6.1.0-56-cloud-amd64"],
        ["6.12.96", "6.12.96+deb13-cloud-amd64"],
        ["6.12.117", "6.12.117+deb12-cloud-amd64"],
        ["6.12.117", "6.12.117+deb13-cloud-amd64"],
        ["7.1.13", "7.1.13+deb13-cloud-amd64"],
        ["7.3.4", "7.3.4+deb13-cloud-amd64"],
    ]
