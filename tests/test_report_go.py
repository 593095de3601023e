"""The page about Go and the port: when it is there, and what it gathers."""

from __future__ import annotations

from pathlib import Path

import msgspec
from made_runs import in_order, record, run

from harness import publish, runs
from harness.equivalence.incomparable import COLUMNS, INCOMPARABLE
from harness.evidence import Outcome, Record, Run, Table

DOCUMENT = Path(__file__).parent.parent / "docs" / "go.md"


def about_go(host: str, outcome: Outcome = "passed", *, test: str = "calls", seen: str = "equal") -> Record:
    """A record of an experiment about Go and the port, with a table of one row."""
    table = Table(title="System calls", columns=["description", "verdict"], rows=[["a <root>", f"`{seen}`"]])
    return msgspec.structs.replace(
        record("The same calls.", outcome),
        test=f"experiments/test_go_{test}.py::test_calls[{host}-go-1.27]",
        host=host,
        tables=[table],
    )


def pages(made: Run, reports: Path) -> tuple[str, str]:
    """The run's page, and that about Go and the port, empty where there is none."""
    folder = reports / made.id
    folder.mkdir()
    (folder / runs.FILE).write_bytes(msgspec.json.encode(made))
    publish.render(folder)
    go = folder / publish.GO
    return (folder / publish.PAGE).read_text(), go.read_text() if go.exists() else ""


def test_there_is_none_without_such_experiments(tmp_path: Path) -> None:
    """A run that says nothing of Go and the port has no such page and no link to it."""
    page, go = pages(run(record("It holds.")), tmp_path)

    assert go == ""
    assert publish.GO not in page


def test_hosts_are_together(tmp_path: Path) -> None:
    """The run leads to the page; each question's verdicts are together, the worst first."""
    page, go = pages(run(about_go("old"), record("Other."), about_go("new", "failed")), tmp_path)

    assert 'href="./go.html"' in page
    assert go.count("The same calls.") == 1
    assert "Other." not in go
    assert in_order(go, 'href="./index.html#e3"', "failed", "new-go-1.27", 'href="./index.html#e1"', "passed")


def test_rows_of_one_table_are_joined(tmp_path: Path) -> None:
    """Tables of the same title are one, each row with its host; what a row holds is escaped."""
    _, go = pages(run(about_go("old"), about_go("new", seen="different")), tmp_path)

    assert go.count("System calls") == 2, "the table's heading, and its name for screen readers"
    seen = ("<code>equal</code>", "<td>new</td>", "<code>different</code>")
    assert in_order(go, "<td>old</td>", "a &lt;root&gt;", *seen)
    assert "<root>" not in go


def test_what_is_not_compared_stands_in_the_documentation() -> None:
    """docs/go.md has the table of the report's page, row by row."""
    text = DOCUMENT.read_text(encoding="utf-8")

    assert in_order(
        text, *(f"| {' | '.join(row)} |" for row in (COLUMNS, *(it.cells for it in INCOMPARABLE)))
    )
