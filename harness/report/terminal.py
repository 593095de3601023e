"""What a terminal received, as HTML: as its user saw it, coloured, safe and bounded."""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby
from typing import TYPE_CHECKING

import pyte
from markupsafe import Markup

from harness.evidence import TERMINAL
from harness.report.palette import classes
from harness.report.text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyte.screens import Char

LINES, COLUMNS = TERMINAL
"""The emulated screen. What scrolls off its top is kept."""
HEAD, TAIL = 48 * 1024, 16 * 1024
"""How much of each end of an output is shown when it is longer than both together."""
SEQUENCES = 2000
"""Beyond so many escape sequences an output is shown raw: emulating them would hold up the whole report."""

_MOVES = re.compile(r"[\b\r\x1b]")
_COMMAND_STRING = re.compile(r"\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)")
_OPEN_COMMAND_STRING = re.compile(r"\x1b(?=[\]PX^_])")
_STAND_INS = 0xF0000
"""The first of a private range whose characters take the place of what the emulator would drop."""


def terminal(text: str) -> Markup:
    """Render terminal output; of a long one the head and the tail."""
    if len(text) <= HEAD + TAIL:
        return _shown(text)
    left_out = f"{len(text) - HEAD - TAIL:,}"
    cut = Markup('\n<span class="cut">… {} characters left out here …</span>\n')
    return _shown(text[:HEAD]) + cut.format(left_out) + _shown(text[-TAIL:])


def _shown(text: str) -> Markup:
    text = text.replace("\r\n", "\n")
    if not _MOVES.search(text) or text.count("\x1b") > SEQUENCES:
        return visible(text)
    try:
        return _emulated(text)
    except Exception:  # The emulator raises all kinds of errors for malformed sequences; raw is right then.
        return visible(text)


def _emulated(text: str) -> Markup:
    """What a terminal's screen and its scrollback hold after this text."""
    text = _COMMAND_STRING.sub("", text)
    unfit = sorted(filter(_unfit, set(text)))
    stand_ins = str.maketrans({char: chr(_STAND_INS + i) for i, char in enumerate(unfit, 1)})
    originals = {_STAND_INS: "\x1b"} | {_STAND_INS + i: char for i, char in enumerate(unfit, 1)}
    text = _OPEN_COMMAND_STRING.sub(chr(_STAND_INS), text.translate(stand_ins))
    screen = pyte.HistoryScreen(COLUMNS, LINES, history=HEAD + TAIL)
    pyte.Stream(screen).feed(text.replace("\n", "\r\n"))
    lines = [*screen.history.top, *(screen.buffer[y] for y in range(LINES))]
    rendered = [_line(line, originals) for line in lines]
    while rendered and not rendered[-1]:
        rendered.pop()
    return Markup("\n").join(rendered) + ("\n" if text.endswith("\n") and rendered else "")


def _unfit(char: str) -> bool:
    """Whether the emulator might drop the character, and with it the rest of the output."""
    if char.isascii():
        return not (char.isprintable() or char in "\b\t\n\r\x1b")
    return unicodedata.east_asian_width(char) not in "WF" and not unicodedata.combining(char)


def _line(cells: Mapping[int, Char], originals: Mapping[int, str]) -> Markup:
    """One line of the screen; neighbours of the same look share an element."""
    width = max((x for x, cell in cells.items() if cell.data != " " or classes(cell)), default=-1) + 1
    parts = []
    for look, run in groupby((cells[x] for x in range(width)), classes):
        words = visible("".join(cell.data for cell in run).translate(originals))
        parts.append(Markup('<span class="{}">{}</span>').format(look, words) if look else words)
    return Markup("").join(parts)
