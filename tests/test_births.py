"""Processes that are born in copies of a mount namespace, by each way: where they are, what refuses them."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
import json, os
from harness.search import births

def links(process):
    return [os.readlink(f"{process}/ns/{kind}", dir_fd=births.PROC) for kind in ("user", "mnt")]

def shown(way, *arguments):
    try:
        with way(*arguments) as process:
            return links(process)
    except OSError as error:
        return error.errno

with births.born(None, True) as process:
    owner = os.open(process + "/ns/user", os.O_RDONLY, dir_fd=births.PROC)
    below = links(process)
copies, forked = [], births._forked

def counted(owner, new):
    copies.append(new)
    return forked(owner, new)

births._forked = counted
ways = births._inside, forked
seen = {
    "own": links("self"),
    "below": below,
    "inside": [shown(way, owner, False) for way in ways],
    "refused": [shown(way, births.PROC, new) for way in ways for new in (False, True)],
    "further below": [shown(way, owner, True) for way in ways],
    "copies": copies,
    "descriptors": len(os.listdir("/proc/self/fd")),
}
try:
    os.wait()
except ChildProcessError as error:
    seen["children"] = error.errno
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    """What the program sees, in a user namespace of its own."""
    apart = ["unshare", "--user", "--map-root-user", "--mount"]
    done = subprocess.run(
        [*apart, sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_either_way_leads_into_a_user_namespace_and_out_of_a_mount_namespace(
    seen: dict[str, Any],
) -> None:
    """A process that shares the memory, and a copy of the interpreter, are where they should be."""
    assert seen["below"][0] != seen["own"][0]
    for user, mount in seen["inside"]:
        assert user == seen["below"][0]
        assert mount != seen["own"][1]


def test_what_refuses_one_way_is_told_as_by_the_other(seen: dict[str, Any]) -> None:
    """A descriptor that is no namespace's gives EINVAL, though no error comes from who shares the memory."""
    assert seen["refused"] == [errno.EINVAL] * 4


def test_a_user_namespace_can_be_made_below_another(seen: dict[str, Any]) -> None:
    """Its user namespace is a third one, by either way, and its mount namespace another one."""
    for user, mount in seen["further below"]:
        assert user not in {seen["own"][0], seen["below"][0]}
        assert mount != seen["own"][1]


def test_the_interpreter_is_copied_only_to_tell_what_failed(seen: dict[str, Any]) -> None:
    """Of what went well by the way that copies nothing, nothing was done again by the other."""
    assert seen["copies"] == [False, True]


def test_nothing_is_left(seen: dict[str, Any]) -> None:
    """No process, and of descriptors only the streams, /proc's, the owner's and the listing's own."""
    assert (seen["children"], seen["descriptors"]) == (errno.ECHILD, 6)
