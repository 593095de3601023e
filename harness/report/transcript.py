"""Observations as a terminal session reads: prompt, command, output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from harness.report.terminal import terminal
from harness.report.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.evidence import Observation, Record

_ENTRY = Markup('<span class="prompt {}">{}#</span> <b>{}</b>\n{}')
_STDERR = Markup('<span class="stderr">{}</span>')
_STATUS = Markup('<span class="status">exit status {}</span>\n')
_CUT = Markup('<span class="cut">… {} more lines …</span>\n')


def sessions(record: Record) -> dict[str, Markup]:
    """What each isolated shell's terminal showed, from the first command to the last."""
    inside = [each for each in record.observations if each.side == "inside"]
    return {
        where: transcript(each for each in inside if each.where == where)
        for where in dict.fromkeys(each.where for each in inside)
    }


def transcript(observations: Iterable[Observation], most_lines: int | None = None) -> Markup:
    """Several observations below one another; of each at most so many lines of output."""
    return Markup("").join(_entry(each, most_lines) for each in observations)


def _entry(observation: Observation, most_lines: int | None) -> Markup:
    output = _lines(observation.output, most_lines)
    if observation.stderr:
        output += _STDERR.format(_lines(observation.stderr, most_lines))
    if observation.status:
        output += _STATUS.format(observation.status)
    return _ENTRY.format(observation.side, observation.side, visible(observation.command), output)


def _lines(output: str, most: int | None) -> Markup:
    """Terminal output that ends its last line, cut where it is too long for a summary."""
    lines = output.removesuffix("\n").split("\n")
    if most is None or len(lines) <= most + 1:
        return terminal(output) + ("" if output.endswith("\n") or not output else "\n")
    return terminal("\n".join(lines[:most]) + "\n") + _CUT.format(len(lines) - most)
