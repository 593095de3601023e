"""Start shells in new namespaces on a host: what an experiment acts through, inside."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from harness.evidence import Process, Role
from harness.hosts.base import LabHost
from harness.isolators import Isolator
from harness.namespaces import PROGRAMS, Kind
from harness.shell import Shell

_KINDS = ("uts", "ipc", "pid", "mnt", "net", "user")
"""The kinds of namespace that are written down of each process, in the kernel's words."""


class Isolate:
    """One isolator on one host; calling it starts a shell in new namespaces.

    What is asked for is one of the document's programs by its name, or any set of kinds; none at all is
    the control: a shell that the isolator starts without isolating it.
    """

    def __init__(self, host: LabHost, isolator: Isolator) -> None:
        """Carry the isolator's programs to the host."""
        self.host, self.isolator = host, isolator
        python = host.python if isolator.needs_python else ""
        self._directory = host.carry(isolator.name, isolator.programs(python, host.architecture))

    def __call__(self, wanted: str | Iterable[Kind] = ()) -> Shell:
        """Start a shell and write down the processes as they then stand."""
        shell = self.shell(wanted)
        self.host.notebook.processes.append(process_tree(self.host, shell))
        return shell

    def shell(self, wanted: str | Iterable[Kind] = ()) -> Shell:
        """Start ``sh`` isolated and wait for its first prompt."""
        namespaces = kinds(wanted)
        where = f"{self.isolator.name} {label(namespaces)}"
        same = sum(shell.where.partition(" #")[0] == where for shell in self.host.shells)
        return Shell(self.host, self.command(namespaces), f"{where} #{same + 1}" if same else where)

    def command(self, wanted: str | Iterable[Kind] = (), *argv: str) -> list[str]:
        """The command line, on the host, that starts ``argv`` (default: ``sh``) in new namespaces."""
        return self.isolator.command(self._directory, kinds(wanted), argv)


def kinds(wanted: str | Iterable[Kind]) -> frozenset[Kind]:
    """The kinds of namespace that a document's program makes, or the given ones."""
    return PROGRAMS[wanted] if isinstance(wanted, str) else frozenset(wanted)


def label(namespaces: frozenset[Kind]) -> str:
    """The name of the document's program that makes these, or the kinds themselves."""
    program = next((name for name, made in PROGRAMS.items() if made == namespaces), None)
    return program or " ".join(sorted(kind.value for kind in namespaces)) or "none"


def process_tree(host: LabHost, shell: Shell) -> list[Process]:
    """The host's own shell, the isolator and the shell that it started, with their namespaces.

    Empty where the host's ``/proc`` is broken, as an experiment may have made it.
    """
    # The inside still has the host's /proc, which tells the host's PIDs. ps would look at every process of
    # the host: a guest without KVM would take four times as long.
    told = shell.run("read -r pid name state parent rest </proc/self/stat && echo $parent $pid")
    started = told.stdout.split()
    if told.rc != 0 or started[0] == "0":
        return []
    # There, starting a program costs more than what it does: the shell reads the short files itself, and then
    # becomes the one program that is left. What /proc/self shows, a number, ends each process's links.
    read = 'read -r line </proc/$each/stat && echo "$line"'
    links = " ".join(f"/proc/$each/ns/{kind}" for kind in _KINDS)
    each = f'{read}; set -- "$@" {links} /proc/self'
    shown = host.run(f'echo $$; for each in $$ {told.stdout.strip()}; do {each}; done; exec readlink "$@"')
    own, *rows = shown.stdout.splitlines()
    tree = [*_processes(rows, [own, *started])]
    return [msgspec.structs.replace(process, role=_role(process, int(own), tree)) for process in tree]


def _processes(rows: list[str], pids: list[str]) -> Iterator[Process]:
    """What lines of ``/proc/PID/stat`` (proc_pid_stat(5)) tell, and links in ``/proc/PID/ns``, pid by pid."""
    namespaces: list[dict[str, int]] = [{}]
    seen: list[tuple[str, str, str]] = []
    for row in rows:
        if found := re.match(r"(\d+) \((.*)\) \S (\d+) ", row):
            seen.append((found[1], found[2], found[3]))
        elif found := re.fullmatch(r"(\w+):\[(\d+)\]", row):
            namespaces[-1][found[1]] = int(found[2])
        else:
            namespaces.append({})
    of_each = dict(zip(pids, namespaces, strict=False))
    for pid, name, parent in seen:
        shown = of_each.get(pid, {})
        yield Process(pid=int(pid), parent=int(parent), name=name, namespaces=shown, role="other")


def _role(process: Process, own: int, tree: list[Process]) -> Role:
    """The isolator is where the terminal's processes begin; its first child is the shell."""
    if process.pid == own:
        return "host"
    started = {other.pid: other for other in tree if other.pid != own}
    if process.parent not in started:
        return "isolator"
    return "shell" if started[process.parent].parent not in started else "other"
