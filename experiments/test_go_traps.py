"""What does a ``SysProcAttr`` do that its documentation does not say?

Rule (Go's syscall/exec_linux.go, forkAndExecInChild1, and the manual pages named with each claim): the fields
come down to clone(2) and unshare(2), whose meanings differ where their flags have the same name. The port
must have the same traps.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.described import Described
from harness.equivalence import versions
from harness.hosts.base import LabHost
from harness.notebook import Notebook

NEWTIME, NEWNS, NEWUSER, NEWPID = 0x80, 0x20000, 0x10000000, 0x20000000

OWN_ID = [{"ContainerID": 0, "HostID": 0, "Size": 1}]

# clone(2) as Go before its clone3: the flag lies where the signal to the parent is named. SYS_clone is 56 on
# x86-64 and 220 on the machines that have the generic table.
BY_CLONE = """
import ctypes, os
number = 56 if os.uname().machine == "x86_64" else 220
pid = ctypes.CDLL(None, use_errno=True).syscall(*map(ctypes.c_long, (number, 0x80 | 17, 0, 0, 0, 0)))
if pid == 0:
    os.write(1, os.readlink("/proc/self/ns/time").encode())
    os._exit(0)
if pid < 0:
    print(os.strerror(ctypes.get_errno()))
else:
    os.waitpid(pid, 0x40000000)  # __WALL: the signal is not SIGCHLD
