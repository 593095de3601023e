"""Can other tools read what the lab found?"""

from __future__ import annotations

import importlib
import json
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import msgspec
import pytest
from made_runs import record, run
from test_report_hostile import HOSTILE, hostile_run

from harness.evidence import KnownDifference, Outcome, Record, Run, Sighting
from harness.export import junit, kcidb, ktap

KCIDB: Any = importlib.import_module("kcidb_io.schema").V5_3
"""The schema as its makers publish it; the package has no types."""

KNOWN = KnownDifference(
    id="odd", what="Odd.", seen=["6.1"], not_seen=[], source="s", script="x", facts={"f": 1}
)


def known_record() -> Record:
    """A claim that a known difference refutes."""
    sighting = Sighting(id="odd", name="f", value=1, words="odd, not fixed")
    return msgspec.structs.replace(
        record("odd.py::test_it[stage]", "failed"), known=[sighting], message="known: odd"
    )


def every_verdict() -> Run:
    """A run of one experiment for each verdict."""
    passed = msgspec.structs.replace(record("fine.py::test_it[stage-go]"), facts={"f": ["a", "b"]})
    words: tuple[Outcome, ...] = ("failed", "error", "skipped")
    others = [record(f"{word}.py::test_it[stage]", word) for word in words]
    made = run(passed, *others, known_record())
    return msgspec.structs.replace(made, known_differences=[KNOWN])


def test_ktap() -> None:
    """Each host is a test with a plan and one result line for each experiment, directives in KTAP's words."""
    lines = ktap.render([every_verdict()]).splitlines()

    assert lines[:2] == ["KTAP version 1", "1..1"]
    assert lines[-1] == "not ok 1 stage"
    results = [line.strip() for line in lines if re.match(r"  (not )?ok ", line)]
    assert results == [
        "ok 1 experiments/test_fine.py::test_it[go]",
        "not ok 2 experiments/test_failed.py::test_it",
        "not ok 3 experiments/test_error.py::test_it # ERROR Why error.py::test_it[stage]",
        "ok 4 experiments/test_skipped.py::test_it # SKIP Why skipped.py::test_it[stage]",
        "ok 5 experiments/test_odd.py::test_it # XFAIL known: odd",
    ]
    assert "  1..5" in lines
    assert "  # f: ['a', 'b']" in lines


def test_junit() -> None:
    """Each host is a suite, whose counts are those of its cases."""
    suite = ElementTree.fromstring(junit.render([every_verdict()]))[0]  # noqa: S314 - our own

    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5",
        "failures": "1",
        "errors": "1",
        "skipped": "2",
    }
    told = {case.get("classname"): [child.tag for child in case][1:] for case in suite.iter("testcase")}
    assert told["experiments.test_fine"] == []
    assert told["experiments.test_odd"] == ["skipped"]


def test_kcidb() -> None:
    """The JSON is valid under the published schema; a known difference is an issue with an incident."""
    told = json.loads(kcidb.render([every_verdict()]))

    assert KCIDB.validate(told)
    assert [test["status"] for test in told["tests"]] == ["PASS", "FAIL", "ERROR", "SKIP", "FAIL"]
    assert told["tests"][0]["path"] == "nslab.test_fine.test_it.go"
    assert told["issues"][0]["id"] == told["incidents"][0]["issue_id"] == "nslab:odd"
    assert told["incidents"][0]["test_id"] == told["tests"][4]["id"]
    assert {test["build_id"] for test in told["tests"]} == {build["id"] for build in told["builds"]}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text(text: str) -> None:
    """Whatever a name or an output holds, each form stays well-formed."""
    text = text.encode("utf-8", "backslashreplace").decode()  # as the notebook writes it
    made = msgspec.structs.replace(hostile_run(text), started="2026-11-23T21:40:05Z")
    dated = [msgspec.structs.replace(each, started="2026-11-23T21:40:05Z") for each in made.records]
    made = msgspec.structs.replace(made, records=dated)

    assert KCIDB.validate(json.loads(kcidb.render([made])))
    assert ElementTree.fromstring(junit.render([made])).tag == "testsuites"  # noqa: S314 - our own
    lines = ktap.render([made]).splitlines()
    assert all(
        re.match(r"KTAP version 1$|1\.\.|( *)(not ok|ok) \d+ |  (1\.\.|#|KTAP)|ok 1", line) for line in lines
    )
