"""Each rule of the model can be refuted: broken, it is found by the search and by the written experiments."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import Mock

import hypothesis
import pytest
from propagation_table import EXPERIMENTS, RULES, SITUATIONS, TABLES, promises, rows, table
from sabotaged_models import SABOTAGES, Broken, Sabotage, Whole, answers

from harness.propagation import namespaces, render
from harness.propagation.operations import Operation
from harness.propagation.programs import parse, possible, replay
from harness.propagation.state import LOST_UNBINDABLE
from harness.search.effort import PER_EXAMPLE
from harness.search.hold import WITNESSES, Search
from harness.search.promised import Held, Left, Promises, held, left

PROGRAMS = hypothesis.settings.get_profile("nslab").max_examples * PER_EXAMPLE
"""As many as the search of `pytest experiments/` runs."""


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.rule)
def test_broken_rule_is_found(sabotage: Sabotage) -> None:
    """A model with one rule broken is told from the whole one."""
    with Broken(sabotage) as broken:
        found = Search(Whole(broken)).run(PROGRAMS, seed=1)

    assert found, f"no program of {PROGRAMS} tells that {sabotage.rule}"


OLD_MASTER = Sabotage(
    "another owner's copy has the old master",
    namespaces,
    "less_privileged",
    "master=mount.group",
    "master=mount.master or mount.group",
)
"""All types are as they were; only the groups are others."""


@pytest.mark.parametrize("sabotage", [*SABOTAGES, OLD_MASTER], ids=lambda sabotage: sabotage.rule)
def test_broken_rule_is_in_an_experiment(sabotage: Sabotage, whole: dict[str, Went]) -> None:
    """A program of a cell or of a situation goes otherwise where a rule is broken."""
    with Broken(sabotage):
        assert any(went(program) != as_promised for program, as_promised in whole.items())


Went = tuple[list[str], render.Tables]
"""The errors of a program's steps, and the tables after the last one."""


@pytest.fixture(scope="module")
def whole() -> dict[str, Went]:
    """How the programs of all cells and situations go where no rule is broken."""
    told = [promises(file) for file in (*SITUATIONS, *RULES, TABLES)]
    return {program: went(program) for programs in told for program, _ in programs.values()}


def went(program: str) -> Went:
    """What the model says of a program."""
    steps = replay(parse(program))
    return [step.errno for step in steps], render.of_state(steps[-1].state)


def test_all_that_is_not_as_promised_is_told() -> None:
    """One experiment tells by name of every situation that a kernel has otherwise, and of no other."""
    situations = promises("test_propagation_umount.py")
    sabotage = next(it for it in SABOTAGES if it.rule == "a counterpart goes with what is on it")
    with Broken(sabotage) as broken:
        found = [*held(Whole(broken), situations, left, lambda _: False)]

    assert [it.name for it in found] == [*situations]
    assert [it.name for it in found if it.broken] == [
        "a peer's mount that has something on it stays, all others go",
        "of a detached tree one counterpart stays under what is mounted on it alone",
        "of a detached tree all counterparts stay under what is mounted on the last alone",
        "what covers a stack of counterparts slides down to where the stack stood",
    ]


def test_known_difference_breaks_no_promise() -> None:
    """What one difference alone explains is told by its name where it is known of the kernel, else broken."""
    program = WITNESSES[LOST_UNBINDABLE]
    promised: Promises[Left] = {
        "lost": ("; ".join(map(str, program)), {0: "/ w unbindable", 1: "/ w unbindable"})
    }
    steps = replay(program, {LOST_UNBINDABLE})

    def found(known: Callable[[str], bool]) -> Held:
        kernel = Mock(receive=lambda: answers((step.errno, step.state) for step in steps))
        return next(held(kernel, promised, left, known))

    assert found(lambda name: name == LOST_UNBINDABLE).verdict == LOST_UNBINDABLE
    assert found(lambda _: False).verdict == "broken"


def test_what_is_written_down_counts_where_the_model_has_it_as_the_kernel() -> None:
    """A promise other than what kernel and model have is broken, too."""
    program = "mount a /a; move /a/a /b"
    seen = {0: "/a a", "refused": "ns0: move /a/a /b: EINVAL"}
    promised = {"kept": (program, seen), "broken": (program, {0: "/a a"})}
    with Broken(SABOTAGES[0]) as broken, broken.mended():
        found = [*held(Whole(broken), promised, left, lambda _: False)]

    assert [it.verdict for it in found] == ["kept", "broken"]
    assert found[1].broken == f"broken: {program}\n  promised: {{0: '/a a'}}\n  seen:     {seen}\n"


def test_first_mount_is_moved_only_where_its_lock_is_told() -> None:
    """On an ordinary user's stage every first mount is locked: none that the model has free is moved."""
    state = replay(parse("unshare; unshare-user"))[-1].state
    moved = [number for number in state.namespaces if possible(Operation("move", number, "/a", "/"), state)]

    assert moved == [2]


def test_every_script_is_told() -> None:
    """Each of fs_bind's 95 scripts is told by an experiment."""
    assert len({name.partition(",")[0] for name, _, _ in rows() if name.startswith("fs_bind")}) == 95


def test_every_cell_is_reached() -> None:
    """The search of `pytest experiments/` reaches every cell of the rules' tables, whatever it draws."""
    for seed in range(10):
        search = Search(Whole())
        assert search.run(PROGRAMS, seed) is None
        assert not [cell for cell, times in search.coverage() if not times]


def test_page_says_what_is_tested_where() -> None:
    """docs/propagation.md is what the experiments make of it, and every experiment and situation is there."""
    assert (EXPERIMENTS.parent / "docs" / "propagation.md").read_text() == table()
    for _, _, experiment in rows():
        file, _, test = experiment.partition("::")
        assert f"def {test.partition('[')[0]}(" in (EXPERIMENTS / file).read_text()
