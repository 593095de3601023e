"""Two hosts held against each other: a host that deviates is found, and what is known is passed over."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import hypothesis
import pytest
from played import Played

from harness.hosts.stage import Stage
from harness.notebook import Notebook
from harness.propagation import render
from harness.propagation.programs import parse
from harness.propagation.state import LOST_COVER, LOST_UNBINDABLE
from harness.search import beyond, beyond_on_host, births, calls, chain, on_host
from harness.search.differential import Difference, Reason, Search, explained, shown, without_trees
from harness.search.differential_script import script, told
from harness.search.effort import PER_EXAMPLE
from harness.search.hold import WITNESSES
from harness.search.kernel import Kernel, wider_worker
from harness.search.why import Shown, told_by_known
from harness.worker import Worker

LIMIT = 30.0
BUDGET = hypothesis.settings.get_profile("nslab").max_examples * PER_EXAMPLE
"""Programs of the search in `pytest experiments/ --differential`."""

NAMES = ("whole", "broken")


class Deviation(NamedTuple):
    """What one host does otherwise: in a module that runs there one text stands for another."""

    what: str
    module: ModuleType
    old: str
    new: str


DEVIATIONS = [
    Deviation(
        "a mount comes on top instead of beneath",
        calls,
        "BENEATH = 0x4, 0x100, 0x200",
        "BENEATH = 0x4, 0x100, 0",
    ),
    Deviation("a group is not handed on", beyond_on_host, "move_mount(source, target, SET_GROUP)", "None"),
    Deviation(
        "mount_setattr changes one mount of a tree", beyond_on_host, "source, AT_RECURSIVE)", "source, 0)"
    ),
    Deviation("an attribute is lost", calls, '"noexec": 8, "noatime"', '"noexec": 0, "noatime"'),
    Deviation("mount_setattr leaves propagation alone", calls, "off, propagation, 0)", "off, 0, 0)"),
    Deviation(
        "a tree is copied alone", beyond_on_host, "source, target, AT_RECURSIVE)", "source, target, 0)"
    ),
    Deviation(
        "a remount that clears all makes read-only",
        calls,
        "total(words, FLAGS), None",
        "(total(words, FLAGS) or 1), None",
    ),
    Deviation(
        "an open directory keeps nothing busy", beyond_on_host, "self.held.append(os.open", "os.close(os.open"
    ),
    Deviation(
        "a working directory keeps nothing busy", beyond_on_host, "os.chdir(target)\n        wait,", "wait,"
    ),
    Deviation("a reader stays at the root", beyond_on_host, 'os.chroot(".")\n            number', "number"),
    Deviation("an umount detaches", on_host, "umount2(path, 0)", "umount2(path, DETACH)"),
    Deviation("a bind takes the tree", on_host, '"bind": BIND,', '"bind": BIND | REC,'),
]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """A host of this machine."""
    with Stage(Notebook(), LIMIT) as made:
        yield made


@pytest.fixture(scope="module")
def whole(stage: Stage) -> Iterator[Kernel]:
    """A host as it is."""
    with wider_worker(stage) as worker:
        yield Kernel(worker)


def changed(deviations: Sequence[Deviation], folder: Path) -> list[ModuleType]:
    """What runs on a host that deviates: the modules, some of them others."""
    modules = []
    for module in (calls, chain, births, on_host, beyond_on_host):
        assert module.__file__
        text = Path(module.__file__).read_text()
        for deviation in deviations:
            if deviation.module is module:
                assert text.count(deviation.old) == 1, f"{deviation.old!r} is not there once"
                text = text.replace(deviation.old, deviation.new)
        file = folder / Path(module.__file__).name
        file.write_text(text)
        spec = importlib.util.spec_from_file_location(module.__name__, file)
        assert spec
        modules.append(importlib.util.module_from_spec(spec))
    return modules


@contextmanager
def broken(stage: Stage, folder: Path, *deviations: Deviation) -> Iterator[Kernel]:
    """A host that deviates."""
    *beside, main = changed(deviations, folder)
    with Worker(stage, main, beside=beside) as worker:
        yield Kernel(worker)


def by_name(what: str) -> Deviation:
    """One of the deviations."""
    return next(deviation for deviation in DEVIATIONS if deviation.what == what)


@pytest.mark.parametrize("deviation", DEVIATIONS, ids=lambda deviation: deviation.what)
def test_deviation_is_found(stage: Stage, whole: Kernel, deviation: Deviation, tmp_path: Path) -> None:
    """A host that does one thing otherwise is told from a whole one, in a short program."""
    with broken(stage, tmp_path, deviation) as other:
        found = Search((whole, other)).run(BUDGET, seed=1)

    assert found, f"no program of {BUDGET} tells that {deviation.what}"
    assert len(found.operations) <= 6, told(found, NAMES)


def test_same_host_does_not_differ(stage: Stage, whole: Kernel, tmp_path: Path) -> None:
    """Control: a search finds nothing between two hosts that do the same, with every kind of operation."""
    with broken(stage, tmp_path) as other:
        search = Search((whole, other))

        assert search.run(BUDGET, seed=1) is None

    assert search.programs >= BUDGET
    assert beyond.WEIGHTS.keys() <= search.kinds.keys()


def test_search_goes_on_behind_what_is_explained(stage: Stage, whole: Kernel, tmp_path: Path) -> None:
    """A difference that is explained is counted and passed over; one that is not is found behind it."""
    known, new = by_name("a mount comes on top instead of beneath"), by_name("an attribute is lost")

    def explain(found: Difference) -> Reason | None:
        return Reason("beneath") if "beneath" in found.operations[-1].kind else None

    with broken(stage, tmp_path, known, new) as other:
        search = Search((whole, other), explain=explain)
        found = search.run(BUDGET, seed=1)

    assert search.explained["beneath"]
    assert found
    assert found.operations[-1].kind in ("setattr", "setattr-r", "remount")


@pytest.mark.parametrize(
    ("remount", "explains"), [("it.trees or remount", True), ("None and remount", False)]
)
def test_reason_must_be_why_hosts_differ(
    stage: Stage, whole: Kernel, tmp_path: Path, remount: str, explains: bool
) -> None:
    """What is said to come of detached trees is not explained where hosts differ without them too."""
    deviation = Deviation(
        "a remount does nothing", beyond_on_host, "source: remount(target", f"source: {remount}(target"
    )
    program = parse("mount t1 /a; tree d1 /a; remount ro /a; umount /a")
    with broken(stage, tmp_path, deviation) as other:
        search = Search((whole, other), explain=lambda _: Reason("trees", unless="close"))
        found = search.check(program)

    assert bool(search.explained["trees"]) == explains
    assert (len(found.operations) if found else 0) == (0 if explains else 3)


@pytest.mark.parametrize(
    ("program", "control"),
    [
        ("tree d1 /; mount t2 /", "tree d1 /; close t2; mount t2 /"),
        ("tree d1 /; tree d2 /; attach d2 /a", "tree d1 /; tree d2 /; close; tree d2 /; attach d2 /a"),
        ("tree d1 /; attach d1 /a; attach d1 /b", "tree d1 /; attach d1 /a; close d1; attach d1 /b"),
    ],
    ids=["another one", "the step's own", "one that is mounted"],
)
def test_trees_are_let_go_before_the_last_step(program: str, control: str) -> None:
    """What the last step itself attaches is copied anew, or kept where it is mounted."""
    made = without_trees(parse(program), "close")

    assert [str(it) for it in made] == [f"ns0: {it.strip()}" for it in control.split(";")]


@pytest.mark.parametrize("name", WITNESSES)
def test_known_difference_of_the_model_explains(name: str) -> None:
    """A difference that models have is told by its name where it is known, and is found where it is not."""
    hosts = Played(), Played(name)
    known = Search(hosts, (set(), {name}))

    assert known.check(WITNESSES[name]) is None
    assert known.run(BUDGET, seed=1) is None
    assert known.explained.keys() == {name}
    found = Search(hosts).check(WITNESSES[name])
    assert found
    assert len(found.operations) == len(WITNESSES[name])


BEYOND = {
    "covered by mounting beneath": (
        "mount t1 /a; make-shared /; unshare-user; mount-beneath t2 /a; ns1: tree d1 /"
    ),
    "covered by a tree of another owner": (
        "make-shared /; unshare-user; ns1: mount t2 /a; ns1: tree-r d4 /; ns1: unshare-first; attach d4 /a;"
        "ns2: bind / /"
    ),
    "taken away with a tree of another owner": (
        "mount t1 /a; make-shared /a; unshare; unshare-user; ns2: bind /a /a/a; ns2: tree-r d15 /;"
        "ns2: unshare-user; attach d15 /a/a; umount-l /a"
    ),
    "moved beneath what covers the root": (
        "make-shared /; mount t1 /a; unshare-user; mount-beneath t2 /a; bind / /; umount /a;"
        "ns1: move-beneath /a /"
    ),
}
"""What shows that a cover is not locked behind operations that the model does not have."""


def test_tree_that_is_attached_is_moved_in_the_model() -> None:
    """A tree that is attached a second time goes there with what is on it, and is no longer where it was."""
    program = parse("mount t1 /a; tree d1 /; attach d1 /a; mount t2 /a/b; setattr shared d1; attach d1 /b")

    *_, last = beyond.replay(program, set())

    assert [str(line) for line in beyond.shown(last)[0]] == [
        "/ w private",
        "  /a t1 private",
        "  /b w shared:1",
        "    /b/b t2 private",
    ]


@pytest.mark.parametrize("program", BEYOND.values(), ids=BEYOND)
def test_known_difference_explains_behind_what_is_beyond_the_model(program: str) -> None:
    """A difference of the model is told too where operations beyond it lead there: 7.0 beside 7.1."""
    search = Search((Played(LOST_COVER), Played()), ({LOST_COVER}, set()))

    assert search.check(parse(program)) is None
    assert search.explained == {LOST_COVER: 1}
    assert Search((Played(LOST_COVER), Played())).check(parse(program))


def test_busy_mount_stays_in_the_model() -> None:
    """An umount that a host refuses because a file is open there changes nothing."""
    operations = parse("mount t1 /a; open /a; umount /a; make-unbindable /a; unshare")

    *_, last = beyond.replay(operations, set(), ["", "", "EBUSY", ""])

    assert [str(line) for line in beyond.shown(last)[1]] == ["/ w private", "  /a t1 unbindable"]


def lines(*tags: str) -> render.Table:
    """A table of a first mount that is private and of one with these tags."""
    return (render.Line(0, "/", "w", "/", ()), render.Line(1, "/a", "t1", "/", tags))


@pytest.mark.parametrize(
    ("program", "lost", "known", "explained"),
    [
        ("set-group /b /a; unshare", {0: lines("unbindable"), 1: lines()}, LOST_UNBINDABLE, True),
        ("set-group /b /a; unshare", {0: lines("unbindable"), 1: lines()}, LOST_COVER, False),
        ("set-group /b /a; unshare", {0: lines(), 1: lines("unbindable")}, LOST_UNBINDABLE, False),
        ("set-group /b /a; unshare", {0: lines("unbindable"), 1: lines("ro")}, LOST_UNBINDABLE, False),
        ("set-group /b /a; remount /a", {0: lines("unbindable"), 1: lines()}, LOST_UNBINDABLE, False),
    ],
    ids=["lost in the new one", "not known", "lost in the old one", "more is lost", "not when it is made"],
)
def test_lost_unbindable_is_told_whatever_came_before(
    program: str, lost: render.Tables, known: str, explained: bool
) -> None:
    """That a new namespace has lost `unbindable`, and nothing else, is told by tables alone."""
    before = Shown("", {0: lines("unbindable")})
    kept = Shown("", {0: lines("unbindable"), 1: lines("unbindable")})
    shown = ([before, Shown("", lost)], [before, kept])

    assert told_by_known(parse(program), shown, ({known}, set())) == (known if explained else "")


@pytest.mark.parametrize(
    ("program", "builds", "words"),
    [
        ("mount t1 /a; mount-beneath t2 /a", ("5.10.262", "6.12.118"), "MOVE_MOUNT_BENEATH: "),
        ("mount t1 /a; mount-beneath t2 /a", ("6.12.118", "5.10.262"), ""),
        ("mount t1 /a; umount /a", ("5.10.262", "6.12.118"), ""),
        ("mount t1 /a; mount-beneath t2 /a", ("6.12.118", "6.16.12"), ""),
        ("mount t1 /a; mount-beneath t2 /a", ("7.0.13", "7.1.13"), "MOVE_MOUNT_BENEATH beneath the root: "),
    ],
    ids=["the older lacks it", "the newer lacks it", "something else", "both have it", "more of it"],
)
def test_change_explains_what_the_older_lacks(program: str, builds: tuple[str, str], words: str) -> None:
    """A call that the older of two kernels lacks is explained by the change that brought it; nothing else."""
    operations = parse(program)
    nothing: list[Shown] = [Shown("", {})] * (len(operations) - 1)
    found = Difference(operations, ([*nothing, Shown("EINVAL", {})], [*nothing, Shown("", {})]))

    why = explained(found, builds)

    assert bool(why) == bool(words)
    assert not why or why.words.startswith(words)


PROGRAM = (
    "mount t1 /a; make-shared /a; tree d1 /a; attach d1 /b; make-private /b; set-group /a /b;"
    "setattr noexec /b; remount nosuid /b; chroot /a; open /b; cwd /b; write /a; let-go; unshare-user;"
    "umount-l /b; mount-beneath t3 /a"
)
"""Something of everything that a script must be able to do."""


def test_script_shows_the_difference_alone(stage: Stage, whole: Kernel, tmp_path: Path) -> None:
    """The script of a difference runs without the lab and without an error, and shows what this host has."""
    operations = parse(PROGRAM)
    with broken(stage, tmp_path, by_name("a mount comes on top instead of beneath")) as other:
        found = Search((whole, other)).check(operations)
    assert found
    file = tmp_path / "differential.sh"
    file.write_text(script(found, NAMES))
    assert "nslab" not in file.read_text().lower()

    shown = subprocess.run(
        stage.enter(["sh", str(file)], terminal=False),
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )

    assert (shown.returncode, shown.stderr) == (0, "")
    first, _, last = shown.stdout.partition("ns1:")
    below = re.search(r"(\d+) \d+ \S+ / /a \S+ - tmpfs t3", first)
    assert below
    assert re.search(rf"\d+ {below[1]} \S+ / /a \S+ shared:\d+ - tmpfs t1", first)
    assert "reader k9:" in last


def test_no_model_explains_what_models_do_not_have() -> None:
    """Where only mounts' options differ, a known difference that both hosts have is no reason."""
    program = parse("make-unbindable /; unshare; setattr ro /")
    host = Played(LOST_UNBINDABLE)
    host.send(program)
    steps = shown(host.receive())
    first, *others = steps[-1].tables[0]
    table = (first._replace(tags=(*first.tags, "ro,relatime")), *others)
    changed = [*steps[:-1], steps[-1]._replace(tables={**steps[-1].tables, 0: table})]
    known = {LOST_UNBINDABLE}, {LOST_UNBINDABLE, LOST_COVER}

    assert told_by_known(program, (steps, changed), known) == ""
