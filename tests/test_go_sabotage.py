"""The port with one fault at a time: the search finds each, as root within its default number of trials."""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest
from broken_port import BrokenPort

from harness.equivalence.pair import ORDINARY, Pair
from harness.equivalence.search import PER_EXAMPLE, Search
from harness.hosts.stage import Stage
from harness.isolators.port import Port
from harness.notebook import Notebook

pytest_plugins = ["stand_ins"]

DROPPED = {
    # With maps such a port would wait for ever, as Go does (docs/go.md).
    "Cloneflags": "if not wanted.maps_ids: wanted.cloneflags = 0",
    "one Cloneflag": "wanted.cloneflags &= ~0x08000000",
    "Unshareflags": "if not wanted.maps_ids: wanted.unshareflags = 0",
    "UidMappings": "wanted.uid_mappings = None",
    "GidMappings": "wanted.gid_mappings = None",
    "last mapping": "wanted.uid_mappings = wanted.uid_mappings and wanted.uid_mappings[:1]",
    "GidMappingsEnableSetgroups": "wanted.gid_mappings_enable_setgroups ^= True",
    "Credential": "wanted.credential = None",
    "Groups": "if wanted.credential: wanted.credential.groups = []",
    "NoSetGroups": "if wanted.credential: wanted.credential.no_set_groups ^= True",
    "AmbientCaps": "wanted.ambient_caps = []",
    "last ambient capability": "wanted.ambient_caps = wanted.ambient_caps[:1]",
    "Chroot": "wanted.chroot = ''",
    "Dir": "program.directory = b''",
    "Setsid": "wanted.setsid = False",
    "Setpgid": "wanted.setpgid = False",
    "Pgid": "wanted.pgid = 0",
    "Setctty": "wanted.setctty = False",
    "Noctty": "wanted.noctty = False",
    "Foreground": "wanted.foreground = False",
    "Ctty": "wanted.ctty = 3",
    "Pdeathsig": "wanted.pdeathsig = 0",
    "UseCgroupFD": "wanted.use_cgroup_fd = False",
    "CgroupFD": "wanted.cgroup_fd = 6",
    "PidFD": "wanted.pid_fd = False",
    "ExtraFiles": "program.files = program.files[:3]",
    "Stdin": "program.files[0] = 0",
    "Args": "program.args = program.args[:1]",
    "Env": "program.env = program.env[:1]",
    "signals at their default": "program.handled = [1]",
}
"""What is done before the child is made: a field is dropped, or has another value."""

FORK_EXEC = """
def _fork_exec(program, wanted, made=_fork_exec):
    {}
    return made(program, wanted)
"""

SIGNALS = """
def handled_signals():
    return []
"""

MASK = """
def signals(program, made=signals):
    program.mask = 0
    return made(program)
"""

ORDER = """
def plan(program, attributes, pipes, parent, made=plan):
    planned = made(program, attributes, pipes, parent)
    names = [step.name for step in planned.steps]
    if {early!r} in names and {late!r} in names:
        step = planned.steps.pop(names.index({late!r}))
        planned.steps.insert(names.index({early!r}), step)
    return planned
"""

ORDERS = {
    "chdir before chroot": ("chroot", "chdir"),
    "chroot before unshare": ("unshare", "chroot"),
    "setuid before setgid": ("setgid", "setuid"),
    "setuid before setgroups": ("setgroups", "setuid"),
    "setuid before chroot": ("chroot", "setuid"),
    "capset before setuid": ("setuid", "capset"),
}

