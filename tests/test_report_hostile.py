"""Can text from a host, a kernel or a test become anything but text in a page?"""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.evidence import (
    Branch,
    Claim,
    Forest,
    HostDescription,
    KnownDifference,
    Observation,
    Process,
    Record,
    Run,
    Sabotage,
    Script,
    Sighting,
    Table,
    Tree,
)
from harness.report import RunHead, render_index, render_run
from harness.report.text import plain, prose, visible

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "</style><script>alert(1)</script>",
    "</title><h1>owned</h1>",
    "</pre></details></table><!--",
    "]]><![CDATA[<b>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt;&#0;&amp",
    "`<b>`",
    "javascript:alert(1)",
    "\ud800 lone \udfff",
    "\x1b[31m<b>red</b>\x1b[0m\x1b]0;<b>\x07",
    "\x1b[?1m\x1b[>4;2m\x1b[" + "9" * 5000 + "m<b>",
    "nul\x00bell\x07c1\x9b31m",
    "\u202egnp.exe\u2066\u200b\ufeff",
    "a\rb\bc<i>",
    "",
]
VOID = {"meta", "link"}


class Page(HTMLParser):
    """The elements, attributes and text of a page; notes an end tag that fits no start tag."""

    def __init__(self, page: str) -> None:
        """Parse a page."""
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()
        self.open, self.astray, self._texts = list[str](), list[str](), list[str]()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.add(tag)
        self.attributes.update(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element of SVG without content."""
        self.tags.add(tag)
        self.attributes.update(attrs)

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost element, which must be of this name."""
        if not self.open or self.open.pop() != tag:
            self.astray.append(tag)

    def handle_data(self, data: str) -> None:
        """Collect text."""
        self._texts.append(data)

    @property
    def text(self) -> str:
        """All text, in the order of the page."""
        return "".join(self._texts)


def hostile_run(text: str) -> Run:
    """A run in which every string is the same hostile text."""
    process = Process(pid=7, parent=1, name=text, namespaces={"uts": 1, text: 2}, role="host")
    observations = [
        Observation(side=side, where=text, command=text, output=text, stderr=text, status=1, at=0, seconds=0)
        for side in ("inside", "outside")
    ]
    branch = Branch(depth=10**9, text=text, tags=[text, "shared:0"], differs=True)
    records = [
        Record(
            test=text,
            title=text,
            claims=claims,
            host=text,
            isolator=isolator,
            outcome=outcome,
            message=text,
            details=text,
            observations=observations,
            processes=[[process, process]],
            facts={text: text, "list": [text]},
            tables=[Table(title=text, columns=[text], rows=[[text], [1], [True], [None]])],
            scripts=[Script(name=text, text=text)],
            forests=[Forest(title=text, trees=[Tree(name=text, side=text, branches=[branch, branch])])],
            known=[Sighting(id=text, name=text, value=text, words=text)] if outcome == "failed" else [],
            started=text,
            seconds=0,
        )
        for outcome in ("passed", "failed", "error", "skipped")
        for isolator in (None, text)
        for claims in ([], [text], ["unknown" + text])
    ]
    host = HostDescription(
        name=text, kind=text, kernel=text, distribution=text, architecture=text, user=text, tools={text: text}
    )
    claim = Claim(id=text, namespace=text, claim=text, done=text, saw=text, source=text)
    difference = KnownDifference(
        id=text, what=text, seen=["6.1"], not_seen=["6.2"], source=text, script=text, facts={text: 1}
    )
    return Run(
        schema=1,
        id=text,
        nslab=text,
        command=[text],
        started=text,
        isolators={text: text},
        claims=[claim],
        sabotages=[Sabotage(name=text, does=text, refutes=[text])],
        known_differences=[difference],
        records=records,
        hosts={text: host},
        finished=text,
    )


def hostile_index(text: str) -> str:
    """An index in which every string is the same hostile text."""
    filled = RunHead(id=text, href=text, started=text, counts={text: 1}, hosts={text: text}, isolators=[text])
    return render_index([filled, RunHead(id=text, href=text, problem=text)])


HARMLESS = Page(render_run(hostile_run("harmless"))), Page(hostile_index("harmless"))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_stays_text(text: str) -> None:
    """A page full of markup has the same elements and attributes as one full of harmless words."""
    pages = Page(render_run(hostile_run(text))), Page(hostile_index(text))

    for page, harmless in zip(pages, HARMLESS, strict=True):
        assert not page.astray
        assert not page.open
        assert page.tags <= harmless.tags | {"span", "code"}
        assert {name for name, _ in page.attributes} <= {name for name, _ in harmless.attributes}


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.text(st.characters() | st.sampled_from("<>\"'&`{}%\x1b[]m;0123\r\b\x00\ud800\u202e"), max_size=60))
def test_any_text_leaves_the_page_whole(text: str) -> None:
    """Whatever the text, elements nest as they should and the page can be written as UTF-8."""
    page = render_run(hostile_run(text))

    parsed = Page(page)
    assert not parsed.astray
    assert not parsed.open
    assert parsed.tags <= HARMLESS[0].tags | {"span", "code"}
    assert page.encode()


def test_sabotages_are_in_the_page() -> None:
    """Control: the page that is compared has the section that tells how a claim could be refuted."""
    assert "1 sabotage refutes it" in HARMLESS[0].text


@pytest.mark.parametrize("text", HOSTILE[:5], ids=range(5))
def test_markup_can_be_read(text: str) -> None:
    """What was markup in a name appears letter by letter."""
    assert text in Page(render_run(hostile_run(text))).text


@pytest.mark.parametrize(
    "href", ["javascript:alert(1)", "//elsewhere/", "https://elsewhere/", '"><b>', "\ud800"]
)
def test_index_links_stay_below_the_index(href: str) -> None:
    """A run's link is a relative path, whatever the run is called."""
    page = Page(render_index([RunHead(id="x", href=href)]))

    links = [value for name, value in page.attributes if name == "href" and value != "data:,"]
    assert all(re.fullmatch(r"\./[\w./%-]*", link or "") for link in links)


@pytest.mark.parametrize(
    ("char", "shown"),
    [("\x00", "NUL"), ("\x7f", "DEL"), ("\x85", "U+0085"), ("\u202e", "U+202E"), ("\ud800", "U+D800")],
)
def test_hidden_character_shows_its_name(char: str, shown: str) -> None:
    """What a browser would hide, reorder or refuse is named."""
    assert visible(f"a{char}b") == f'a<span class="odd">{shown}</span>b'
    assert plain(f"a{char}b") == f"a[{shown}]b"


@pytest.mark.parametrize("text", ["宿主机 hostname", "\xa0\u3000", "tab\tand\nline", "naïve ✓"])
def test_ordinary_text_of_any_language_is_left_alone(text: str) -> None:
    """Letters and blanks of all scripts are no hidden characters."""
    assert visible(text) == plain(text) == text


def test_backquotes_mark_code() -> None:
    """In sentences, what is quoted like a command is set like one; a lone backquote stays."""
    assert prose("run `a<b` or ` this") == "run <code>a&lt;b</code> or ` this"
