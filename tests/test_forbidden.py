"""Where a stage is forbidden, is it said what forbids it?"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from arranged import arranged, by_python
from sessions import PASSES, Project

from harness.hosts import obstacles

pytest_plugins = ["stand_ins"]


def chroot(project: Project) -> list[str]:
    """The prefix for a root directory that is no mount point, as in a chroot."""
    keep = " ".join(path.name for path in Path("/").iterdir() if path.is_dir() and path.name != "mnt")
    new = "/mnt/root"
    return arranged(
        f"mount -t tmpfs tmpfs /mnt && mkdir {new} && cd / && for d in {keep}; do mkdir {new}/$d; "
        f"mount --rbind /$d {new}/$d; done\n"
        f'set -- chroot {new} sh -c \'cd "$0" && exec "$@"\' {project.folder} "$@"'
    )


KINDS = ("mnt", "pid", "uts", "ipc", "net")

SECCOMP = """
import ctypes, struct
# Load the call's number or its first argument; go on if equal; go on if a bit is set; answer.
NUMBER, FLAGS = (0x20, 0, 0, 0), (0x20, 0, 0, 16)
def equal(number, skip): return (0x15, 0, skip, number)
def has(bits, skip): return (0x45, 0, skip, bits)
def refuse(error): return (0x06, 0, 0, 0x50000 | error)
CLONE, UNSHARE, CLONE3 = (56, 272, 435) if os.uname().machine == "x86_64" else (220, 97, 435)
ALLOW, EPERM, ENOSYS = (0x06, 0, 0, 0x7FFF0000), 1, 38
steps = [NUMBER, {steps}, ALLOW]
program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
filter = Program(len(steps), ctypes.addressof(program))
assert libc.prctl(22, 2, ctypes.byref(filter)) == 0
"""


NO_UNSHARE = by_python(SECCOMP.replace("{steps}", "equal(UNSHARE, 1), refuse(EPERM)"))

# As container runtimes have it: a program shall fall back from clone3(2), whose flags no filter can see.
NO_CLONE = by_python(
    SECCOMP.replace(
        "{steps}",
        "equal(CLONE3, 1), refuse(ENOSYS), equal(CLONE, 3), FLAGS, has(0x7E020000, 1), refuse(EPERM)",
    )
)

# Whoever makes a user namespace may set limits in it, as long as it executes nothing: nobody maps it to root.
NO_MORE_USERS = """
import ctypes
assert ctypes.CDLL(None).unshare(0x10000000) == 0
open("/proc/sys/user/max_user_namespaces", "w").write("0")
"""


def refusals(project: Project) -> dict[str, tuple[list[str], str]]:
    """What forbids a stage to the prefix that arranges it and what the refusal names."""
    user = ["unshare", "--user", "--map-root-user", "sh", "-ec"]
    limits = {
        kind: (
            [*user, f'echo 0 >/proc/sys/user/max_{kind}_namespaces; exec "$@"', "sh"],
            f"user.max_{kind}_namespaces is 0",
        )
        for kind in KINDS
    }
    return {
        **limits,
        "user": (by_python(NO_MORE_USERS), "user.max_user_namespaces is 0"),
        "seccomp": (NO_UNSHARE, "a container's filter|a container, chroot or security module"),
        "chroot": (chroot(project), "the stage cannot be made: unshare: .*a container"),
        "no CAP_SYS_ADMIN": (
            ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"],
            "root here lacks CAP_SYS_ADMIN",
        ),
    }


def test_proc_of_another_pid_namespace(project: Project) -> None:
    """Where /proc shows other processes than this PID namespace's, one line says what to mount."""
    project.experiment(PASSES)
    ended = project.run(prefix=arranged(":", new=["--pid", "--fork", "--kill-child"]))

    assert ended.status == 4, ended.output
    (line,) = [line for line in ended.lines if line.startswith("ERROR: ")]
    assert line.endswith("mount this one's: mount -t proc proc /proc")


@pytest.mark.parametrize("name", [*KINDS, "user", "seccomp", "chroot", "no CAP_SYS_ADMIN"])
def test_stage_that_is_forbidden(project: Project, name: str) -> None:
    """Where namespaces are forbidden, one line says what forbids them, and nothing has run."""
    if name == "no CAP_SYS_ADMIN" and os.geteuid() != 0:
        pytest.skip("an ordinary user has no capability to lose: run the tests as root")
    project.experiment(PASSES)
    prefix, sentence = refusals(project)[name]
    ended = project.run(prefix=prefix)

    assert ended.status == 4, ended.output
    assert "Traceback" not in ended.output
    (line,) = [line for line in ended.lines if line.startswith("ERROR: the stage cannot be made: ")]
    assert re.search(sentence, line)


@pytest.mark.parametrize(
    ("chosen", "stopped"), [("python", "python"), ("unshare,python", "python"), ("unshare", "")]
)
def test_clone_that_a_filter_refuses(project: Project, chosen: str, stopped: str) -> None:
    """Where a filter refuses clone(2) namespaces, one line names the isolators that need it; others work."""
    project.experiment(PASSES)
    ended = project.run(f"--isolator={chosen}", prefix=NO_CLONE)

    if not stopped:
        assert ended.status == 0, ended.output
        return
    assert ended.status == 4, ended.output
    assert "Traceback" not in ended.output
    (line,) = [line for line in ended.lines if line.startswith("ERROR: ")]
    assert line.startswith(
        f"ERROR: --isolator={stopped}: a filter answers clone(2) for a new mount namespace"
    )
    assert line.endswith("or choose --isolator=unshare")


@pytest.mark.parametrize("obstacle", obstacles.OBSTACLES, ids=lambda obstacle: obstacle.sysctl)
@pytest.mark.parametrize("uid", [0, 1000])
def test_obstacle_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, obstacle: obstacles.Obstacle, uid: int
) -> None:
    """The setting that forbids a stage is named with the command that allows it, to whom it forbids."""
    monkeypatch.setattr(obstacles, "_SYSCTLS", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    obstacle.path.parent.mkdir()
    for other in obstacles.OBSTACLES:
        other.path.parent.mkdir(exist_ok=True)
        other.path.write_text("1\n" if other.forbids == "0" else "0\n")
    assert "sysctl" not in obstacles.find_obstacle()

    obstacle.path.write_text(obstacle.forbids + "\n")

    if uid == 0 and not obstacle.root_too:
        assert "sysctl" not in obstacles.find_obstacle()
    else:
        assert f"{obstacle.sysctl} is {obstacle.forbids}" in obstacles.find_obstacle()
        assert f"'sysctl {obstacle.sysctl}=" in obstacles.find_obstacle()
