"""What differs between two hosts, told to a person: as a message, as trees, and as a shell script."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Iterator, Sequence

from harness.evidence import Forest
from harness.propagation.programs import Step
from harness.search import beyond, by_hand, calls
from harness.search.differential import FIRST_READER, Difference
from harness.search.kernel import MADE
from harness.search.script import commands, head, said, tree
from harness.search.trees import forest

Names = tuple[str, str]
"""What the two hosts are called."""

KEPT = ("tree", "tree-r", "open", "write", "cwd", "chroot")
"""Kinds of operations whose effect lasts as long as the process that did them."""

_HELPERS = """
# What no command does: "act" does it in a namespace, "keep" has it done by a process that stays.
export DIRECTORIES={directories}
cat >"$work/calls.py" <<'END'
{calls}END
cat >"$work/act.py" <<'END'
{by_hand}END
act() {{ # $1: the number of the namespace; then the kind of operation, its target and its source
    number=$1; shift
    in_ns "$number" python3 "$work/act.py" "$work" "$@"
}}
keep() {{ # the same, and a name for what is kept
    act "$@" &
    while ! [ -s "$work/$5" ]; do kill -0 $! 2>/dev/null || return; sleep 0.01; done
    holders="$holders $(cat "$work/$5")"
}}
let_go() {{ # $1: the name of what is kept
    kill "$(cat "$work/$1")"
    while kill -0 "$(cat "$work/$1")" 2>/dev/null; do sleep 0.01; done
}}
show_reader() {{ # $1: the name of what is kept
    echo "  reader $1:"
    sed 's/^/    /' "/proc/$(cat "$work/$1")/mountinfo"
}}
"""


def told(found: Difference, names: Names) -> str:
    """The difference as a message: the program, where hosts part, the trees."""
    program = "\n".join(f"  {number}. {operation}" for number, operation in enumerate(found.operations, 1))
    first = f"{names[0]} and {names[1]} differ after {len(found.operations)} operations:"
    return f"{first}\n{program}\n{drawn(found, names)}"


def drawn(found: Difference, names: Names) -> str:
    """The trees before and after the step at which two hosts part, with peer groups."""
    last = found.operations[-1]
    lines = []
    if len(found.operations) > 1:
        lines += [f"before {last}", *tree(found.shown[0][-2].tables, "both")]
    one, other = found.last
    lines.append(f"after {last}: {names[0]} {said(one.errno)}, {names[1]} {said(other.errno)}")
    lines += [*tree(one.tables, names[0], other.tables), *tree(other.tables, names[1], one.tables)]
    return "\n".join(lines)


def parted(found: Difference, names: Names) -> Forest:
    """The trees before the step at which two hosts part, and after it, for the report."""
    before = found.shown[0][-2].tables if len(found.operations) > 1 else {}
    one, other = found.last
    title = f"{found.operations[-1]}: {names[0]}: {said(one.errno)}, {names[1]}: {said(other.errno)}"
    return forest(title, before, {names[0]: one.tables, names[1]: other.tables})


def script(found: Difference, names: Names) -> str:
    """The difference as a shell script, which shows on any machine what its kernel does."""
    note = f"Each step is followed by what {names[0]} and {names[1]} showed."
    lines = [head(f"{names[0]} and {names[1]} differ", note)]
    if any(operation.kind in beyond.WEIGHTS for operation in found.operations):
        lines.append(_helpers())
    guides = beyond.replay(found.operations, frozenset())
    steps = [Step(it, guide.errno, guide.state) for it, guide in zip(found.operations, guides, strict=True)]
    for number, step in enumerate(steps):
        one, other = (side[number] for side in found.shown)
        lines += ["", f"echo {shlex.quote(f'# {number + 1}. {step.operation}')}", *_lines(number, steps)]
        if one.errno == other.errno:
            lines.append(f"# both: {said(one.errno)}")
        else:
            lines += [f"# {names[0]}: {said(one.errno)}", f"# {names[1]}: {said(other.errno)}"]
    lines += ["", *(f"# {line}".rstrip() for line in drawn(found, names).splitlines())]
    numbers = sorted({number for side in found.last for number in side.tables})
    lines += [f"show {number}" for number in numbers if number < FIRST_READER]
    lines += [f"show_reader k{n}" for n, it in enumerate(found.operations, 1) if it.kind == "chroot"]
    return "\n".join(lines) + "\n"


def _helpers() -> str:
    return _HELPERS.format(
        directories=shlex.quote(" ".join(MADE)),
        calls=inspect.getsource(calls),
        by_hand=inspect.getsource(by_hand).replace("from harness.search import calls", "import calls"),
    )


def _lines(number: int, steps: Sequence[Step]) -> Iterator[str]:
    """The shell lines of a step."""
    it = steps[number].operation
    if it.kind not in beyond.WEIGHTS:
        yield from commands(steps[number], steps[:number])
        return
    if it.kind == "let-go":
        yield from (
            f"let_go k{before}"
            for before, step in enumerate(steps[:number], 1)
            if step.operation.kind in KEPT and step.operation.kind not in (*beyond.TREES, "chroot")
        )
        return
    words = [str(it.actor), it.kind, _place(it.target), _place(it.source) if it.source else "''"]
    if it.kind in KEPT:
        yield " ".join(["keep", *words, it.source or f"k{number + 1}"])
    else:
        yield " ".join(["act", *words])


def _place(name: str) -> str:
    """A path below the script's root; other words as they are."""
    if not name.startswith("/"):
        return shlex.quote(name)
    return '"$root"' if name == "/" else f'"$root"{name}'
