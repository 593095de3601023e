"""Are known differences told as known, new ones as new, and entries that are no longer true as stale?"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from sessions import Project
from test_compare import run_of

from harness import known
from harness.errors import UnmetNeedError
from harness.evidence import HostDescription, KnownDifference, Sighting, Value
from harness.report import render_run

pytest_plugins = ["stand_ins"]

ENTRY = """
[[difference]]
id = "odd"
what = "The kernel answers 7."
seen = ["6.2.1", "6.4.9"]
not_seen = ["6.1.5", "6.5.2"]
source = "a selftest"
script = "exit 7"
facts = { "f.*" = 7 }
claims = { "uts-1" = "*odd*" }
rules = { "copy" = "lost" }
"""

CHANGE = """
[[change]]
id = "call"
what = "There is a call."
source = "its page"
"""


def difference() -> KnownDifference:
    """One that two builds have, with others on both sides."""
    return KnownDifference(
        id="odd",
        what="The kernel answers 7.",
        seen=["6.2.1", "6.4.9"],
        not_seen=["6.1.5", "6.5.2"],
        source="a selftest",
        script="exit 7",
        facts={"f.*": 7},
    )


def host(kernel: str, *, build: str = "", kind: str = "stage", name: str = "stage") -> HostDescription:
    """A host of this kernel."""
    return HostDescription(
        name=name, kind=kind, kernel=kernel, distribution="", architecture="", user="", tools={}, build=build
    )


@pytest.mark.parametrize("entry", known.read().differences, ids=lambda entry: entry.id)
def test_entries_scripts_are_shells(entry: KnownDifference) -> None:
    """Each script begins as a shell script does, so that it can be run by itself."""
    assert entry.script.lstrip().startswith("#!/bin/sh\n")


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        ("6.0.1", "unrecorded"),
        ("6.1.5", "not seen"),
        ("6.2.0", "unrecorded"),
        ("6.2.1", "seen"),
        ("6.3.77", "seen"),
        ("6.4.9", "seen"),
        ("6.4.10", "unrecorded"),
        ("6.5.2", "not seen"),
        ("7.0.1", "not seen"),
    ],
)
def test_window(build: str, expected: known.Window) -> None:
    """Between two builds that agree a build is as they are; beyond a fix, the difference is not expected."""
    assert known.window(difference(), build) == expected


@pytest.mark.parametrize(
    ("told", "build"),
    [
        (host("6.18.44-custom"), "6.18.44"),
        (host("6.1.0-43-amd64", build="#1 SMP Debian 6.1.192-1 (2026-10-01)"), "6.1.192"),
        (host("6.18.15+deb13-cloud-amd64", build="#1 SMP Debian 6.18.15-1~bpo13+1 (2026)"), "6.18.15"),
        (host("6.8.0-45-generic", build="Ubuntu 6.8.0-45.45-generic 6.8.12"), "6.8.12"),
        (host("5.10.0-46-cloud-amd64", kind="guest", name="5.10.262"), "5.10.262"),
        (host(""), ""),
    ],
)
def test_build_is_the_version_and_not_the_release(told: HostDescription, build: str) -> None:
    """A distribution's kernel is told by the version it was made from."""
    assert known.build_of(told) == build


@pytest.mark.parametrize(
    ("build", "name", "value", "is_known"),
    [
        ("6.2.1", "f.x", 7, True),
        ("6.4.10", "f.x", 7, True),
        ("6.2.1", "f.x", 8, False),
        ("6.2.1", "g.x", 7, False),
        ("6.5.2", "f.x", 7, False),
        ("", "f.x", 7, False),
    ],
)
def test_match(build: str, name: str, value: Value, is_known: bool) -> None:
    """Known is only this deviation, and not on a build that is recorded to be without it."""
    assert bool(known.match([difference()], build, "facts", name, value)) == is_known


def test_words_name_the_fix() -> None:
    """A person reads where it is fixed, or that no build is known that is without it."""
    entry = difference()

    assert known.words(entry, "6.2.1") == "odd, fixed in 6.5.2: The kernel answers 7."
    unfixed = msgspec.structs.replace(entry, not_seen=["6.1.5"])
    assert known.words(unfixed, "6.4.9").startswith("odd, not fixed in any build that was seen: ")


@pytest.mark.parametrize(
    ("kernel", "facts", "stale"),
    [
        ("6.3.1", {"f.x": 8}, True),
        ("6.3.1", {"f.x": 8, "f.y": 7}, False),
        ("6.3.1", {"g": 8}, False),
        ("6.5.2", {"f.x": 8}, False),
        ("6.4.10", {"f.x": 8}, False),
    ],
)
def test_entry_that_is_no_longer_seen_is_stale(kernel: str, facts: dict[str, Value], stale: bool) -> None:
    """Stale is an entry that was looked for on a build of its window, in vain."""
    found = known.stale(run_of("a", kernel, {"t": "passed"}, facts), [difference()])

    assert bool(found) == stale
    if stale:
        assert "odd is stale: not seen on stage (kernel 6.3.1), f.x is 8; add 6.3.1" in found[0].words