STEPS = {
    "private for Cloneflags too": """
def unshare(wanted, made=unshare):
    yield from made(wanted)
    if wanted.cloneflags & CLONE_NEWNS:
        yield Step("mount", b"none", b"/", 0, MS_PRIVATE_REC, 0)
""",
    "never private": """
def unshare(wanted, made=unshare):
    return [step for step in made(wanted) if step.name != "mount"]
""",
    "capabilities not kept": """
def keep_capabilities(wanted):
    return []
""",
    "death signal before the credentials": """
def change_root(wanted, made=change_root):
    yield from made(wanted)
    if wanted.pdeathsig:
        yield Step("prctl", PR_SET_PDEATHSIG, wanted.pdeathsig, 0, 0, 0)

def death_signal(wanted, parent):
    return []
""",
    "descriptors straight down": """
def descriptors(files, report, failure):
    for number, file in enumerate(files):
        if file == -1:
            yield Step("close", number, kind=MAY_FAIL)
        else:
            yield Step("dup3", file, number, 0) if file != number else Step("fcntl", file, F_SETFD, 0)
""",
    "groups although they are denied": """
def credentials(wanted, made=credentials):
    if wanted.credential is not None and not wanted.credential.no_set_groups and not wanted.credential.groups:
        yield Step("setgroups", 0, 0)
    yield from made(wanted)
""",
    "errors of chdir ignored": """
def change_directory(program, made=change_directory):
    for step in made(program):
        step.kind = MAY_FAIL
        yield step
""",
}

ERRORS = {
    "every error EPERM": """
def failed(path, number, made=failed):
    return made(path, 1)
""",
    "errors with a capital": """
def go_error(number):
    return os.strerror(number)
""",
    "map errors swallowed": """
def _write_maps(pid, wanted, made=_write_maps):
    try:
        made(pid, wanted)
    except OSError:
        pass
""",
    "nonsense accepted": """
def _program(description, environment, files, made=_program):
    description.attributes.setctty = False
    return made(description, environment, files)
""",
}

FAULTS: dict[str, tuple[str, str]] = {
    **{f"{name} lost": ("process", FORK_EXEC.format(fault)) for name, fault in DROPPED.items()},
    **{name: ("steps", ORDER.format(early=early, late=late)) for name, (early, late) in ORDERS.items()},
    **{name: ("steps", fault) for name, fault in STEPS.items()},
    **{name: ("process", fault) for name, fault in ERRORS.items()},
    "signals at their default lost": ("process", SIGNALS),
    "mask lost": ("steps", MASK),
}
"""Name → the module of the port's library that is broken, and the code behind it."""

OF_IDENTITIES = {"setuid before setgid", "capset before setuid", "capabilities not kept"}
"""Faults that show where the identity changes to another: the stage of an ordinary user maps one ID."""


OF_AN_ORDINARY_USER = (
    "one Cloneflag lost",
    "Unshareflags lost",
    "UidMappings lost",
    "GidMappingsEnableSetgroups lost",
    "Credential lost",
    "NoSetGroups lost",
    "AmbientCaps lost",
    "Chroot lost",
    "CgroupFD lost",
    "groups although they are denied",
    "map errors swallowed",
)
"""Faults in what takes a capability, or a namespace in which the user has it."""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """One host for all: each fault has a folder and a starter of its own."""
    with Stage(Notebook()) as made:
        yield made


def searched(stage: Stage, broken: Port, times: int = 1, user: int = 0) -> object:
    """What the search finds between the port and another one, within so many times its default number."""
    with Pair(stage, {"port": Port(), "broken": broken}, user) as pair:
        search = Search(pair.outcomes, ("port", "broken"), pair.scratch, user)
        return search.find(times * PER_EXAMPLE * hypothesis.settings().max_examples, shrink=False)


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found(stage: Stage, name: str, request: pytest.FixtureRequest) -> None:
    """A field that is dropped, a wrong order, a wrong error: the search finds a trial that shows it."""
    if name in OF_IDENTITIES:
        request.getfixturevalue("as_root")
    broken = BrokenPort(*FAULTS[name])
    broken.name = f"broken-{[*FAULTS].index(name)}"

    # To an ordinary user most of what is drawn is refused, and then shows little.
    assert searched(stage, broken, times=1 if os.geteuid() == 0 else 4) is not None


@pytest.mark.parametrize("name", OF_AN_ORDINARY_USER)
@pytest.mark.usefixtures("as_root")
def test_an_ordinary_users_search_finds_it_too(stage: Stage, name: str) -> None:
    """Where an ordinary user starts them, within the same number of trials."""
    broken = BrokenPort(*FAULTS[name])
    broken.name = f"broken-{[*FAULTS].index(name)}"

    assert searched(stage, broken, user=ORDINARY) is not None


def test_nothing_is_found_where_nothing_is_broken(stage: Stage) -> None:
    """Control: the same search finds no difference between the port and itself."""
    assert searched(stage, BrokenPort("steps", "\n")) is None