"""


@pytest.fixture
def trap(notebook: Notebook, described: Described) -> Callable[[str, str, str], None]:
    """Writes down what was seen of a trap, and where to read of it."""

    def seen(what: str, seen: str, source: str) -> None:
        columns = ("isolator", "what", "seen", "source")
        notebook.table("traps", columns, [(described.isolator.name, what, seen, source)])

    return seen


def test_only_unshareflags_make_the_mounts_private(
    host: LabHost, described: Described, trap: Callable[[str, str, str], None]
) -> None:
    """CLONE_NEWNS in Cloneflags leaves `/` shared, and a mount gets out; in Unshareflags `/` is made private.

    Source: forkAndExecInChild1 mounts `/` with MS_REC|MS_PRIVATE after unshare alone (issue 19661);
    mount_namespaces(7), SHARED SUBTREES: a copy of a shared mount is its peer.
    """
    show = "findmnt --noheadings --output PROPAGATION /"
    assert host.check_output(show) == "shared", "control: the host's own is shared"

    for field, propagation in (("Cloneflags", "shared"), ("Unshareflags", "private")):
        point = f"{host.scratch}/{field}"
        host.check_output("mkdir %s", point)
        seen = described.check_output(f"mount -t tmpfs {field} {point} && {show}", **{field: NEWNS})
        came_out = host.run("mountpoint -q %s", point).rc == 0
        trap(f"{field}: CLONE_NEWNS", f"/ is {seen}, mount came out: {came_out}", "golang/go#19661")

        assert seen == propagation
        assert came_out == (propagation == "shared")


def test_unshared_pid_namespace_is_the_childrens(
    described: Described, trap: Callable[[str, str, str], None]
) -> None:
    """CLONE_NEWPID in Unshareflags leaves the program where it was: its first child is PID 1, and the last.

    Source: forkAndExecInChild1 calls unshare in the child that then executes the program; pid_namespaces(7):
    unshare(2) changes no process's own PID namespace, and where PID 1 has ended, fork(2) fails with ENOMEM.
    """
    own = "[ /proc/$$/ns/pid -ef /proc/$PPID/ns/pid ] && echo old || echo new"
    script = f"echo $$; {own}; sh -c 'echo $$; :'; sh -c 'echo $$; :'; echo end"

    cloned = described.run(script, Cloneflags=NEWPID)
    assert cloned.stdout.split() == ["1", "new", "2", "3", "end"], "control: by Cloneflags it is PID 1 itself"

    unshared = described.run(script, Unshareflags=NEWPID)
    pid, namespace, *children = unshared.stdout.split()
    seen = f"program in the {namespace} namespace, children {children}, then {unshared.stderr.strip()!r}"
    trap("Unshareflags: CLONE_NEWPID", seen, "pid_namespaces(7)")
    assert pid != "1"
    assert namespace == "old"
    assert children == ["1"], "where PID 1 has ended there can be no further child"
    assert unshared.rc != 0
    assert "fork" in unshared.stderr.lower()


@pytest.mark.parametrize("field", ["Cloneflags", "Unshareflags"])
def test_without_maps_a_program_is_nobody(
    host: LabHost, described: Described, field: str, trap: Callable[[str, str, str], None]
) -> None:
    """CLONE_NEWUSER without maps gives the overflow ids and no capability; with a map of root, root's.

    Source: writeUidGidMappings writes what is given and no more; user_namespaces(7): unmapped ids show as
    those of /proc/sys/kernel/overflowuid, 65534, and execve(2) of another user than 0 clears capabilities.
    """
    script = "id -u; id -g; grep -E '^Cap(Prm|Eff)' /proc/self/status"
    overflow = host.check_output("cat /proc/sys/kernel/overflowuid /proc/sys/kernel/overflowgid").split()

    nobody = described.check_output(script, **{field: NEWUSER}).split()
    trap(f"{field}: CLONE_NEWUSER without maps", " ".join(nobody), "user_namespaces(7)")
    assert nobody[:2] == overflow
    assert [int(nobody[at], 16) for at in (3, 5)] == [0, 0]

    maps = {"UidMappings": OWN_ID, "GidMappings": OWN_ID}
    root = described.check_output(script, **{field: NEWUSER}, **maps).split()
    assert root[:2] == ["0", "0"], "control: with maps it is root"
    assert int(root[3], 16) != 0
    assert int(root[5], 16) != 0


def test_time_namespaces_need_clone3(
    host: LabHost, described: Described, trap: Callable[[str, str, str], None]
) -> None:
    """CLONE_NEWTIME makes a time namespace by clone3(2); by clone(2), as Go up to 1.19 calls it, never.

    Source: clone(2), The flags mask: the flag lies in the bits of the exit signal (CSIGNAL), where
    go1.17 and go1.19.8 pass it (issue 49779). forkAndExecInChild1 of 1.21.13 and later calls clone3 for it.
    """
    show = "readlink /proc/self/ns/time"
    if host.run(show).rc != 0:
        pytest.skip("the host has no time namespaces: take a kernel from 5.6 on")
    own = host.check_output(show)

    made = described.run(show, Cloneflags=NEWTIME).stdout.strip()
    by_clone = host.check_output("%s -ISc %s", host.python, BY_CLONE)
    told = "ignored" if by_clone == own else by_clone
    seen = {own: "ignored", "": "refused"}.get(made, "new")
    trap("Cloneflags: CLONE_NEWTIME", seen, "golang/go#49779")
    trap("the same by clone(2)", told, "clone(2), The flags mask")

    if versions.number(described.isolator.version()) < versions.CLONE3:
        assert seen == ("ignored" if told == "ignored" else "refused")
    else:
        assert made.startswith("time:[")
        assert made != own
    assert described.check_output(show) == own, "control: without the flag it is the host's"
    assert told in ("ignored", "Invalid argument")


def test_group_map_takes_setgroups_away(
    host: LabHost, described: Described, trap: Callable[[str, str, str], None]
) -> None:
    """GidMappings deny setgroups(2) unless GidMappingsEnableSetgroups is set: then Credential's Groups fail.

    Source: writeSetgroups writes "deny" before the map, and forkAndExecInChild1 leaves setgroups out only
    where there are no groups to set (issue 10626); user_namespaces(7), The /proc/pid/setgroups file.
    """
    show = "cat /proc/self/setgroups"
    maps = {"Cloneflags": NEWUSER, "UidMappings": OWN_ID, "GidMappings": OWN_ID}
    groups = {"Credential": {"Uid": 0, "Gid": 0, "Groups": [0]}}

    denied = described.check_output(show, **maps)
    refused = described.run("id -G", **maps, **groups)
    trap(
        "GidMappings",
        f"setgroups: {denied}; Groups: {refused.stderr.split(': ')[-1].strip()}",
        "golang/go#10626",
    )
    assert denied == "deny"
    assert refused.rc == 1
    assert refused.stderr.rstrip().endswith("fork/exec /bin/sh: operation not permitted")
    assert described.run("id -G", **maps, Credential={"Uid": 0, "Gid": 0}).rc == 0, "without groups it starts"

    allowing = {**maps, "GidMappingsEnableSetgroups": True}
    if host.check_output(show) == "deny":
        assert described.run(show, **allowing).rc == 1, "control: what is denied outside stays denied"
    else:
        assert described.check_output(show, **allowing) == "allow", "control: it is the map that denies"
        assert described.check_output("id -G", **allowing, **groups) == "0"