BAD = {
    "not TOML": ("[[difference]", "Expected"),
    "another table": ("[[diference]]", "'diference' is no table of it"),
    "no list": ("difference = 1", "entry 'number 1': Expected `object`"),
    "a field is missing": ('[[difference]]\nid = "x"', "entry 'x': Object missing required field `what`"),
    "a field too many": (ENTRY + 'fatcs = "x"', "entry 'odd': 'fatcs' is no field of it"),
    "an id twice": (ENTRY + ENTRY, "two entries have the id 'odd'"),
    "a build in words": (ENTRY.replace('"6.4.9"', '"6.4+"'), "build '6.4+': expected a version such as"),
    "a build of both": (ENTRY.replace('"6.4.9"', '"6.5.2"'), "build 6.5.2 is among seen and not_seen"),
    "no build": (ENTRY.replace('"6.2.1", "6.4.9"', ""), "seen is empty"),
    "no script": (ENTRY.replace("exit 7", ""), "script is empty"),
    "nothing explained": (ENTRY.partition("facts")[0], "it explains nothing"),
    "steps of any builds": (CHANGE + 'steps = { "x" = "EINVAL" }', "steps need between = [the newest build"),
    "steps of builds in disorder": (
        CHANGE + 'steps = { "x" = "EINVAL" }\nbetween = ["7.1.13", "7.0.13"]',
        "got ['7.1.13', '7.0.13']",
    ),
    "a change that explains nothing": (CHANGE, "it explains nothing; give it facts or steps"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_entry(tmp_path: Path, name: str) -> None:
    """An entry that can't be used is refused in one line that names file, entry and what was expected."""
    content, sentence = BAD[name]
    file = tmp_path / "known.toml"
    file.write_text(content)

    with pytest.raises(UnmetNeedError) as refused:
        known.read(file)
    assert str(refused.value).startswith(f"{file}: ")
    assert sentence in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


CONFTEST = """
import os
from harness import known
from harness.evidence import KnownDifference

HERE = os.uname().release.partition("-")[0]
ENTRY = KnownDifference(id="odd", what="It is odd.", seen=[HERE], not_seen=["99.9"], source="s",
                        script="exit 7", facts={"f": 7}, claims={"uts-1": "*odd <name>*"})
known.read = lambda: known.Known([ENTRY], [])
"""
DEVIATES = '''
import pytest

def test_known(host, fact, known):
    """It deviates as is known."""
    fact("f", 7)
    assert known(fact="f", value=7)

def test_new(host, known):
    """It deviates as is known, and in a new way."""
    assert known(fact="f", value=7)
    assert known(fact="f", value=8), "new"

@pytest.mark.claim(id="uts-1")
def test_claim(host):
    """It is refuted as is known."""
    assert host.check_output("echo 'odd <name>'") == "even", "odd <name>"

@pytest.mark.claim(id="uts-1")
def test_other(host):
    """It is refuted in another way."""
    assert host.check_output("echo seen") == "expected"
'''


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_session(project: Project, workers: str) -> None:
    """Known deviations are pytest's expected failures, `known` on the page; new ones fail as ever."""
    with (project.folder / "conftest.py").open("a") as conftest:
        conftest.write(CONFTEST)
    project.experiment(DEVIATES)
    ended = project.run(workers, "-rx")

    assert "2 failed, 2 xfailed" in ended.output
    assert "known: odd, fixed in 99.9: It is odd." in ended.output
    (run,) = project.runs()
    told = {each["test"].partition("::")[2]: each for each in run["records"]}
    assert {each["outcome"] for each in told.values()} == {"failed"}
    assert [name for name, each in sorted(told.items()) if each.get("known")] == [
        "test_claim[stage]",
        "test_known[stage]",
    ]
    assert run["known_differences"][0]["id"] == "odd"
    page = next(project.reports.glob("*/index.html")).read_text()
    assert page.count('<details class="record known">') == 2


def test_page_of_old_run_still_renders() -> None:
    """A run from before known differences were told has none."""
    assert "0</b>" in render_run(run_of("a", "6.1", {"t": "passed"}))


def test_page_tells_what_is_known_of_what_was_met() -> None:
    """The page names the difference, its builds, its source and its script, and an entry that is stale."""
    sighting = Sighting(id="odd", name="f.x", value=7, words="odd, fixed in 6.5.2: The kernel answers 7.")
    made = run_of("a", "6.3.1", {"t": "failed"}, {"f.x": 7})
    made.records[0] = msgspec.structs.replace(made.records[0], known=[sighting])
    page = render_run(msgspec.structs.replace(made, known_differences=[difference()]))
    gone = run_of("b", "6.3.1", {"t": "passed"}, {"f.x": 8})

    assert "≈</span> known</b> odd, fixed in 6.5.2" in page
    assert "<b>Seen</b> in 6.2.1, 6.4.9; <b>not seen</b> in 6.1.5, 6.5.2." in page
    assert "<pre>exit 7</pre>" in page
    assert "odd is stale" in render_run(msgspec.structs.replace(gone, known_differences=[difference()]))
