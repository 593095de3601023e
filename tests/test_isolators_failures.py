"""Commands that cannot be started: the Go program and the port fail alike, byte for byte."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from test_isolators_same import PAIR, Outcome, install_pair, not_found, outcome, started


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Isolator → the directory where its programs are."""
    return install_pair(tmp_path_factory)


FILES = {
    "./missing": started("./missing", "no such file or directory"),
    "./plain": started("./plain", "permission denied"),
    "./directory": started("./directory", "permission denied"),
    "./no-format": started("./no-format", "exec format error"),
    "./empty": started("./empty", "exec format error"),
    "./no-interpreter": started("./no-interpreter", "no such file or directory"),
    "./loop": started("./loop", "too many levels of symbolic links"),
    "./plain/below": started("./plain/below", "not a directory"),
    "./" + "n" * 300: started("./" + "n" * 300, "file name too long"),
    "./script": Outcome(7, b"", b""),
}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A directory with one file for each way in which exec can go wrong, and some to be found by a search."""
    contents = {
        "no-format": "exit 5\n",
        "empty": "",
        "no-interpreter": "#!/nonexistent/interpreter\n",
        "script": "#!/bin/sh\nexit 7\n",
    }
    for file, content in {"plain": "", **contents, "found": "#!/bin/sh\nexit 8\n"}.items():
        (tmp_path / file).write_text(content)
        (tmp_path / file).chmod(0o644 if file == "plain" else 0o755)
    (tmp_path / "directory" / "found").mkdir(parents=True)
    (tmp_path / "denied").mkdir()
    (tmp_path / "denied" / "found").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path


@pytest.mark.parametrize("name", PAIR)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file[:20])
def test_file_that_exec_refuses(installed: dict[str, Path], name: str, file: str, files: Path) -> None:
    """Exec's error in the child is the parent's, with Go's text and status 1."""
    assert outcome(installed[name], ["pid", file], cwd=files) == FILES[file]


@pytest.mark.parametrize("name", PAIR)
def test_file_that_is_being_written_is_reported_alike(
    installed: dict[str, Path], name: str, files: Path
) -> None:
    """ETXTBSY, where the kernel still knows it, reads the same in both."""
    shutil.copy("/bin/true", files / "busy")
    with (files / "busy").open("ab"):
        seen = outcome(installed[name], ["uts", "./busy"], cwd=files)

    assert seen in (started("./busy", "text file busy"), Outcome(0, b"", b""))


RELATIVE = "cannot run executable found relative to current directory"

SEARCHES = {
    "no PATH": ({}, not_found("found")),
    "empty PATH": ({"PATH": ""}, not_found("found")),
    "only a colon": ({"PATH": ":"}, not_found("found", RELATIVE)),
    "dot": ({"PATH": "."}, not_found("found", RELATIVE)),
    "relative": ({"PATH": "../{here}"}, not_found("found", RELATIVE)),
    "absolute": ({"PATH": "/nonexistent:{files}"}, Outcome(8, b"", b"")),
    "directory first": ({"PATH": "{files}/directory:{files}"}, Outcome(8, b"", b"")),
    "not executable first": ({"PATH": "{files}/denied:{files}"}, Outcome(8, b"", b"")),
    "only not executable": ({"PATH": "{files}/denied"}, not_found("found")),
}


@pytest.mark.parametrize("name", PAIR)
@pytest.mark.parametrize("case", SEARCHES)
def test_path_search(installed: dict[str, Path], name: str, case: str, files: Path) -> None:
    """The search is ``exec.LookPath``'s: what it passes over, what it refuses, and how it says so."""
    template, expected = SEARCHES[case]
    environment = {key: value.format(files=files, here=files.name) for key, value in template.items()}
    # env(1) sets the variables last, because the wrapper itself has to be found.
    settings = [f"{key}={value}" for key, value in environment.items()]
    words = ["env", "-i", *settings, str(installed[name] / "isolate"), "found"]
    seen = _anywhere(words, files)

    assert seen == expected


