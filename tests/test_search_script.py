"""Scripts of disagreements do what the programs did: steps succeed or fail, and all tables are the same."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

import pytest
from sessions import ordinary

from harness.hosts.stage import Stage
from harness.notebook import Notebook
from harness.propagation import programs, render
from harness.propagation.operations import Operation
from harness.propagation.programs import OPENINGS, Draw, parse, replay
from harness.propagation.render import Raw, Tables, named, of_text
from harness.search import beyond, differential_script
from harness.search.beyond_on_host import FIRST_READER
from harness.search.differential import Difference, shown
from harness.search.hold import WITNESSES
from harness.search.kernel import Disagreement, Kernel, wider_worker
from harness.search.script import changes, script
from harness.search.why import Shown

LIMIT = 30.0

ROOTLESS = [
    # Root's temporary directory may be for root alone.
    *("env", "--unset=TMPDIR"),
    "unshare",
    "--user",
    "--map-root-user",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
]
"""How a script runs where root has no more rights than an ordinary user."""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """A host of this machine."""
    with Stage(Notebook(), LIMIT) as made:
        yield made


@pytest.fixture(scope="module")
def kernel(stage: Stage) -> Iterator[Kernel]:
    """This machine's kernel."""
    with wider_worker(stage) as worker:
        yield Kernel(worker)


class Ran(NamedTuple):
    """What a script showed."""

    refused: list[str]
    """For each step what was said of an error; nothing where there was none."""
    tables: Tables


