"""JUnit's XML, as pytest writes it, from runs on disk: each host is a suite, facts are properties."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

from harness.compare import experiment
from harness.evidence import HostDescription, Record, Run

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to hold."""


def render(found: Sequence[Run]) -> str:
    """The runs as one document."""
    root = ElementTree.Element("testsuites", name="nslab")
    for run in found:
        for host in run.hosts.values():
            _suite(root, run, host)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(root: ElementTree.Element, run: Run, host: HostDescription) -> None:
    records = [record for record in run.records if record.host == host.name]
    verdicts = [record.verdict for record in records]
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        name=_legal(host.name),
        timestamp=_legal(run.started),
        tests=str(len(records)),
        failures=str(verdicts.count("failed")),
        errors=str(verdicts.count("error")),
        skipped=str(verdicts.count("skipped") + verdicts.count("known")),
        time=f"{sum(record.seconds for record in records):.3f}",
    )
    _properties(
        suite, {"run": run.id, "kernel": host.kernel, "distribution": host.distribution, **host.tools}
    )
    for record in records:
        _case(suite, record)


def _case(suite: ElementTree.Element, record: Record) -> None:
    module, _, name = experiment(record).partition("::")
    classname = module.removesuffix(".py").replace("/", ".")
    case = ElementTree.SubElement(
        suite, "testcase", classname=_legal(classname), name=_legal(name), time=f"{record.seconds:.3f}"
    )
    _properties(
        case, {"title": record.title, **{f"fact {name}": str(value) for name, value in record.facts.items()}}
    )
    tag = {"failed": "failure", "error": "error", "skipped": "skipped", "known": "skipped"}.get(
        record.verdict
    )
    if tag:
        told = ElementTree.SubElement(
            case, tag, type=f"nslab.{record.verdict}", message=_legal(record.message)
        )
        told.text = _legal(record.details)


def _properties(parent: ElementTree.Element, properties: dict[str, str]) -> None:
    within = ElementTree.SubElement(parent, "properties")
    for name, value in properties.items():
        ElementTree.SubElement(within, "property", name=_legal(name), value=_legal(value))


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)