@pytest.mark.parametrize("name", PAIR)
@pytest.mark.parametrize(
    ("folder", "clean"),
    [
        ("/{files}/directory//../", "{files}"),
        ("{files}/./directory/..", "{files}"),
        ("{files}/.hidden", "{files}/.hidden"),
        ("{files}/..hidden/", "{files}/..hidden"),
        ("{files}/.hidden/.", "{files}/.hidden"),
    ],
)
def test_path_that_was_found_is_cleaned_in_the_message(
    installed: dict[str, Path], name: str, files: Path, folder: str, clean: str
) -> None:
    """The path in an error is as ``filepath.Join`` leaves it: no double slash, no dot and no dot dot."""
    for hidden in (".hidden", "..hidden"):
        (files / hidden).mkdir()
        shutil.copy(files / "no-format", files / hidden)
    words = ["env", "-i", f"PATH={folder.format(files=files)}", str(installed[name] / "isolate"), "no-format"]

    assert _anywhere(words, files) == started(f"{clean.format(files=files)}/no-format", "exec format error")


def _anywhere(words: list[str], cwd: Path) -> Outcome:
    """The outcome of a command that needs no namespace."""
    return outcome(Path("/usr/bin"), words, cwd=cwd)


@pytest.mark.parametrize("name", PAIR)
def test_clone_without_privilege_is_refused(installed: dict[str, Path], name: str) -> None:
    """Without CAP_SYS_ADMIN clone itself fails, with Go's text of EPERM and status 1."""
    command = [str(installed[name] / "uts"), "/bin/true"]
    if os.geteuid() == 0:
        # Root that execs with an empty bounding set has no capability, but may still read the programs.
        command[:0] = ["setpriv", "--bounding-set=-all", "--"]
    ran = subprocess.run(command, capture_output=True, timeout=30, check=False)

    assert ran.returncode == 1
    assert re.fullmatch(rb"\S+ \S+ fork/exec /bin/true: operation not permitted\n", ran.stderr)


@pytest.mark.parametrize("name", PAIR)
def test_child_that_is_anothers_to_wait_for(installed: dict[str, Path], name: str, tmp_path: Path) -> None:
    """With CLONE_PARENT the waiting program has no child: Go's text of waitid's error, and status 1."""
    file = tmp_path / "description"
    file.write_text('{"Path": "/bin/true", "SysProcAttr": {"Cloneflags": 32768}}')

    seen = _anywhere(
        ["sh", "-c", '"$0" --description "$1"; exit $?', f"{installed[name]}/isolate", str(file)], tmp_path
    )

    assert seen == Outcome(1, b"", b"DATE waitid: no child processes\n")


@pytest.mark.parametrize("name", PAIR)
def test_argument_list_that_grows_too_long(installed: dict[str, Path], name: str, tmp_path: Path) -> None:
    """E2BIG, which only the command's longer path brings about, is reported like any error of exec."""
    deep = tmp_path.joinpath(*["d" * 250] * 12)
    deep.mkdir(parents=True)
    shutil.copy("/bin/true", deep / "true")
    command = [installed[name] / "isolate", deep / "true"]

    @cache
    def run(length: int) -> Outcome | None:
        try:
            ran = subprocess.run(
                [*command, *["x" * 1000] * (length // 1000), "x" * (length % 1000)],
                capture_output=True, timeout=30, check=False, env={}, preexec_fn=_small_stack,
            )  # fmt: skip
        except OSError:
            return None
        return Outcome(ran.returncode, ran.stdout, ran.stderr)

    starts, refused = 1000, 200_000
    while refused - starts > 1:
        middle = (starts + refused) // 2
        starts, refused = (middle, refused) if run(middle) else (starts, middle)
    longest = run(starts)

    assert longest is not None
    assert longest.status == 1
    assert longest.errors.endswith(f"fork/exec {deep}/true: argument list too long\n".encode())


def _small_stack() -> None:
    resource.setrlimit(resource.RLIMIT_STACK, (512 * 1024, resource.getrlimit(resource.RLIMIT_STACK)[1]))