def ran(prefix: Sequence[str], text: str, *, options: bool = False) -> Ran:
    """What a script shows that a shell reads from a pipe."""
    ended = subprocess.run(
        prefix,
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    begun, *steps = re.split(r"^# \d+\. .*\n", ended.stdout, flags=re.MULTILINE)
    assert not begun
    steps[-1], *tables = re.split(r"^  (ns|reader k)(\d+):\n", steps[-1], flags=re.MULTILINE)
    raw: dict[int, list[Raw]] = {}
    for whose, number, lines in zip(tables[::3], tables[1::3], tables[2::3], strict=True):
        readers = sum(it >= FIRST_READER for it in raw)
        key = int(number) if whose == "ns" else FIRST_READER + readers
        raw[key] = of_text(lines.replace("    ", ""), options=options)
    return Ran([step.strip() for step in steps], named(raw))


def numbers(random: Random, limits: Draw) -> list[Draw]:
    """Ten steps by chance."""
    what, whom, source = limits
    return [(random.randrange(what), random.randrange(whom), random.randrange(source)) for _ in range(10)]


def drawn(seed: int) -> list[Operation]:
    """A program of the model's operations, always the same."""
    random = Random(seed)  # noqa: S311 - chance, not secrets
    draws = numbers(random, programs.LIMITS)
    return [step.operation for step in programs.read(draws, begun=replay(random.choice(OPENINGS)))]


def wider(seed: int) -> list[Operation]:
    """A program with operations beyond the model, always the same."""
    random = Random(seed)  # noqa: S311 - chance, not secrets
    draws = numbers(random, beyond.WIDER)
    return [*beyond.read(draws, opening=random.randrange(len(beyond.BEGINNINGS)))]


COVERED = {
    "no user namespace where the root is covered": "bind /a /; unshare-user",
    "umount below what covers the root": "mount t1 /a; make-shared /a; bind /a /; unshare; ns1: umount /a",
    "move onto the root": "mount t1 /a; move /a /; mount t2 /b; rbind / /b; unshare; ns1: mount t3 /a",
    "a busy one where a namespace was copied": (
        "make-shared /; unshare-user; ns1: mount u1 /a; bind /a /; rbind / /; make-unbindable /;"
        "ns1: make-slave /a; unshare; ns1: bind /a/b /a; umount /a"
    ),
    "a new one to which its own path does not lead": (
        "mount u1 /a; mount u2 /a/a; make-shared /a; bind /a /b; bind /b/c /; rbind / /b/a; umount-l /a/a;"
        "bind /a /b/a; mount t4 /b/a; unshare-user; ns1: move /a /a/a"
    ),
    "a new one to which no path leads, of a name that another has": "mount t /a; mount t /; mount t /b",
    "of user namespaces below each other": (
        "make-shared /; mount t1 /a; unshare-user; ns1: unshare-user; ns2: unshare; ns1: exit;"
        "ns2: unshare-first; ns2: umount /a; umount /a"
    ),
    "a namespace that ends": "mount t /a; make-shared /a; unshare; ns1: make-slave /a; exit; ns1: unshare",
}
"""What depends on the root directory of those who act, and on who holds namespaces."""

PROGRAMS = {
    **WITNESSES,
    **{what: parse(text) for what, text in COVERED.items()},
    **{f"drawn by {seed}": drawn(seed) for seed in range(12)},
}


def asked(kernel: Kernel, program: Sequence[Operation], *, options: bool = False) -> list[Shown]:
    """What the kernel shows after each step of a program."""
    kernel.send(program)
    return shown(kernel.receive(), options=options)


def compared(kernel: Kernel, program: Sequence[Operation], prefix: Sequence[str]) -> None:
    """Run a program and its script, and hold one against the other."""
    steps = replay(program)
    by_kernel = asked(kernel, [step.operation for step in steps])
    found = Disagreement(steps, by_kernel[-1].errno, [step.tables for step in by_kernel])
    by_script = ran(prefix, script(found, "of this machine"))

    told = [
        f"{step.operation}: {'refused' if said else 'done'}"
        for step, said in zip(steps, by_script.refused, strict=True)
    ]
    assert told == [
        f"{step.operation}: {'refused' if it.errno else 'done'}"
        for step, it in zip(steps, by_kernel, strict=True)
    ], by_script.refused
    assert by_script.tables == by_kernel[-1].tables


@pytest.mark.parametrize("name", PROGRAMS)
def test_script_does_what_the_program_does(kernel: Kernel, stage: Stage, name: str) -> None:
    """Each step of a script succeeds where the program's does, and it shows the same tables at its end."""
    compared(kernel, PROGRAMS[name], stage.enter(["sh"], terminal=False))


@pytest.mark.parametrize("name", [*WITNESSES, *COVERED])
def test_script_does_so_for_the_root_of_a_user_namespace(kernel: Kernel, name: str) -> None:
    """No more is needed than the rights of who is root in a user namespace."""
    compared(kernel, PROGRAMS[name], [*ordinary(), *ROOTLESS, "sh"])


WIDER = {
    **{f"beginning {n}": [*it] for n, it in enumerate(beyond.BEGINNINGS) if it not in OPENINGS},
    **{f"drawn by {seed}": wider(seed) for seed in range(6)},
    "an open directory keeps no namespace from its end": parse(
        "make-shared /; mount t1 /a; unshare; ns1: make-slave /a; open /a; tree d1 /a; chroot /a; exit"
    ),
}


@pytest.mark.parametrize("name", WIDER)
def test_script_does_what_the_program_beyond_the_model_does(kernel: Kernel, stage: Stage, name: str) -> None:
    """So do scripts of what two kernels differ in, with mounts' options and readers of other roots."""
    program = WIDER[name]
    by_kernel = asked(kernel, program, options=True)
    found = Difference(program, (by_kernel, by_kernel))
    text = differential_script.script(found, ("one", "other"))

    by_script = ran(stage.enter(["sh"], terminal=False), text, options=True)

    assert [bool(it) for it in by_script.refused] == [bool(it.errno) for it in by_kernel], by_script.refused
    assert by_script.tables == by_kernel[-1].tables


def test_script_says_where_it_cannot_do_what_the_program_did(kernel: Kernel, stage: Stage) -> None:
    """What makes a namespace is executed in the first mount: a comment tells where that is not allowed."""
    program = parse("unshare; remount noexec /; ns1: unshare; unshare; ns3: exit")
    by_kernel = asked(kernel, program, options=True)
    text = differential_script.script(Difference(program, (by_kernel, by_kernel)), ("one", "other"))
    told = [step.count("# Here it fails") for step in re.split(r"^echo '# \d", text, flags=re.MULTILINE)]

    by_script = ran(stage.enter(["sh"], terminal=False), text, options=True)

    assert not any(it.errno for it in by_kernel)
    assert [bool(it) for it in by_script.refused] == [False, False, False, True, True]
    assert told == [0, 0, 0, 0, 1, 0]


def test_each_step_is_followed_by_what_it_did() -> None:
    """Steps before the last one tell what both had: an error, or the lines that came and went."""
    steps = replay(parse("mount t1 /a; make-shared /a; umount /b; unshare; umount /a"))
    tables = [render.of_state(step.state) for step in steps]

    text = script(Disagreement(steps, "EBUSY", tables), "6.0")

    assert "\n#   + ns0   /a t1 private\n" in text
    assert "\n#   - ns0   /a t1 private\n#   + ns0   /a t1 shared:1\n" in text
    assert "\n# kernel and model: EINVAL\n" in text
    assert "\n#   + ns1 / w private\n#   + ns1   /a t1 shared:1\n" in text
    assert "\n# kernel: EBUSY\n# model:  done\n" in text


@pytest.mark.parametrize(
    ("program", "lines"),
    [
        ("make-shared /a; make-shared /", ["- ns0 / w private", "+ ns0 / w shared:1"]),
        ("exit", ["- ns1 / w private", "- ns1   /a t1 shared:1"]),
        ("make-private /a; make-shared /a", ["- ns1   /a t1 shared:1", "+ ns1   /a t1 shared:2"]),
    ],
    ids=["a group gets another number", "a namespace ends", "peers part"],
)
def test_changes_are_those_of_mounts_and_not_of_numbers(program: str, lines: list[str]) -> None:
    """What only numbers groups otherwise is no change, unless nothing else tells who are peers."""
    steps = replay(parse(f"mount t1 /a; make-shared /a; unshare; {program.replace('exit', 'ns1: exit')}"))

    assert [*changes(render.of_state(steps[2].state), render.of_state(steps[-1].state))] == lines
