"""KCIDB's JSON, in which kernel testers tell each other results: github.com/kernelci/kcidb-io, schema 5.3.

A known difference is an issue, and each experiment that met it an incident of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from harness.compare import experiment
from harness.evidence import HostDescription, KnownDifference, Record, Run
from harness.known import build_of

ORIGIN = "nslab"
"""Who tells it; whoever submits results puts the name there that was agreed on with KernelCI."""

_STATUS = {"passed": "PASS", "failed": "FAIL", "known": "FAIL", "error": "ERROR", "skipped": "SKIP"}
_LONGEST_EXCERPT = 16384

Object = dict[str, Any]


def render(found: Sequence[Run]) -> str:
    """The runs as one document."""
    hosts = [(run, host) for run in found for host in run.hosts.values()]
    differences = {each.id: each for run in found for each in run.known_differences}
    tests = [test for run, host in hosts for test in _tests(run, host)]
    incidents = [incident for run in found for incident in _incidents(run)]
    whole = {
        "version": {"major": 5, "minor": 3},
        "checkouts": _unique(_checkout(host) for _, host in hosts),
        "builds": _unique(_build(host) for _, host in hosts),
        "tests": tests,
        "issues": [_issue(each) for each in differences.values()],
        "incidents": _unique(incidents),
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=2).decode() + "\n"


def _unique(objects: Iterator[Object] | list[Object]) -> list[Object]:
    return list({each["id"]: each for each in objects}.values())


def _id(*parts: str) -> str:
    return f"{ORIGIN}:{_text('/'.join(parts))}"


def _text(text: str) -> str:
    """Text without the one character that the schema forbids."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _checkout(host: HostDescription) -> Object:
    """The source is known by the version alone: packages don't name a commit."""
    return {
        "id": _id(host.kernel),
        "origin": ORIGIN,
        "comment": _text(f"kernel {build_of(host) or host.kernel}"),
        "misc": {"release": host.kernel, "build": host.build},
    }


def _build(host: HostDescription) -> Object:
    return {
        "id": _id(host.kernel, host.architecture),
        "checkout_id": _id(host.kernel),
        "origin": ORIGIN,
        "architecture": re.sub(r"[^a-z0-9_]", "_", host.architecture.lower()),
    }


def _tests(run: Run, host: HostDescription) -> Iterator[Object]:
    environment = {
        "comment": _text(f"{host.kind} {host.name}, {host.distribution}"),
        "misc": {"tools": host.tools, "user": host.user},
    }
    for record in run.records:
        if record.host != host.name:
            continue
        test = {
            "id": _test_id(run, record),
            "build_id": _id(host.kernel, host.architecture),
            "origin": ORIGIN,
            "path": _path(record),
            "status": _STATUS[record.verdict],
            "comment": _text(record.title or experiment(record)),
            "duration": record.seconds,
            "environment": environment,
            "misc": {
                "claims": record.claims,
                "facts": record.facts,
                "message": record.message,
                "run": run.id,
            },
        }
        if record.started:
            test["start_time"] = record.started
        if record.details:
            test["log_excerpt"] = _text(record.details)[-_LONGEST_EXCERPT:]
        yield test


def _test_id(run: Run, record: Record) -> str:
    return _id(run.id, record.test)


def _path(record: Record) -> str:
    """The experiment's place in a tree of tests: ``nslab.test_uts.test_x.go-uts``."""
    words = re.split(r"\.py::|::|[\[\]]", experiment(record).rpartition("/")[2])
    return ".".join([ORIGIN, *(re.sub(r"[^A-Za-z0-9_-]+", "_", word) for word in words if word)])


def _issue(difference: KnownDifference) -> Object:
    return {
        "id": _id(difference.id),
        "version": 1,
        "origin": ORIGIN,
        "comment": _text(difference.what),
        "culprit": {"code": True},
        "misc": {"seen": difference.seen, "not_seen": difference.not_seen, "source": difference.source},
    }


def _incidents(run: Run) -> Iterator[Object]:
    for record in run.records:
        for sighting in record.known:
            yield {
                "id": _id(run.id, record.test, sighting.id),
                "origin": ORIGIN,
                "issue_id": _id(sighting.id),
                "issue_version": 1,
                "test_id": _test_id(run, record),
                "present": True,
            }
