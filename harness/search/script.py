"""A disagreement as a shell script that anyone can run, and as trees: what a person needs to believe it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

from harness.propagation.operations import Operation
from harness.propagation.programs import Step
from harness.propagation.render import Table, Tables, of_state
from harness.propagation.state import DIRECTORIES, FIRST
from harness.search.kernel import Disagreement

_HEAD = """\
#!/bin/sh
# {title}
# Run it as root, on any machine: it acts in mount namespaces of its own, which end with it.
# {note}
set -u
if [ -z "${{NSLAB_INSIDE-}}" ]; then
    NSLAB_INSIDE=1 exec unshare --mount --propagation private sh "$0"
fi
work=$(mktemp -d) || exit
trap 'kill $holders 2>/dev/null; umount "$root" 2>/dev/null; rm -r "$work"' EXIT
holders=
root=$work/root
mkdir "$root" && mount -t tmpfs w "$root" && mount --make-private "$root" || exit
{directories}
# Each namespace is held by a process; "in" runs a command in one of them, below $root.
hold() {{ # $1: its number; then how its process is started
    number=$1; shift
    "$@" sh -c 'echo $$ >"$0"; exec sleep 1000' "$work/$number" & holders="$holders $!"
    while ! [ -s "$work/$number" ]; do kill -0 $! || exit; sleep 0.01; done
}}
in_ns() {{ # $1: its number; then the command
    pid=$(cat "$work/$1"); shift
    nsenter --target "$pid" --mount -- "$@"
}}
show() {{ # $1: its number
    echo "  ns$1:"
    in_ns "$1" sh -c 'grep " $0[/ ]" /proc/self/mountinfo' "$root" | sed "s|$root|/|; s|//|/|; s/^/    /"
}}
# The first one is no longer this shell's, so that it can end.
hold 0 unshare --mount --propagation unchanged --
umount "$root"
"""


def script(found: Disagreement, kernel: str) -> str:
    """The disagreement as a shell script of mount, umount, unshare and nsenter."""
    title = f"kernel {kernel} and the model of mount propagation disagree"
    note = (
        f"Each step is followed by what the kernel {kernel} showed; where the model says otherwise, by both."
    )
    lines = [head(title, note)]
    last = len(found.steps) - 1
    for number, step in enumerate(found.steps):
        lines += [
            "",
            f"echo {shlex.quote(f'# {number + 1}. {step.operation}')}",
            *commands(step, found.steps[:number]),
        ]
        lines += [f"# kernel: {said(found.errno if number == last else step.errno)}"]
        if number == last and found.errno != step.errno:
            lines += [f"# model:  {said(step.errno)}"]
    lines += ["", *comments(found)]
    lines += [f"show {number}" for number in sorted(found.seen[-1])]
    return "\n".join(lines) + "\n"


def head(title: str, note: str) -> str:
    """How a script begins: the first namespace with its file system, and the functions for the steps."""
    made = " ".join(shlex.quote(directory[1:]) for directory in sorted(DIRECTORIES - {"/"}))
    return _HEAD.format(title=title, note=note, directories=f'(cd "$root" && mkdir {made}) || exit')


def said(errno: str) -> str:
    """An error's name, or that there was none."""
    return errno or "done"


def commands(step: Step, before: Sequence[Step]) -> list[str]:
    """The shell lines of one step."""
    operation = step.operation
    actor, kind = operation.actor, operation.kind
    target = f'"$root{"" if operation.target == "/" else operation.target}"'
    source = f'"$root{"" if operation.source == "/" else operation.source}"'
    if kind == "mount":
        made = " ".join(f"{target}{directory}" for directory in sorted(DIRECTORIES - {"/"}))
        return [f"in_ns {actor} mount -t tmpfs {operation.source} {target} && in_ns {actor} mkdir {made}"]
    if kind == "exit":
        # Who has ended has left its namespaces; it is the shell's child, for each command executes the next.
        return [f'pid=$(cat "$work/{actor}"); kill "$pid"; wait "$pid" 2>/dev/null; rm "$work/{actor}"']
    if kind.startswith("unshare"):
        return [_hold(operation, step, before)]
    if kind in ("bind", "rbind", "move"):
        return [f"in_ns {actor} mount --{kind} {source} {target}"]
    if kind.startswith("umount"):
        return [f"in_ns {actor} umount {'--lazy ' if kind == 'umount-l' else ''}{target}"]
    return [f"in_ns {actor} mount --{kind} {target}"]


def _hold(operation: Operation, step: Step, before: Sequence[Step]) -> str:
    """The line that starts a process in a copy of a namespace."""
    there = before[-1].state.namespaces if before else {0: None}
    new = next((number for number in step.state.namespaces if number not in there), len(there))
    enter = f'nsenter --target "$(cat "$work/{operation.actor}")" --mount'
    if operation.kind == "unshare-user":
        theirs = before and before[-1].state.namespaces[operation.actor].owner != FIRST
        user = " --user --preserve-credentials" if theirs else ""
        return f"hold {new} {enter}{user} -- unshare --user --map-root-user --mount --propagation unchanged"
    theirs = step.state.namespaces[operation.actor].owner != FIRST
    user = " --user --preserve-credentials" if theirs and operation.kind == "unshare" else ""
    return f"hold {new} {enter}{user} -- unshare --mount --propagation unchanged"


def comments(found: Disagreement) -> Iterator[str]:
    """What kernel and model have at the end, as comments."""
    for line in drawn(found).splitlines():
        yield f"# {line}".rstrip()


def drawn(found: Disagreement) -> str:
    """The trees before and after the step at which kernel and model part, with peer groups, side by side."""
    *rest, last = found.steps
    lines = []
    if rest:
        lines += [f"before {last.operation}", *tree(of_state(rest[-1].state), "both")]
    model = of_state(last.state)
    after = f"after {last.operation}: kernel {said(found.errno)}, model {said(last.errno)}"
    lines += [after, *tree(found.seen[-1], "kernel", model), *tree(model, "model", found.seen[-1])]
    return "\n".join(lines)


def tree(tables: Tables, whose: str, other: Mapping[int, Table] | None = None) -> Iterator[str]:
    """The mount tables of namespaces, or of those alone that another side has otherwise."""
    for number, table in tables.items():
        if other is None or other.get(number) != table:
            yield f"  ns{number} ({whose})"
            yield from (f"    {line}" for line in table)


def told(found: Disagreement, kernel: str) -> str:
    """The disagreement as a message: the program, where it parts, the trees."""
    program = "\n".join(f"  {number}. {step.operation}" for number, step in enumerate(found.steps, 1))
    head = f"kernel {kernel} and the model disagree after {len(found.steps)} operations:"
    return f"{head}\n{program}\n{drawn(found)}"
