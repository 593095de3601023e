"""What differs between two hosts, told to a person: as a message, as trees, and as a shell script."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Iterator, Sequence

from harness.evidence import Forest
from harness.propagation.operations import Operation
from harness.propagation.programs import Step
from harness.propagation.render import Tables, of_state
from harness.propagation.state import first
from harness.search import beyond, by_hand, calls
from harness.search.beyond_on_host import FIRST_READER
from harness.search.differential import Difference
from harness.search.kernel import MADE
from harness.search.script import agreed, commands, head, said, titled, tree
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
    eval "pid=\\$ns$1"; shift
    python3 "$work/act.py" "$work" "$pid" "$@"
}}
keep() {{ # the same, and a name for what is kept
    act "$@" &
    while ! [ -s "$work/$5" ]; do kill -0 $! 2>/dev/null || return; sleep 0.01; done
}}
let_go() {{ # $1: the name of what is kept, if it is
    [ -s "$work/$1" ] || return 0
    kill "$(cat "$work/$1")"
    while kill -0 "$(cat "$work/$1")" 2>/dev/null; do sleep 0.01; done
    rm "$work/$1"
}}
show_reader() {{ # $1: the name of what is kept
    [ -s "$work/$1" ] || return 0
    echo "  reader $1:"
    sed 's/^/    /' "/proc/$(cat "$work/$1")/mountinfo"
}}
trap 'kill $ns0 $ns1 $ns2 $ns3 $(cat "$work"/[dk]* 2>/dev/null) 2>/dev/null; rm -r "$work"' EXIT"""


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
    note = f"Below each step: what {names[0]} and {names[1]} showed; they part at the last one."
    lines = [head(f"{names[0]} and {names[1]} differ", note)]
    if any(operation.kind in beyond.WEIGHTS for operation in found.operations):
        lines.append(_helpers())
    guides = beyond.replay(found.operations, frozenset(), [step.errno for step in found.shown[0]])
    steps = [Step(it, guide.errno, guide.state) for it, guide in zip(found.operations, guides, strict=True)]
    before = of_state(first())
    for number, (step, shown) in enumerate(zip(steps, found.shown[0], strict=True)):
        lines += titled(number, step.operation, [*_lines(number, steps)])
        lines += _hindered(step.operation, before)
        if step is not steps[-1]:
            lines += agreed("both", shown.errno, before, shown.tables)
            before = shown.tables
    lines += [f"# {name}: {said(shown.errno)}" for name, shown in zip(names, found.last, strict=True)]
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
    kept = [f"k{n}" for n, (before, _, _) in enumerate(steps[:number], 1) if _goes_with(it, before)]
    yield from (f"let_go {name}" for name in kept)
    if it.kind not in beyond.WEIGHTS:
        yield from commands(steps[number], steps[:number])
    elif it.kind in KEPT:
        yield " ".join(["keep", *_words(it), it.source or f"k{number + 1}"])
    elif it.kind != "let-go":
        yield " ".join(["act", *_words(it)])


def _hindered(it: Operation, before: Tables) -> Iterator[str]:
    """What a script cannot do as the program did, which executes nothing in a namespace."""
    root, *_ = before.get(it.actor) or [None]
    if it.kind.startswith("unshare") and root and any("noexec" in tag for tag in root.tags):
        yield "# Here it fails whatever the kernel does: what makes a namespace lies in a noexec mount."


def _goes_with(it: Operation, before: Operation) -> bool:
    """Whether what an earlier step keeps ends with a step: readers end with their namespace."""
    if it.kind == "exit":
        return before.kind == "chroot" and before.actor == it.actor
    return it.kind == "let-go" and before.kind in ("open", "write", "cwd")


def _words(it: Operation) -> list[str]:
    return [str(it.actor), it.kind, shlex.quote(it.target), shlex.quote(it.source)]
