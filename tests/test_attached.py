"""Does what an experiment leaves arrive whole: in the record, on the page, and as files to run?"""

from __future__ import annotations

import subprocess

import msgspec
import pytest
from made_runs import in_order, record, run
from sessions import Project

from harness import runs
from harness.evidence import Cell, Script, Table
from harness.notebook import Notebook
from harness.report import page, render_run

pytest_plugins = ["stand_ins"]

ATTACHES = '''
from harness.evidence import Forest, Tree

def test_attaches(host, notebook):
    """It leaves a table, a script and trees."""
    notebook.table("Sizes", ["name", "bytes"], [["a", 1], ["b", 2.5]])
    notebook.script("show.sh", "#!/bin/sh\\necho shown\\n")
    notebook.forest(Forest(title="Mounts", trees=[Tree(name="ns0", side="before", branches=[])]))
'''


def page_with(*, rows: int = 1, lines: int = 1) -> str:
    """The page of a run whose one record has a table and a script of these sizes."""
    table = Table(title="Sizes", columns=["name", "bytes"], rows=[[f"row {i}", i] for i in range(rows)])
    script = Script(name="show.sh", text="echo <shown>\n" * lines)
    return render_run(run(msgspec.structs.replace(record(), tables=[table], scripts=[script])))


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_session_writes_what_an_experiment_leaves(project: Project, workers: str) -> None:
    """All is in the run's file, and the script also lies beside it, where it can be run."""
    project.experiment(ATTACHES)
    assert project.run(workers).status == 0

    (seen,) = project.runs()
    assert seen["records"][0]["tables"][0]["rows"] == [["a", 1], ["b", 2.5]]
    assert seen["records"][0]["scripts"] == [{"name": "show.sh", "text": "#!/bin/sh\necho shown\n"}]
    trees = [{"name": "ns0", "side": "before", "branches": []}]
    assert seen["records"][0]["forests"] == [{"title": "Mounts", "trees": trees}]
    (file,) = project.reports.glob("*/scripts/*")
    assert file.name == "e1-show.sh"
    assert subprocess.run([file], capture_output=True, check=True, timeout=60).stdout == b"shown\n"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "/etc/passwd", "a/b", ".hidden", "-x", "a b", "a\n", "a\0", "x" * 101]
)
def test_name_that_is_no_plain_files(name: str) -> None:
    """A script's name can't lead out of the run's folder: not in the notebook, a run's file or the writer."""
    with pytest.raises(ValueError, match="expected a file's name"):
        Notebook().script(name, "")
    with pytest.raises(ValueError, match="is no name"):
        runs.script_file(1, Script(name=name, text=""))
    if name != "a\n":  # the schema's $ allows it; nothing is written when a run is read
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"name": name, "text": ""}, Script)


def test_one_name_is_one_script() -> None:
    """The same script twice is one; another text under its name is refused."""
    notebook = Notebook()
    notebook.script("a.sh", "1")
    notebook.script("a.sh", "1")

    assert len(notebook.scripts) == 1
    with pytest.raises(ValueError, match="with different text"):
        notebook.script("a.sh", "2")


@pytest.mark.parametrize("cells", [["a"], ["a", "b", "c"]])
def test_row_of_another_width(cells: list[Cell]) -> None:
    """A row that does not fit the columns is refused, and which one it is."""
    with pytest.raises(ValueError, match=r"table 'T', row 2: expected 2 cells"):
        Notebook().table("T", ["x", "y"], [["a", "b"], cells])


def test_cell_that_is_no_value() -> None:
    """A cell is plain: what JSON could not give back is refused."""
    with pytest.raises(TypeError, match="table 'T' holds b'x'"):
        Notebook().table("T", ["x"], [[b"x"]])  # type: ignore[list-item]


def test_page_shows_both() -> None:
    """Table and script stand with the experiment, escaped, the script's file named."""
    shown = page_with()

    assert in_order(
        shown, '<details class="attached" open>', "Sizes", "bytes", "row 0", "./scripts/e1-show.sh"
    )
    assert "echo &lt;shown&gt;" in shown


def test_long_ones_are_folded() -> None:
    """A long table or script costs one line until it is opened; of a huge table the page has the start."""
    shown = page_with(rows=page.MOST_ROWS + 7, lines=100)

    assert shown.count('<details class="attached">') == 2
    assert f"row {page.MOST_ROWS - 1}" in shown
    assert f"row {page.MOST_ROWS}<" not in shown
    assert "7 more rows in" in shown
