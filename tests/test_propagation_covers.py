"""Two mounts at one place, as some kernels make them: which of them is seen, and how they are told apart."""

from __future__ import annotations

from itertools import product

import pytest

from harness.propagation import render
from harness.propagation.programs import LIMITS, meant, parse, read, replay
from harness.propagation.state import SHIFTS_COVER, TWO_COVERS, State

SAME_PLACE = "make-shared /; bind /a /; rbind / /; umount /a; rbind / /; bind /a /a"
"""Leaves two mounts at one place that differ in nothing but what lies further above, where a kernel can."""


def told(state: State, *, backwards: bool) -> str:
    """The table of the first namespace as mountinfo would tell it, in one order or the other."""
    lines = []

    def tell(number: int, path: str) -> None:
        mount = state.mounts[number]
        lines.append(
            f"{number} {mount.parent} 0:1 {mount.root} {path} rw shared:{mount.group} - tmpfs w rw\n"
        )
        for child in state.children.get(number, ()):
            inside = child.point.removeprefix(mount.root).strip("/")
            tell(child.id, f"{path.rstrip('/')}/{inside}" if inside else path)

    tell(state.namespaces[0].root, "/")
    return "".join(reversed(lines) if backwards else lines)


@pytest.mark.parametrize("backwards", [False, True])
def test_mounts_at_one_place_are_told_apart_by_all_that_lies_on_them(backwards: bool) -> None:
    """Model and text have one form for two mounts at one place, whatever the order of the text's lines."""
    *_, last = replay(parse(SAME_PLACE), {TWO_COVERS, SHIFTS_COVER})
    places = [(mount.parent, mount.point) for mount in last.state.mounts.values()]
    assert len({*places}) < len(places)

    text = render.of_text(told(last.state, backwards=backwards))

    assert render.named({0: text}) == render.of_state(last.state)


SLIDES = "make-shared /; bind / /a/c; make-slave /; bind /a/c /; rbind / /; umount /a/c; umount-l /a/c"
"""Has a cover slide down to where another lies; found on 6.12.118, which then shows what is told below."""


def test_what_slides_down_lies_above_what_was_there() -> None:
    """A cover that slides down is attached anew, and so is what is seen of two mounts at that place."""
    *_, last = replay(parse(SLIDES), {TWO_COVERS, SHIFTS_COVER})

    assert [str(line) for line in render.of_state(last.state)[0]] == [
        "/ w master:1",
        "  / w master:1",
        "  /a/c w shared:1",
    ]


AT_ONCE = parse(
    "mount u1 /a; mount u2 /a/a; make-shared /a; bind /a /b; rbind / /b/a; rbind /b /a; umount-l /a/a;"
    "mount u3 /a/a"
)
"""Has three mounts slide to one place; found on 5.10.262, which then has another one on u3 than 6.17.13."""


@pytest.mark.parametrize(("known", "steps"), [({TWO_COVERS, SHIFTS_COVER}, 7), (set(), 8)])
def test_nothing_is_said_where_several_slid_to_one_place_at_once(known: set[str], steps: int) -> None:
    """A program ends where no page tells which of the mounts at one place is seen; drawn or written down."""
    begun = replay(AT_ONCE[:6], known)
    kinds, places, sources = map(range, LIMITS)
    draws = product(kinds, places, sources)
    slide = next(draw for draw in draws if meant(draw, 0, begun[-1].state) == AT_ONCE[6])

    assert len(replay(AT_ONCE, known)) == steps
    assert len([*read([slide, slide], known, begun)]) == steps
