"""The system calls by which an isolator starts a program, as strace(1) sees them, in canonical form.

Numbers that the kernel hands out are named by what they stand for: the child's PID, the descriptors of pipes
and pidfds, addresses. Descriptors beyond those that the program gets go by their file alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from harness.errors import LabError
from harness.hosts.base import LabHost

REMEDY = "install the package strace"

# Looked at of the isolator itself: what makes, waits for or reaches processes, and the pipes to them. Each
# thread has a file of its own; the child is the one whose end is told by SIGCHLD.
_TRACE = r"""#!/bin/sh
# usage: trace DIRECTORY DESCRIPTION ISOLATE. Prints the calls of the child and of the isolator.
mkdir -p "$1" && cd "$1" && rm -f t.* && printf %s "$2" >description.json || exit
exec 3>&1 </dev/null >/dev/null 2>&1
# Below the hard limit, as usual: Go raises it for itself.
ulimit -S -n 256
strace -ff -qq -y -s 256 -ttt -e signal=none -o t "$3" --description description.json 3>&-
status=$?
exec >&3 3>&-
echo "status $status"
child=$(sed -nE 's/^[0-9.]+ clone3?\(.*SIGCHLD.* = ([0-9]+)( .*)?$/\1/p' t.*)
echo "child ${child:=none}"
[ "$child" = none ] || sed -E '/ execve\(.* = 0$/q' "t.$child" | sed 's/^/child: /'
rm -f "t.$child"
processes='clone3?|v?fork|wait4|waitid|t?g?kill|setns|unshare|setsid|setpgid|pidfd_[a-z_]+'
worlds='mount|chroot|set(re|res|fs)?[ug]id|setgroups|capset'
pipes='(read|write)\([0-9]+<pipe:'
files="[a-z]+\([^\"]*[\"<]/proc/$child/"
sort -n t.* | grep -E "^[0-9.]+ (($processes|$worlds|pipe2?)\(|$pipes|$files)" | sed 's/^/parent: /'
"""


class Calls(NamedTuple):
    """What a start took."""

    child: list[str]
    """The child's system calls, from clone to execve or its end."""
    parent: list[str]
    """Those of the isolator that have to do with processes."""


def traced(host: LabHost, program: str, description: Mapping[str, Any]) -> Calls:
    """The calls by which a program of the host starts what is described.

    Raises:
        LabError: strace saw no start.
    """
    place = f"{host.scratch}/strace"
    trace = f"{host.carry('strace-programs', {'trace': _TRACE.encode()})}/trace"
    text = host.run("%s %s %s %s", trace, place, json.dumps(description), program).stdout
    head = re.match(r"status (\d+)\nchild (\w+)\n", text)
    if not head or "parent: " not in text:
        raise LabError(f"strace on {host.name} shows no start of a program: {text[-1000:]!r}")
    files = [description.get(stream, 0) for stream in ("Stdin", "Stdout", "Stderr")]
    files += [-1 if file is None else file for file in description.get("ExtraFiles", ())]
    return Calls(*(list(canonical(text, side, head[2], files)) for side in ("child", "parent")))


def numbered(calls: Iterable[str]) -> list[str]:
    """The calls with their pipes numbered by first appearance."""
    names: dict[str, str] = {}

    def name(found: re.Match[str]) -> str:
        return names.setdefault(found[0], f"<pipe {len(names) + 1}>")

    return [re.sub(r"<pipe:\[\d+\]>", name, call) for call in calls]


def differences(one: Iterable[str], other: Iterable[str]) -> list[str]:
    """The first call in which two sequences differ; empty where they are equal."""
    pairs = enumerate(zip_longest(numbered(one), numbered(other), fillvalue="(none)"), 1)
    return next(([f"call {at}:\n    {a}\n    {b}"] for at, (a, b) in pairs if a != b), [])


# Where a PID stands: a size, a status or a pipe may have the same number.
_PIDS = (
    r"(/proc/|si_pid=|(?<!:)\[)",
    r"(^(?:wait4\(|waitid\(P_PG?ID, |pidfd_open\(|[gs]etpgid\(|getsid\(|prlimit64\(|t?g?kill\())",
    r"(^tgkill\(child, )",
    r"(^(?:clone3?|v?fork|wait4|[gs]et\w+)\(.*\)\s+= )",
)
_PLAINER = (
    (r"\)\s+= ", ") = "),
    (r"0x[0-9a-f]+ /\* \d+ vars? \*/", "ENVIRONMENT"),
    (r"0x[0-9a-f]{6,}", "ADDRESS"),
    # A disposition's flags and mask mean nothing where it is the default one (sigaction(2)).
    (r"\{sa_handler=SIG_DFL, .*?\}", "SIG_DFL"),
    (r"^(getppid\(\) = )[1-9]\d*", r"\1isolator"),
    (r"^wait4\(child, \[\{WIF(.*?)\}\].*", r"wait4(child): \1"),
)


def canonical(text: str, side: str, child: str, files: Sequence[int]) -> Iterator[str]:
    """One side's calls, where a program gets these files, or none by a negative number.

    Pipes are yet to be numbered.
    """
    plainer = [*((rf"{place}{child}\b", r"\1child") for place in _PIDS), *_PLAINER]
    for line in re.findall(rf"^{side}: [\d.]+ (.*)$", text, re.MULTILINE):
        # It was interrupted and is there once more.
        if not re.search(r"= \? ERESTART\w+ \(To be restarted", line):
            for pattern, plain in plainer:
                line = re.sub(pattern, plain, line)
            yield _with_files(line, files)


def _with_files(line: str, files: Sequence[int]) -> str:
    """The call with those descriptors alone that are the program's."""
    given, closed = range(len(files)), {str(at) for at, file in enumerate(files) if file < 0}
    # Nobody knows what the starting process has where the program is to have nothing, or something else.
    closing = re.match(r"close\((\d+)[<)]", line)
    if closing and closing[1] in closed:
        return f"close({closing[1]})"
    copy = re.fullmatch(r"(dup3\(.*, )(\d+)(?:<.*?>)?(, \w+\) = .*)", line)
    if copy:
        line = f"{copy[1]}{copy[2] if int(copy[2]) in given else 'free'}{copy[3]}"

    def named(found: re.Match[str]) -> str:
        number, file = found.groups()
        return f"{number}<{file}>" if int(number) in given and "pipe:" not in file else f"<{file}>"

    return re.sub(r"\b(\d+)<((?:anon_inode:|pipe:|socket:)\[\w+\]|/[^>]*)>", named, line)
