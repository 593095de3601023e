"""Is mountinfo read as proc_pid_mountinfo(5) writes it?"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness import mountinfo
from harness.mountinfo import Mount

LINE = "36 35 98:0 /mnt1 /mnt2 rw,noatime {tags}- ext3 /dev/root rw,errors=continue"


def mount(id_: int, parent: int, point: str = "/") -> Mount:
    """A mount of which only its place in the tree matters."""
    return Mount(id_, parent, "0:1", "/", point, "rw", (), "tmpfs", "it")


@pytest.mark.parametrize(
    ("tags", "propagation"),
    [
        ("", "private"),
        ("shared:1 ", "shared"),
        ("master:2 ", "slave"),
        ("shared:1 master:2 ", "shared+slave"),
        ("master:2 propagate_from:1 ", "slave"),
        ("unbindable ", "unbindable"),
        ("new:kind some-word ", "private"),
    ],
)
def test_optional_fields(tags: str, propagation: str) -> None:
    """Optional fields, also those without a number and those yet to come, end at the lone hyphen."""
    (read,) = mountinfo.parse(LINE.format(tags=tags))

    assert read.tags == tuple(tags.split())
    assert read.propagation == propagation
    assert (read.type, read.source) == ("ext3", "/dev/root")


def test_octal_escapes() -> None:
    """Blanks, line ends, hashes and backslashes in paths are unescaped once."""
    (read,) = mountinfo.parse(r"1 0 0:1 /a\134040 /b\040c\011d\012e\043f rw - tmpfs it rw")

    assert read.root == r"/a\040"
    assert read.point == "/b c\td\ne#f"


@pytest.mark.parametrize("odd", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "é", "\udcff"])
def test_characters_that_the_kernel_leaves(odd: str) -> None:
    """Characters that the kernel does not escape are part of a path, not the end of a line."""
    (read,) = mountinfo.parse(f"1 0 0:1 / /a{odd}b rw - tmpfs it rw\n")

    assert read.point == f"/a{odd}b"


PATHS = st.text(st.characters(exclude_characters="\0")).map(lambda text: "/" + text)
WORDS = st.text(st.characters(categories=["L", "N"]), min_size=1)
MOUNTS = st.builds(
    Mount,
    *(st.integers(0, 2**31), st.integers(0, 2**31), st.just("0:1"), PATHS, PATHS, WORDS),
    st.lists(st.sampled_from(["shared:1", "master:2", "propagate_from:3", "unbindable"])).map(tuple),
    *(WORDS, WORDS),
)


def escape(path: str) -> str:
    """Write a path as the kernel does (mangle_path)."""
    return "".join(f"\\{ord(character):03o}" if character in " \t\n\\#" else character for character in path)


@given(st.lists(MOUNTS))
def test_what_is_written_is_read(mounts: list[Mount]) -> None:
    """Every table that a kernel could write is read as what it says."""
    text = "".join(
        " ".join(
            [
                *(*map(str, each[:3]), escape(each.root), escape(each.point), each.options, *each.tags),
                *("-", each.type, each.source, "rw\n"),
            ]
        )
        for each in mounts
    )

    assert mountinfo.parse(text) == mounts


@given(st.text())
def test_garbage(text: str) -> None:
    """What is no mountinfo is refused with the offending line, and with nothing else."""
    assume(any(text.split("\n")))

    with pytest.raises(ValueError, match=r"^not a line of mountinfo: "):
        mountinfo.parse(text)


def test_this_machines_own() -> None:
    """This process's own table is read, and has one root at the bottom."""
    mounts = mountinfo.parse(Path("/proc/self/mountinfo").read_text())
    ids = {each.id for each in mounts}

    assert len({each.parent for each in mounts if each.parent not in ids}) == 1


def test_top_of_a_stack() -> None:
    """Of mounts at one place the one that a lookup reaches is the one that has no other on it."""
    stack = [mount(3, 2, "/x"), mount(1, 0), mount(2, 1, "/x"), mount(9, 3, "/x/y")]

    assert mountinfo.at(stack, "/x") == mount(3, 2, "/x")
    assert mountinfo.at(stack, "/none") is None


@given(st.lists(st.integers(0, 20), max_size=20))
def test_deepest_first(parents: list[int]) -> None:
    """Each mount comes once, and, as far as there is no cycle, before its parent."""
    mounts = [mount(number + 1, min(parent, number)) for number, parent in enumerate(parents)]
    order = [each.id for each in mountinfo.deepest_first(mounts)]

    assert sorted(order) == sorted(each.id for each in mounts)
    for each in mounts:
        assert each.parent not in order or order.index(each.id) < order.index(each.parent)


def test_deepest_first_ends_on_a_cycle() -> None:
    """A table that contradicts itself still ends."""
    assert len(list(mountinfo.deepest_first([mount(1, 2), mount(2, 1), mount(3, 3)]))) == 3


def test_in_words() -> None:
    """A mount in a message names its type, source, place, propagation and numbers."""
    (read,) = mountinfo.parse(LINE.format(tags="shared:1 "))

    assert str(read) == "ext3 /dev/root on /mnt2 (shared, id 36 on 35)"
