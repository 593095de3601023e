"""System calls of a start: made comparable, harmless ones left out, and a fault of the port shows in them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from broken_port import BrokenPort

from harness.described import Described
from harness.equivalence import harmless
from harness.equivalence.strace import REMEDY, Calls, canonical, differences, traced
from harness.hosts.stage import Stage
from harness.isolators.port import Port
from harness.notebook import Notebook

TRACE = """status 0
child 77
child: 1.5 close(12<pipe:[31]>)           = 0
child: 1.6 getppid()               = 70
child: 1.6 rt_sigaction(SIGHUP, {sa_handler=SIG_DFL, sa_mask=~[], sa_flags=SA_RESTART, sa_restorer=0x48aa20}, NULL, 8) = 0
child: 1.7 openat(AT_FDCWD</tmp>, "/proc/self/uid_map", O_WRONLY) = 12</proc/77/uid_map>
child: 1.8 dup3(5</dev/null>, 0</tmp/a>, 0) = 0</dev/null>
child: 1.8 dup3(1</dev/null>, 9<anon_inode:[eventpoll]>, O_CLOEXEC) = 9</dev/null>
child: 1.8 close(3<anon_inode:[eventpoll]>) = 0
child: 1.9 execve("/bin/true", ["true"], 0x560309355588 /* 35 vars */) = 0
parent: 1.4 clone(child_stack=NULL, flags=CLONE_VM|CLONE_PIDFD|CLONE_VFORK|SIGCHLD, parent_tid=[13<anon_inode:[pidfd]>]) = 77
parent: 2.0 waitid(P_PIDFD, 13<anon_inode:[pidfd]>, 0x1, WEXITED, NULL) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)
parent: 2.1 wait4(77, [{WIFEXITED(s) && WEXITSTATUS(s) == 3}], 0, NULL) = 77
"""  # noqa: E501


def test_calls_are_named_by_what_they_mean() -> None:
    """PIDs, addresses, the default disposition's flags and descriptors of the isolator's own go by a name."""
    assert list(canonical(TRACE, "child", "77", [0, 1, 2, -1])) == [
        "close(<pipe:[31]>) = 0",
        "getppid() = isolator",
        "rt_sigaction(SIGHUP, SIG_DFL, NULL, 8) = 0",
        'openat(AT_FDCWD</tmp>, "/proc/self/uid_map", O_WRONLY) = </proc/child/uid_map>',
        "dup3(</dev/null>, 0, 0) = 0</dev/null>",
        "dup3(1</dev/null>, free, O_CLOEXEC) = </dev/null>",
        "close(3)",
        'execve("/bin/true", ["true"], ENVIRONMENT) = 0',
    ]


@pytest.mark.parametrize(
    "call",
    [
        "wait4({}, 0x1, 0, NULL) = {}",
        "clone3({{flags=CLONE_VM, exit_signal=SIGCHLD}}, 88) = {}",
        "kill({}, SIGTERM) = 0",
        "tgkill({}, {}, SIGTERM) = 0",
        "waitid(P_PID, {}, NULL, 88) = 0",
        "pidfd_open({}, 88) = 88",
        "set_tid_address(0x1) = {}",
        "setpgid({}, 0) = 0",
        "ioctl(0</dev/pts/1>, TIOCSPGRP, [{}]) = 0",
        "write(9</proc/{}/uid_map>, 88) = 88",
        "read(9<pipe:[88]>, 8) = 88",
        "waitid(P_PID, 9, {{si_pid={}, si_status=88}}, 88) = 0",
    ],
)
def test_child_is_named_where_a_pid_stands_alone(call: str) -> None:
    """A child whose PID is also a size, a status or a pipe's number is named once for each PID."""
    (found,) = canonical(f"child: 1.0 {call.format(88, 88)}", "child", "88", [])

    (plain,) = canonical(f"child: 1.0 {call.format('child', 'child')}", "child", "77", [])
    assert found == plain


@pytest.mark.parametrize(
    "told", ["ERESTARTSYS (To be restarted if SA_RESTART is set)", "ERESTARTNOINTR (To be restarted)"]
)
def test_interrupted_call_is_told_once(told: str) -> None:
    """What the kernel begins anew after a signal is one call."""
    traced_twice = f"parent: 1.0 wait4(77, 0x1, 0, NULL) = ? {told}\nparent: 1.1 wait4(77, 0x1, 0, NULL) = 77"

    assert list(canonical(traced_twice, "parent", "77", [])) == ["wait4(child, 0x1, 0, NULL) = child"]


