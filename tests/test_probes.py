"""The registry of probes: complete, documented, and fit for any host's Python."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from harness import facts, promised
from harness.hosts.stage import Stage
from harness.notebook import Notebook
from harness.probes import registry
from harness.runnable import runnable

PACKAGE = Path(registry.__file__).parent
MODULES = sorted(PACKAGE.glob("*.py"))
KINDS = ("uts", "ipc", "pid", "mnt", "net", "user", "cgroup", "time")
OLDEST = "python3.8"


@pytest.fixture(scope="module")
def probes() -> list[registry.Probe]:
    """Every probe there is."""
    return list(registry.load(facts.SUBJECTS))


def test_there_are_many_facts_and_each_has_one_name(probes: list[registry.Probe]) -> None:
    """There are at least 80 facts, and no two probes measure the same one."""
    names = [probe.name for probe in probes]

    assert len(names) >= 80
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_namespace_is_asked_for(probes: list[registry.Probe], kind: str) -> None:
    """Of each kind it is asked whether it is there, its number, its limits, and what makes and enters it."""
    names = {probe.name for probe in probes}

    assert {
        f"{kind}.{what}"
        for what in ("is_there", "initial_inode", "one_too_many", "new_by_clone3", "setns_wrong_type")
    } <= names


def test_names_are_words_with_dots(probes: list[registry.Probe]) -> None:
    """A fact's name is words of a programmer's alphabet, parted by dots, the subject first."""
    assert [probe.name for probe in probes if not re.fullmatch(r"[a-z]\w*(\.[\w+-]+)+", probe.name)] == []


def test_every_fact_says_what_it_is_and_where_that_is_written(probes: list[registry.Probe]) -> None:
    """Each fact has a meaning and a source: a man page, or a document or file of the kernel's."""
    source = re.compile(r"\w+\(\d\)|\.rst|include/\w+|fs/\w+\.c")

    assert [probe.name for probe in probes if not source.search(probe.source)] == []
    assert [probe.name for probe in probes if "{" in probe.meaning or len(probe.meaning) < 20] == []


@pytest.mark.parametrize("docstring", ["", "Means this.", "Source: clone(2)."])
def test_a_probe_without_meaning_or_source_is_refused(docstring: str) -> None:
    """A probe whose docstring lacks its meaning or its source can't be registered."""

    def probe() -> None:
        """Be replaced."""

    probe.__doc__ = docstring

    with pytest.raises(ValueError, match="Source"):
        registry.fact("nobody.asks")(probe)
    assert "nobody.asks" not in registry.REGISTRY


def test_a_second_probe_for_a_fact_is_refused(probes: list[registry.Probe]) -> None:
    """Two probes can't measure one fact."""
    with pytest.raises(ValueError, match=r"two probes.*uts\.hostname_longest"):
        registry.fact("uts.hostname_longest")(probes[0].function)


def test_every_module_is_loaded_or_a_helper() -> None:
    """A module that registers probes belongs to a subject: none is forgotten."""
    listed = {module for modules in registry.MODULES.values() for module in modules}
    registering = {path.stem for path in MODULES if re.search(r"^@facts?\(", path.read_text(), re.MULTILINE)}

    assert registering == listed


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_modules_lean_on_the_standard_library_alone(path: Path) -> None:
    """What is carried to a host imports nothing that the host may lack."""
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")

    foreign = {name for name in imported if name.partition(".")[0] not in sys.stdlib_module_names}
    assert {name for name in foreign if not name.startswith("harness.probes")} == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_modules_have_the_grammar_of_python_3_8(path: Path) -> None:
    """What is carried to a host is written in the grammar of Python 3.8."""
    ast.parse(path.read_text(), feature_version=(3, 8))


def test_the_archive_runs_on_python_3_8(tmp_path: Path) -> None:
    """An interpreter of the oldest kind measures every fact, and has no warning to give."""
    if not shutil.which(OLDEST) or subprocess.run([OLDEST, "-c", ""], check=False).returncode:
        pytest.skip("Python 3.8 is not here: install it, say with pyenv")
    archive = tmp_path / facts.ARCHIVE
    archive.write_bytes(runnable(*facts.PROBES))
    program = [OLDEST, "-W", "error", "-IS", str(archive)]
    done = subprocess.run([*program, "uts", "kinds"], capture_output=True, check=True, text=True)

    assert done.stderr == ""
    assert '"uts.hostname_longest": {"value": 64}' in done.stdout


@pytest.mark.parametrize("pattern", promised.patterns())
def test_every_promise_is_about_a_fact(probes: list[registry.Probe], pattern: str) -> None:
    """Each pattern of the table of promises fits a fact, so that no promise is empty."""
    assert any(fnmatchcase(probe.name, pattern) for probe in probes)


def test_page_about_facts_is_up_to_date() -> None:
    """The page in docs/ says what the probes' docstrings say."""
    page = Path(__file__).parent.parent / "docs" / "facts.md"

    assert page.read_text() == facts.table(), "run: python -m harness.facts > docs/facts.md"


def test_answers_do_not_vary() -> None:
    """Asked twice in one go, no probe fails and none gives two answers: facts do not vary from run to run."""
    with Stage(Notebook()) as host:
        answers = facts.measure(host, times=2)

    assert {name: answer.error for name, answer in answers.items() if answer.error} == {}
