"""A disagreement as a shell script that anyone can run, and as trees: what a person needs to believe it."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product

from harness.propagation.operations import Operation
from harness.propagation.programs import PATHS, Step
from harness.propagation.render import Line, Table, Tables, of_state
from harness.propagation.state import DIRECTORIES, FIRST, Refused, State, first
from harness.search.kernel import Disagreement

# Who makes a namespace must have the first mount as its root directory, or the kernel would not see that this
# is covered; so what makes one lies there. All other tools are the machine's. Without -n they would wait for
# each other at a lock of the machine's.
_HEAD = """\
#!/bin/sh
# {title}
# Run it as root on any machine, by "sh FILE" or "sh <FILE": its mount namespaces are private and end with it.
# {note}
# A line of a mount table that came has a "+", one that went a "-"; groups are numbered as tables name them.
set -u
cd /
work=$(mktemp -d) || exit
ns0= ns1= ns2= ns3=
trap 'kill $ns0 $ns1 $ns2 $ns3 2>/dev/null; rm -r "$work"' EXIT
trap 'exit 1' HUP INT TERM
# mount and umount take paths as they are (-c), and leave no note of it in the machine's /run (-n).
# Namespace N is held by the process $nsN, whose root and working directory is the namespace's first mount.
hold() {{ # $1: its number; then what makes it and goes on as the command that it is given
    number=$1; shift
    "$@" sleep 1000 &
    eval "ns$number=$!"
    until grep -qsx sleep "/proc/$!/comm"; do
        kill -0 $! 2>/dev/null || {{ eval "ns$number="; return 1; }}
        sleep 0.01
    done
}}
in_ns() {{ # $1: its number; then a command, done in the first mount, where "." is "/" whatever lies over it
    eval "pid=\\$ns$1"; shift
    nsenter --target "$pid" --mount --root=/ --wd -- "$@"
}}
be_root() {{ # $1: whose process shall be root of its new user namespace; $2: a process in the one above
    eval "pid=\\$ns$1"
    ${{2:+nsenter --target $2 --user --preserve-credentials --}} \\
        sh -c 'for map in uid_map gid_map; do echo 0 0 1 >"/proc/$0/$map" || exit; done' "$pid"
}}
show() {{ # $1: its number
    eval "pid=\\$ns$1"
    echo "  ns$1:"
    if [ "$pid" ]; then sed 's/^/    /' "/proc/$pid/mountinfo"; else echo '    was not made here'; fi
}}
# The first file system has copies of what makes and holds further namespaces: unshare and sleep.
hold 0 unshare --mount --propagation private sh -c '
    mount -n -t tmpfs w "$0" && cd "$0" && mkdir {directories} || exit
    for tool in unshare sleep; do
        tool=$(command -v $tool)
        cp -L --parents $(echo "$tool"; ldd "$tool" | grep -o "/[^ )]*" | sort -u) . || exit
    done
    pivot_root . b && exec "$@"' "$work" || exit
in_ns 0 umount -cn --lazy b || exit"""

_MOST = 8
"""Changed lines that a step's comment tells."""


def script(found: Disagreement, kernel: str) -> str:
    """The disagreement as a shell script of mount, umount, unshare and nsenter."""
    title = f"kernel {kernel} and the model of mount propagation disagree"
    note = f"Below each step: what the kernel {kernel} and the model showed; they part at the last one."
    lines = [head(title, note)]
    last = len(found.steps) - 1
    before: Tables = of_state(first())
    for number, step in enumerate(found.steps):
        lines += titled(number, step.operation, commands(step, found.steps[:number]))
        if number < last:
            lines += agreed("kernel and model", step.errno, before, found.seen[number])
            before = found.seen[number]
    lines += [f"# kernel: {said(found.errno)}", f"# model:  {said(found.steps[-1].errno)}"]
    lines += ["", *comments(found)]
    lines += [f"show {number}" for number in sorted(found.seen[-1])]
    return "\n".join(lines) + "\n"


def head(title: str, note: str) -> str:
    """How a script begins: the first namespace with its file system, and the functions for the steps."""
    made = " ".join(directory[1:] for directory in sorted(DIRECTORIES - {"/"}))
    return _HEAD.format(title=title, note=note, directories=made)


def titled(number: int, operation: Operation, lines: Sequence[str]) -> list[str]:
    """A step's lines below its title, which the script says."""
    return ["", f"echo {shlex.quote(f'# {number + 1}. {operation}')}", *lines]