def test_pipes_differ_by_their_order_alone() -> None:
    """Two sequences with other pipes are equal; those with the pipes exchanged are not."""
    assert not differences(
        ["<pipe:[1]>", "<pipe:[2]>", "<pipe:[1]>"], ["<pipe:[8]>", "<pipe:[3]>", "<pipe:[8]>"]
    )
    assert differences(["<pipe:[1]>", "<pipe:[2]>"], ["<pipe:[1]>", "<pipe:[1]>"]) == [
        "call 2:\n    <pipe 2>\n    <pipe 1>"
    ]


@pytest.mark.parametrize(
    ("version", "fields", "pidfd"),
    [("go1.27.3", (), False), ("go1.21.13", (), True), ("go1.27.3", ("PidFD",), True), ("", (), True)],
)
def test_only_what_a_version_does_is_left_out(version: str, fields: tuple[str, ...], pidfd: bool) -> None:
    """A pidfd that nobody asked for is Go's own from 1.23 on, and no other's."""
    ignored = harmless.Ignored(version, harmless.read())

    left = ignored(canonical(TRACE, "parent", "77", [0, 1, 2]), fields)

    assert ("CLONE_PIDFD" in left[0]) == pidfd
    assert left[1:] == ["wait4(child): EXITED(s) && WEXITSTATUS(s) == 3"]


@pytest.mark.parametrize(
    "result",
    [
        ") = 0",
        ") = ?",
        ") = -1 (errno 18446744073709551385)",
        " <detached ...>",
        " <unfinished ...>",
        " <unfinished ...>) = ?",
    ],
)
def test_preemption_is_left_out_whatever_became_of_it(result: str) -> None:
    """Go's monitor may interrupt a thread while the process ends: strace then has no result to show."""
    ignored = harmless.Ignored("go1.27.3", harmless.read())

    others = [
        "tgkill(894, 894, SIGTERM) = 0",
        "tgkill(894, 894, SIGTERM <detached ...>",
        "tgkill(894, 894, SIGURG) = -1 ESRCH (No such process)",
    ]
    assert ignored([f"tgkill(894, 894, SIGURG{result}", *others], ()) == others


def test_every_entry_names_its_reason_and_source() -> None:
    """No call is left out without a reason and a place to read of it."""
    for entry in harmless.read():
        assert entry.why.endswith(".")
        assert entry.source


DESCRIPTION = {
    "Path": "/bin/true",
    "Dir": "/",
    "SysProcAttr": {"Chroot": "/", "Credential": {"Uid": 0, "Gid": 0, "NoSetGroups": True}},
}

SWAPPED = """
def plan(program, attributes, pipes, parent, made=plan):
    planned = made(program, attributes, pipes, parent)
    names = [step.name for step in planned.steps]
    one, other = names.index({!r}), names.index({!r})
    planned.steps[one], planned.steps[other] = planned.steps[other], planned.steps[one]
    return planned
"""

ONE_MORE = """
def change_root(wanted, made=change_root):
    yield from made(wanted)
    yield Step("getpid")
"""

FAULTS = {
    "setgid and setuid swapped": (SWAPPED.format("setgid", "setuid"), "setgid(0)", "setuid(0)"),
    "chroot and chdir swapped": (SWAPPED.format("chroot", "chdir"), 'chroot("/")', 'chdir("/")'),
    "a call more": (ONE_MORE, "setgid(0)", "getpid() = child"),
}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """One host for all."""
    if not shutil.which("strace"):
        pytest.skip(f"this machine has no strace: {REMEDY}")
    with Stage(Notebook()) as made:
        yield made


@pytest.fixture(scope="module")
def right(stage: Stage) -> Calls:
    """The calls of the port as it is."""
    return traced(stage, Described(stage, Port()).program, DESCRIPTION)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_shows_where_the_world_is_the_same(stage: Stage, right: Calls, fault: str) -> None:
    """Swapped calls and one more, which the started program does not notice, are seen by the sequence."""
    code, expected, seen = FAULTS[fault]
    broken = BrokenPort("steps", code)
    broken.name = f"broken-{[*FAULTS].index(fault)}"

    wrong = traced(stage, Described(stage, broken).program, DESCRIPTION)

    (difference,) = differences(right.child, wrong.child)
    _, above, below = difference.splitlines()
    assert above.strip().startswith(expected)
    assert below.strip().startswith(seen)


def test_the_port_makes_the_same_calls_twice(stage: Stage, right: Calls) -> None:
    """Control: without a fault nothing differs."""
    again = traced(stage, Described(stage, Port()).program, DESCRIPTION)

    assert not differences(right.child, again.child)
    assert not differences(right.parent, again.parent)
