"""Terminal colours as classes of the style sheet, which has a readable shade of each by day and night."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyte.screens import Char

_SHADES = {
    "black": (0, 0, 0),
    "red": (205, 0, 0),
    "green": (0, 205, 0),
    "yellow": (205, 205, 0),
    "blue": (0, 0, 238),
    "magenta": (205, 0, 205),
    "cyan": (0, 205, 205),
    "white": (229, 229, 229),
}
"""xterm's own shades, against which any other colour is measured."""

_FLAGS = ("bold", "italics", "underscore", "strikethrough")


@cache
def shade(colour: str) -> str:
    """The nearest of the eight colours to one that the emulator names, or an empty string for the default.

    >>> shade("brightbrown"), shade("ff0005"), shade("default")
    ('yellow', 'red', '')
    """
    if re.fullmatch(r"[0-9a-f]{6}", colour):
        rgb = tuple(bytes.fromhex(colour))
        return min(
            _SHADES, key=lambda name: sum((a - b) ** 2 for a, b in zip(_SHADES[name], rgb, strict=True))
        )
    # "bfight" is how the emulator spells one of its bright colours.
    name = re.sub(r"^b[rf]ight", "", colour).replace("brown", "yellow")
    return name if name in _SHADES else ""


def classes(cell: Char) -> str:
    """The style sheet's classes for the look of one cell; empty for ordinary text."""
    ink, paper = shade(cell.fg), shade(cell.bg)
    names = [name for name in _FLAGS if getattr(cell, name)]
    names += [f"ink-{ink}"] if ink else []
    names += [f"paper-{paper}"] if paper else []
    names += ["reverse"] if cell.reverse else []
    return " ".join(names)
