"""What does an IPC namespace isolate?

Rule (ipc_namespaces(7)): System V IPC objects and POSIX message queues are visible to all processes of the
namespace in which they were made, and to no others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.hosts.base import LabHost
from harness.isolate import Isolate
from harness.shell import Shell

VISIBLE = {"uts": True, "ipc": False}
"""Whether a shell of this program sees the host's objects: `uts` makes no IPC namespace, `ipc` does."""

LISTING = {"--queue": "--queues", "--shmem": "--shmems", "--semaphore": "--semaphores"}
"""What ipcmk(1) makes to what ipcs(1) lists."""


def listed(side: LabHost | Shell, what: str, sizes: Iterable[int | None] = ()) -> dict[str, list[str]]:
    """What a side's ``ipcs`` lists after objects of such sizes were made there.

    It is listed by key: keys are random, so equal keys are one object.
    """
    commands = [*(f"ipcmk {what} {size or ''}" for size in sizes), f"ipcs {LISTING[what]}"]
    return rows(side.check_output("; ".join(commands)))


def rows(table: str) -> dict[str, list[str]]:
    """The rows of a table that ipcs(1) printed, by key."""
    return {row[0]: row for row in map(str.split, table.splitlines()) if row and row[0].startswith("0x")}


def make(side: LabHost | Shell, what: str, size: int | None = None) -> str:
    """Make an object on a side and tell its key."""
    listing = f"ipcs {LISTING[what]}"
    # One command, for on a guest without KVM each costs as much as a program that it starts.
    told = side.check_output(f"{listing} && ipcmk {what} {size or ''} && {listing}")
    before, announced, after = re.split(r"^.* id: (\d+)$", told, flags=re.MULTILINE)
    (key,) = rows(after).keys() - rows(before).keys()
    assert rows(after)[key][1] == announced, f"ipcmk names another id: {announced}"
    return key


@pytest.mark.claim(id="ipc-1")
def test_new_queue_is_listed_on_the_host(host: LabHost) -> None:
    """A message queue made on the host is one more row: its id, owner root, permissions 644, empty."""
    before = listed(host, "--queue")
    announced = re.fullmatch(r"Message queue id: (\d+)", host.check_output("ipcmk -Q"))
    after = listed(host, "--queue")

    (key,) = after.keys() - before.keys()
    assert announced
    assert after[key] == [key, announced[1], "root", "644", "0", "0"]


@pytest.mark.parametrize(
    "program",
    [
        pytest.param("uts", marks=pytest.mark.claim(id="ipc-2")),
        pytest.param("ipc", marks=pytest.mark.claim(id="ipc-3")),
    ],
)
def test_hosts_queue_is_seen_only_without_an_ipc_namespace(
    host: LabHost, isolate: Isolate, program: str
) -> None:
    """The host's message queue is listed inside `uts`, as the very same row, and not inside `ipc`."""
    key = make(host, "--queue")
    seen = listed(isolate(program), "--queue")

    assert (key in seen) == VISIBLE[program]
    if VISIBLE[program]:
        assert seen[key] == listed(host, "--queue")[key]
    else:
        assert not seen, "a new namespace is empty"


@pytest.mark.claim(id="ipc-4")
@pytest.mark.parametrize("program", VISIBLE)
@pytest.mark.parametrize("what", ["--shmem", "--semaphore"])
def test_shared_memory_and_semaphores_are_isolated_alike(
    host: LabHost, isolate: Isolate, what: str, program: str
) -> None:
    """Shared memory and semaphores cross as queues do: both ways inside `uts`, neither way inside `ipc`."""
    inside = isolate(program)
    outer, inner = make(host, what, 3), make(inside, what, 3)

    assert (outer in listed(inside, what)) == VISIBLE[program]
    assert (inner in listed(host, what)) == VISIBLE[program]


@pytest.mark.claim(id="ipc-5")
@pytest.mark.parametrize("program", VISIBLE)
def test_posix_queues_are_isolated_alike(host: LabHost, isolate: Isolate, program: str) -> None:
    """POSIX message queues cross as System V's do: both ways inside `uts`, neither way inside `ipc`."""
    inside = isolate(program)
    outer, inner = f"{host.scratch}/outer", f"{host.scratch}/inner"
    for side, folder in ((host, outer), (inside, inner)):
        # The file system shows the queues of the namespace in which it was mounted (mq_overview(7)).
        side.check_output("mkdir %s && mount -t mqueue mqueue %s", folder, folder)
    host.check_output("touch %s", f"{outer}/nslab-made-outside")
    inside.check_output("touch %s", f"{inner}/nslab-made-inside")

    assert ("nslab-made-outside" in inside.check_output("ls %s", inner)) == VISIBLE[program]
    assert ("nslab-made-inside" in host.check_output("ls %s", outer)) == VISIBLE[program]
    host.check_output("rm %s", f"{outer}/nslab-made-outside")
    inside.check_output("rm %s", f"{inner}/nslab-made-inside")


SIZES = {"--queue": st.none(), "--shmem": st.integers(1, 1 << 20), "--semaphore": st.integers(1, 250)}
"""What ipcmk(1) makes, and of which sizes."""


@pytest.mark.parametrize(
    "what",
    [
        pytest.param("--queue", marks=pytest.mark.claim(id="ipc-3")),
        pytest.param("--shmem", marks=pytest.mark.claim(id="ipc-4")),
        pytest.param("--semaphore", marks=pytest.mark.claim(id="ipc-4")),
    ],
)
def test_each_side_sees_its_own_objects(host: LabHost, isolate: Isolate, what: str) -> None:
    """However many objects of whatever size both sides make, each side lists exactly its own."""
    inside = isolate("ipc")
    own: dict[LabHost | Shell, set[str]] = {side: {*listed(side, what)} for side in (host, inside)}
    sizes = st.lists(SIZES[what], min_size=1, max_size=4)

    # More objects at once instead: what is made and listed by one command costs a fraction.
    @settings(max_examples=settings().max_examples // 3)
    @given(sizes, sizes)
    def search(outer: list[int | None], inner: list[int | None]) -> None:
        for side, chosen in ((host, outer), (inside, inner)):
            new = listed(side, what, chosen).keys() - own[side]
            own[side] |= new

            assert len(new) == len(chosen), (
                "a side lists what was made there, and not what was made elsewhere"
            )
        assert listed(host, what).keys() == own[host]

    search()
