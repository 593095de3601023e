"""What does a PID namespace isolate?

Rule (pid_namespaces(7)): the first process in a new PID namespace has PID 1 there and another PID in each
namespace above; a process is seen under the number that it has in the namespace of who looks.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.evidence import Value
from harness.hosts.base import LabHost
from harness.isolate import Isolate
from harness.shell import Shell

WITH_RUNTIME_THREADS = {"go"}
"""Isolators whose own process has more than one thread."""


def program_and_shell(host: LabHost, name: str) -> tuple[str, str]:
    """The PIDs of an isolating program and of the shell that is its child, from the host's process tree."""
    # The tree's root is 0: on a stage, what was entered from outside is no descendant of PID 1.
    tree = host.check_output("pstree -pl 0")
    found = re.findall(rf"\b{re.escape(name)}\((\d+)\)-[-+]-sh\((\d+)\)", tree)
    assert len(found) == 1, f"expected one {name} with a shell as its child, seen {found} in:\n{tree}"
    program, shell = found[0]
    return program, shell


def processes(host: LabHost, name: str) -> list[str]:
    """The PIDs of the host's processes of this name; two where a program forks more than its shell."""
    return host.check_output("pgrep -x %s", name).split()


def pid_on_the_host(inside: Shell) -> str:
    """The shell's own PID as the host's ``/proc``, which it still sees, has it."""
    return inside.check_output("read pid rest </proc/self/stat; echo $pid")


def nspid(host: LabHost, pid: str) -> list[str]:
    """A process's PID in each namespace from the host's on down (proc_pid_status(5))."""
    return host.check_output("grep NSpid: /proc/%s/status", pid).split()[1:]


@pytest.mark.claim(id="pid-1")
def test_without_a_pid_namespace_the_pids_are_equal(host: LabHost, isolate: Isolate) -> None:
    """Without a PID namespace, the shell's PID inside is its PID on the host, a child of the program."""
    inside = isolate("uts").check_output("echo $$")
    name = Path(isolate.command("uts")[0]).name
    program, shell = program_and_shell(host, name)

    assert inside == shell
    assert processes(host, name) == [program]
    assert str(host.process.get(pid=shell).ppid) == program
    assert nspid(host, shell) == [shell]


@pytest.mark.claim(id="pid-2")
def test_first_process_is_pid_1(isolate: Isolate) -> None:
    """The first process in a new PID namespace has PID 1 there; without one it has not."""
    assert isolate("pid").check_output("echo $$") == "1"

    assert isolate("uts").check_output("echo $$") != "1", "control: the shell of `uts` is not PID 1"


@pytest.mark.claim(id="pid-3")
def test_pid_1_has_another_pid_on_the_host(host: LabHost, isolate: Isolate) -> None:
    """The process that is PID 1 inside is a child of the program on the host and has another PID there."""
    inside = isolate("pid")
    name = Path(isolate.command("pid")[0]).name
    program, shell = program_and_shell(host, name)

    assert inside.check_output("echo $$") == "1"
    assert pid_on_the_host(inside) == shell
    assert processes(host, name) == [program]
    assert str(host.process.get(pid=shell).ppid) == program
    assert nspid(host, shell) == [shell, "1"]


@pytest.mark.claim(id="pid-4")
@pytest.mark.parametrize("name", ["uts", "pid"])
def test_only_gos_program_has_runtime_threads(
    host: LabHost, isolate: Isolate, name: str, fact: Callable[[str, Value], None]
) -> None:
    """The Go program's runtime threads stand beside the shell in the process tree; others have none."""
    isolate(name)
    comm = Path(isolate.command(name)[0]).name
    program, _ = program_and_shell(host, comm)
    threads = re.findall(rf"\{{{re.escape(comm)}\}}\(\d+\)", host.check_output("pstree -pl %s", program))
    fact(f"pid.{isolate.isolator.name}.runtime_threads", bool(threads))

    assert bool(threads) == (isolate.isolator.name in WITH_RUNTIME_THREADS)


@pytest.mark.claim(id="pid-3")
def test_a_process_has_one_pid_for_each_level(host: LabHost, isolate: Isolate) -> None:
    """In nested PID namespaces, a process has one PID for each level, and is PID 1 in the innermost."""
    nested = shlex.join(isolate.command("pid"))
    ending = shlex.join(isolate.command("pid", "sh", "-c", "exit 7"))

    @example(1)
    @settings(max_examples=3)
    @given(st.integers(2, 6))
    def search(depth: int) -> None:
        inside = isolate("pid")
        for _ in range(depth - 1):
            inside.run(nested)
        pids = nspid(host, pid_on_the_host(inside))

        assert len(pids) == depth + 1
        assert pids[-1] == "1"
        assert inside.run(ending).rc == 7, "a level's program ends as its shell does"

    search()
    control = pid_on_the_host(isolate("uts"))
    assert nspid(host, control) == [control], "control: without a PID namespace there is one level"