def said(errno: str) -> str:
    """An error's name, or that there was none."""
    return errno or "done"


def agreed(sides: str, errno: str, before: Tables, after: Tables) -> Iterator[str]:
    """A step's comments where both sides had the same: its error, and what it changed in the tables."""
    news = [*changes(before, after)]
    yield f"# {sides}: {said(errno)}{'' if news or errno else ', which changes no table'}"
    yield from (f"#   {line}".rstrip() for line in news[:_MOST])
    if len(news) > _MOST:
        yield f"#   and {len(news) - _MOST} lines more"


def changes(before: Tables, after: Tables) -> Iterator[str]:
    """The lines of tables that went and that came; not those that only name their groups by other numbers.

    Where no other line changed, numbers tell which mounts are peers now.
    """
    return iter([*_changes(before, after, _unnumbered)] or [*_changes(before, after, lambda line: line)])


def _changes(before: Tables, after: Tables, key: Callable[[Line], Line]) -> Iterator[str]:
    for number in sorted({*before, *after}):
        was, now = before.get(number, ()), after.get(number, ())
        for sign, table, other in (("-", was, now), ("+", now, was)):
            there = Counter(map(key, other))
            for line in table:
                there[key(line)] -= 1
                if there[key(line)] < 0:
                    yield f"{sign} ns{number} {line}"


def _unnumbered(line: Line) -> Line:
    return line._replace(tags=tuple(tag.partition(":")[0] for tag in line.tags))


def commands(step: Step, before: Sequence[Step]) -> list[str]:
    """The shell lines of one step."""
    operation = step.operation
    kind, whose = operation.kind, f"in_ns {operation.actor}"
    source, target = place(operation.source), place(operation.target)
    if kind == "mount":
        return [*_mount(step, before[-1].state if before else first())]
    if kind == "exit":
        # Who has ended has left its namespaces; it is the shell's child, for each command executes the next.
        holder = f"ns{operation.actor}"
        return [f'kill "${holder}"; wait "${holder}" 2>/dev/null; {holder}=']
    if kind.startswith("unshare"):
        return [_hold(operation, step, before)]
    if kind in ("bind", "rbind", "move"):
        return [f"{whose} mount -cn --{kind} {source} {target}"]
    if kind.startswith("umount"):
        return [f"{whose} umount -cn {'--lazy ' if kind == 'umount-l' else ''}{target}"]
    return [f"{whose} mount -cn --{kind} {target}"]


def _mount(step: Step, before: State) -> Iterator[str]:
    """The lines that mount a new file system and make its directories.

    Where others lie over it by then, its place leads to these: then it is another path that leads to it.
    """
    _, actor, target, source = step.operation
    line = f"in_ns {actor} mount -cn -t tmpfs {source} {place(target)}"
    paths = [(actor, target), *product(step.state.namespaces, PATHS)]
    leading = paths if step.errno else [path for path in paths if _leads_to_new(step.state, before, *path)]
    if not leading:
        yield from (line, "# No path leads to it, for others lie over it: it stays without directories.")
        return
    whose, path = leading[0]
    yield f"{line} && in_ns {whose} mkdir {' '.join(place(path) + it for it in sorted(DIRECTORIES - {'/'}))}"


def _leads_to_new(state: State, before: State, namespace: int, path: str) -> bool:
    """Whether a path leads to the root of what was mounted since another state."""
    try:
        mount, directory = state.find(namespace, path)
    except Refused:
        return False
    return mount.id > before.made and directory == "/"


def place(path: str) -> str:
    """A path from a namespace's first mount, in which commands are run: not across what covers that."""
    return path[1:] or "."


def _hold(operation: Operation, step: Step, before: Sequence[Step]) -> str:
    """The line that starts a process in a copy of a namespace."""
    there = before[-1].state.namespaces if before else first().namespaces
    new = next(number for number in range(len(there) + 1) if number not in there)
    holder = f'"$ns{operation.actor}"'
    theirs = there[operation.actor].owner != FIRST and operation.kind != "unshare-first"
    user = " --user --preserve-credentials" if theirs else ""
    enter = f"nsenter --target {holder}{user} --mount --root --wd"
    line = f"hold {new} {enter} -- unshare --mount --propagation unchanged"
    if operation.kind != "unshare-user":
        return line
    return f"{line} --user && be_root {new}{f' {holder}' if theirs else ''}"


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
