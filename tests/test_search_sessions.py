"""What a search of a real session finds is kept, tried first by the next one, and drawn again by its seed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from sessions import ROOT, Project

from harness.propagation.programs import OPENINGS

SEARCH = "test_propagation_search.py"
EXPLANATIONS = 10
"""More programs than a search tries to explain what it found."""

BROKEN = """

from harness.propagation.operations import OPERATIONS

OPERATIONS["make-slave"] = lambda state, operation: state
"""
SMALL = """
import hypothesis
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_configure():
    for name in ("nslab", "search"):
        profile = hypothesis.settings.get_profile(name)
        hypothesis.settings.register_profile(f"small-{name}", profile, max_examples=2)
"""


@pytest.fixture
def searching(tmp_path: Path) -> Project:
    """A project whose only experiment is the search of mount propagation."""
    project = Project.make(tmp_path)
    shutil.copy(ROOT / "experiments" / SEARCH, project.folder / "experiments")
    with (project.folder / "conftest.py").open("a") as conftest:
        conftest.write(SMALL)
    mend(project)
    return project


def mend(project: Project) -> None:
    """Have the whole model."""
    shutil.copy(ROOT / "experiments" / "conftest.py", project.folder / "experiments")


def spoil(project: Project) -> None:
    """Break a rule of the model."""
    with (project.folder / "experiments" / "conftest.py").open("a") as conftest:
        conftest.write(BROKEN)


def record(project: Project, *options: str, passes: bool = True) -> dict[str, Any]:
    """The record of a session that passes, or fails."""
    ended = project.run(*options)
    assert ended.status == (0 if passes else 1), ended.output
    found: dict[str, Any] = project.runs()[-1]["records"][0]
    return found


def programs(record: dict[str, Any]) -> int:
    """How many programs a search ran."""
    return int(record["facts"]["propagation.programs"])


def kept(project: Project) -> list[Path]:
    """What is in the database, but for its own list of keys."""
    examples = project.folder / ".hypothesis" / "examples"
    return [file for file in examples.rglob("*") if file.is_file() and b"[[" in file.read_bytes()]


@pytest.mark.parametrize("profile", ["nslab", "search"])
def test_next_session_begins_with_what_was_found(searching: Project, profile: str) -> None:
    """A session finds a broken rule by its first program if the one before did; mended, it is forgotten."""
    options = [f"--hypothesis-profile={profile}"]
    spoil(searching)
    first = record(searching, *options, passes=False)
    assert kept(searching)
    second = record(searching, *options, passes=False)

    assert programs(first) > len(OPENINGS), "control: it is not found by one of the first programs"
    assert programs(second) <= EXPLANATIONS
    assert first["scripts"] == second["scripts"]

    mend(searching)
    record(searching, "--hypothesis-profile=small-nslab")
    assert not kept(searching)


def test_nothing_is_kept_where_nothing_is_found(searching: Project) -> None:
    """A session without a finding leaves no database behind."""
    record(searching, "--hypothesis-profile=small-nslab")

    assert not (searching.folder / ".hypothesis" / "examples").exists()


def test_database_that_cannot_be_written_breaks_nothing(searching: Project) -> None:
    """Where nothing can be kept the search finds what it finds, and a line tells of it."""
    (searching.folder / ".hypothesis").write_text("no folder")
    spoil(searching)

    assert "not kept for the next time: can't write" in record(searching, passes=False)["details"]
    mend(searching)
    record(searching, "--hypothesis-profile=small-nslab")


def drawn(project: Project, *options: str) -> tuple[str, list[list[Any]]]:
    """The seed that the record of a session tells, and what its search reached."""
    (table,) = record(project, *options)["tables"]
    return table["title"].partition("(")[2].partition(")")[0], table["rows"]


def test_seed_repeats_a_search(searching: Project) -> None:
    """The record tells the seed, by which a session draws the same again, also where chance decided."""
    by_chance = "--hypothesis-profile=small-search"
    seed, rows = drawn(searching, by_chance)

    assert drawn(searching, by_chance, seed) == (seed, rows)
    other, others = drawn(searching, by_chance)
    assert other != seed
    assert others != rows, "control: another seed draws something else"
    assert drawn(searching, "--hypothesis-profile=small-nslab", seed) == (seed, rows)


def test_without_chance_each_session_draws_the_same(searching: Project) -> None:
    """In the default profile nothing is left to chance; a seed that is no number is one too."""
    profile = "--hypothesis-profile=small-nslab"
    seed, rows = drawn(searching, profile)

    assert drawn(searching, profile) == (seed, rows)
    assert drawn(searching, profile, seed) == (seed, rows)
    assert drawn(searching, profile, "--hypothesis-seed=a word")[1] != rows


def test_search_goes_on_for_as_long_as_it_is_told(searching: Project) -> None:
    """With --search-for a search runs for that time, whatever the profile says."""
    profile = "--hypothesis-profile=small-nslab"
    short = record(searching, profile)
    long = record(searching, profile, "--search-for=5s")

    assert programs(long) > programs(short)
    assert long["seconds"] > 5
    (table,) = long["tables"]
    assert "--hypothesis-seed=0" in table["title"]


@pytest.mark.parametrize("time", ["", "3", "-3s", "1e3s", "0s", "0.0h"])
def test_what_is_no_time_is_refused(searching: Project, time: str) -> None:
    """What is no time is refused before anything runs, with what is expected."""
    ended = searching.run(f"--search-for={time}")

    assert ended.status == 4, ended.output
    assert f"--search-for={time}: expected a time such as 90s, 30m, 8h or 2d" in ended.output
