"""Does terminal output look in the page as it looked on the terminal?"""

from __future__ import annotations

import pytest

from harness.report import terminal as subject
from harness.report.palette import shade
from harness.report.terminal import terminal


def test_plain_output_is_only_escaped() -> None:
    """Output without control characters keeps every blank and line end."""
    assert terminal("  a <b>\n\n\tc \n") == "  a &lt;b&gt;\n\n\tc \n"


def test_colours_become_classes() -> None:
    """Colours, weights and backgrounds are spans; their codes are gone."""
    assert terminal("\x1b[1;31mE\x1b[0m ok \x1b[44mx\x1b[0m") == (
        '<span class="bold ink-red">E</span> ok <span class="paper-blue">x</span>'
    )


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ("default", ""),
        ("brightred", "red"),
        ("brown", "yellow"),
        ("bfightmagenta", "magenta"),
        ("00ff10", "green"),
    ],
)
def test_every_colour_has_a_readable_shade(colour: str, name: str) -> None:
    """Bright, misspelt and 24-bit colours become the nearest of eight that the style sheet knows."""
    assert shade(colour) == name


def test_carriage_return_overwrites() -> None:
    """A progress display leaves its last state."""
    assert terminal(" 10%\r 50%\r100%\ndone\n") == "100%\ndone\n"


def test_backspace_moves_back() -> None:
    """What was typed over is not shown."""
    assert terminal("helo\blo\n") == "hello\n"


def test_carriage_return_before_newline_is_a_line_end() -> None:
    """A terminal's own line ends are no controls."""
    assert terminal("a\r\nb\r\n") == "a\nb\n"


def test_what_scrolled_off_the_screen_is_kept() -> None:
    """Output longer than a screen is whole."""
    lines = [f"line {i}" for i in range(3 * subject.LINES)]

    assert terminal("\x1b[0m" + "\n".join(lines) + "\n") == "\n".join(lines) + "\n"


def test_window_titles_are_dropped() -> None:
    """A sequence that a terminal shows nowhere in its text is not in the text."""
    assert terminal("\x1b]0;title\x07text\x1bPdevice\x1b\\ more") == "text more"


def test_open_sequence_hides_nothing() -> None:
    """A title that never ends cannot swallow what follows."""
    assert terminal("\x1b]0;never\nended") == '<span class="odd">ESC</span>]0;never\nended'


@pytest.mark.parametrize("text", ["\x1b[?1mx", "\x1b[" + "9" * 5000 + "mx"])
def test_sequence_that_the_emulator_refuses_is_shown_raw(text: str) -> None:
    """Malformed sequences never stop a report."""
    assert str(terminal(text)).endswith("x")


def test_flood_of_sequences_is_shown_raw() -> None:
    """Emulation is bounded: a program that clears its screen without end can't hold up the report."""
    flood = "\x1b[2J" * (subject.SEQUENCES + 1)

    assert terminal(flood).count('<span class="odd">ESC</span>') == subject.SEQUENCES + 1


@pytest.mark.parametrize(
    "char", ["\u202e", "\u200d", "\ufe0f", "\u1160", "\x00", "\x9b", "\ud800", "\U000f0001"]
)
def test_emulation_loses_nothing_behind_an_odd_character(char: str) -> None:
    """Characters without width are shown or named, and so is the rest of the line."""
    shown = str(terminal(f"\x1b[1mA\x1b[0m{char}tail"))

    assert shown.endswith("tail")
    assert len(shown) > len('<span class="bold">A</span>tail')


def test_wide_and_combining_characters_survive_emulation() -> None:
    """Chinese text and accents look the same beside a colour as without one."""
    assert terminal("\x1b[0m宿主机 e\u0301\u2500\n") == "宿主机 \xe9\u2500\n"


def test_long_output_shows_both_ends() -> None:
    """Of a very long output the page has head and tail, and says how much is missing."""
    shown = terminal("H" * subject.HEAD + "x" * 1234 + "T" * subject.TAIL)

    assert shown.startswith("H" * subject.HEAD)
    assert "1,234 characters left out here" in shown
    assert shown.endswith("T" * subject.TAIL)
    assert "x" not in shown.replace("characters", "").replace("xT", "")
