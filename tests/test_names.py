"""Can a name that comes from a host, a kernel or another's folder lead anywhere but below its place?"""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from hypothesis import example, given
from hypothesis import strategies as st

from harness import baseline, runs
from harness.evidence import Script
from harness.report import RunHead, render_index

PIECES = [
    "..",
    "/",
    "\\",
    ".",
    "~",
    "\0",
    "\n",
    "%2e%2e",
    "%2f",
    ":",
    "?",
    "#",
    "javascript:",
    "//host",
    "-",
    "a",
    "é",
]
NAMES = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=6).map("".join)
PLACE = Path("/place")


def lies_directly_in(path: Path, folder: Path) -> bool:
    """Whether a path is a file of a folder's, without any link or step upwards having to be followed."""
    return path.parent == folder and path.name not in {"", ".", ".."} and "\0" not in path.name


@given(NAMES)
@example("../../etc/passwd")
def test_baseline_of_any_release(release: str) -> None:
    """A kernel's release, which a host tells, is a plain name among the baselines."""
    assert lies_directly_in(baseline.file_for(PLACE, release), PLACE)


@given(NAMES)
@example("x.sh")
def test_script_of_any_name(name: str) -> None:
    """A script of a run's file is refused, or lies beside the run's other scripts."""
    try:
        file = runs.script_file(1, Script(name=name, text=""))
    except ValueError:
        return
    assert lies_directly_in(PLACE / file, PLACE / "scripts")


@given(NAMES.map(lambda name: re.sub("[/\0]", "", name)).filter(lambda name: name not in {"", ".", ".."}))
@example("javascript:alert(1)")
@example("%2e%2e")
def test_page_of_any_folder(name: str) -> None:
    """The index's link to a run leads into that run's folder, whatever somebody has called it."""
    page = render_index([RunHead(id="run", href=f"{name}/index.html")])
    (link,) = re.findall(r'<th scope="row"><a href="([^"]*)">', page)

    led = urlsplit(urljoin("file:///place/index.html", unescape(link)))
    assert (led.scheme, led.netloc, led.query, led.fragment) == ("file", "", "", "")
    assert unquote(led.path, errors="surrogateescape") == f"/place/{name}/index.html"
