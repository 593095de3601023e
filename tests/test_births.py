"""Copies of a mount namespace for other user namespaces, by each way: whose they are, what refuses them."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
import fcntl, json, os, sys
from harness.search import births

way = getattr(births, sys.argv[1])
hole = os.open("/", os.O_RDONLY)
mine = births.held(os.open("/proc/self", os.O_RDONLY), new=True)

def inodes(files):
    return [os.fstat(file).st_ino for file in files]

def parent(user):
    return inodes([fcntl.ioctl(user, births.GET_PARENT)])[0]

def belongs(copy):
    return inodes([fcntl.ioctl(copy[0], births.GET_USERNS)])[0]

def listed():
    file = os.open("self/fd", os.O_RDONLY, dir_fd=births.PROC)
    names = sorted(os.listdir(file))
    os.close(file)
    return names

def lines(table):
    return len(os.pread(table, 1 << 20, 0).splitlines())

def refused(*arguments):
    before = listed()
    try:
        way(*arguments)
    except OSError as error:
        return [error.errno, listed() == before]

def shown(owner, new):
    copy = way(mine[0], owner, new)
    mount, root, _ = inodes(copy[:3])
    user = {"user": inodes(copy[3:])[0], "parent": parent(copy[3])} if new else {}
    return copy, {"mount": mount, "root": root, "lines": lines(copy[2]), "belongs": belongs(copy), **user}

below, first = shown(None, True)
owner = below[3]
os.close(hole)
_, same = shown(owner, False)
deeper, second = shown(owner, True)
_, third = shown(owner, True)
_, fourth = shown(deeper[3], True)
own = inodes(mine)
seen = {
    "own": {"mount": own[0], "root": own[1], "lines": lines(mine[2]), "user": own[3]},
    "below": first,
    "same": same,
    "deeper": [second, third],
    "deepest": fourth,
    "no namespace": refused(mine[0], births.PROC, False),
}
os.chroot("/proc")
seen["in a root of its own"] = refused(mine[0], None, True)
try:
    os.wait()
except ChildProcessError as error:
    seen["children"] = error.errno
print(json.dumps(seen))
"""


@pytest.fixture(scope="module", params=["_chained", "_forked"])
def seen(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the program sees, in a user namespace of its own, by one of the ways."""
    apart = ["unshare", "--user", "--map-root-user", "--mount"]
    done = subprocess.run(
        [*apart, sys.executable, "-c", PROGRAM, request.param],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_a_copy_belongs_to_a_new_user_namespace(seen: dict[str, Any]) -> None:
    """It is another mount namespace with the same mounts, owned by a user namespace below this one's."""
    own, below = seen["own"], seen["below"]
    assert below["mount"] != own["mount"]
    assert (below["root"], below["lines"]) == (own["root"], own["lines"])
    assert below["belongs"] == below["user"] != own["user"]
    assert below["parent"] == own["user"]


def test_a_copy_belongs_to_a_given_user_namespace(seen: dict[str, Any]) -> None:
    """It is a third mount namespace, of the owner that was given."""
    assert seen["same"]["belongs"] == seen["below"]["user"]
    assert seen["same"]["mount"] not in {seen["own"]["mount"], seen["below"]["mount"]}


def test_a_user_namespace_is_made_below_another(seen: dict[str, Any]) -> None:
    """As often as one likes, and below that again."""
    one, other = seen["deeper"]
    assert one["user"] != other["user"]
    assert {one["parent"], other["parent"]} == {seen["below"]["user"]}
    assert seen["deepest"]["parent"] == one["user"]
    assert all(it["belongs"] == it["user"] for it in (one, other, seen["deepest"]))


def test_what_the_kernel_refuses_is_told(seen: dict[str, Any]) -> None:
    """What is no namespace gives EINVAL, a root directory of its own EPERM, and no descriptor stays open."""
    assert seen["no namespace"] == [errno.EINVAL, True]
    assert seen["in a root of its own"] == [errno.EPERM, True]


def test_no_process_is_left(seen: dict[str, Any]) -> None:
    """Each child has been waited for."""
    assert seen["children"] == errno.ECHILD
