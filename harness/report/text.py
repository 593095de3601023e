"""Text from anywhere made visible: characters that a page would hide, reorder or refuse show their name."""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby

from markupsafe import Markup, escape

_SUSPECT = re.compile(r"[^\t\n\x20-\x7e]")
"""Where a text without a match is as harmless as it looks, except for markup."""
_CONTROLS = (
    *("NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "HT", "LF", "VT", "FF", "CR", "SO", "SI"),
    *(
        "DLE",
        "DC1",
        "DC2",
        "DC3",
        "DC4",
        "NAK",
        "SYN",
        "ETB",
        "CAN",
        "EM",
        "SUB",
        "ESC",
        "FS",
        "GS",
        "RS",
        "US",
    ),
)
"""ASCII's own names; few fonts have Unicode's pictures of them."""
_CODE = re.compile(r"`([^`\n]+)`")
_CODE_ELEMENT = Markup("<code>{}</code>")


def hidden(char: str) -> bool:
    """Whether a character has no look of its own: controls, format and bidi characters, lone surrogates."""
    return not (char.isprintable() or char in "\t\n" or unicodedata.category(char) == "Zs")


def name(char: str) -> str:
    """The name under which a hidden character is shown: ``NUL``, or ``U+202E`` for a bidi override."""
    code = ord(char)
    if code < len(_CONTROLS):
        return _CONTROLS[code]
    return "DEL" if code == 0x7F else f"U+{code:04X}"


def visible(text: str) -> Markup:
    """A text for the page's elements: escaped, hidden characters marked. Not for attributes."""
    if not _SUSPECT.search(text):
        return escape(text)
    parts: list[str] = []
    for is_hidden, run in groupby(text, hidden):
        if is_hidden:
            parts += [f'<span class="odd">{name(char)}</span>' for char in run]
        else:
            parts.append(str(escape("".join(run))))
    return Markup("").join(map(Markup, parts))


def prose(text: str) -> Markup:
    """A sentence for the page's elements, in which `` `this` `` is code."""
    parts = _CODE.split(text)
    return Markup("").join(
        _CODE_ELEMENT.format(visible(p)) if i % 2 else visible(p) for i, p in enumerate(parts)
    )


def plain(text: str) -> str:
    """The same without elements, for places that take only text: ``<title>`` and SVG. Not yet escaped."""
    return "".join(f"[{name(char)}]" if hidden(char) else char for char in text)
