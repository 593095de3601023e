"""A picture of one isolated shell: its processes and their namespaces, compared with the host's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from harness.report.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.evidence import Process

KINDS = ("uts", "ipc", "pid", "mnt", "user", "net")
MOST = 12
"""So many boxes are drawn at most; a picture of more helps nobody."""

WIDTH, GAP, HEAD, ROW = 196, 44, 46, 20

_ROLES = ("host", "isolator", "shell", "other")

Mark = Literal["", "same", "new"]


class Row(NamedTuple):
    """One namespace of one process."""

    y: int
    kind: str
    number: str
    mark: Mark

    @property
    def text(self) -> str:
        """The columns as one line: a long report has very many of them."""
        return f"{self.kind:<5}{self.number:<11}{self.mark:>8}".rstrip()


class Box(NamedTuple):
    """One process, placed."""

    x: int
    y: int
    role: str
    name: str
    rows: list[Row]


class Picture(NamedTuple):
    """Everything that the template draws; ``summary`` says the same in words."""

    width: int
    height: int
    box_height: int
    boxes: list[Box]
    lines: list[str]
    summary: str
    left_out: int


class Place(NamedTuple):
    """A process's cell in the grid of boxes."""

    column: int
    row: int
    process: Process
    parent: Place | None


def picture(processes: Sequence[Process]) -> Picture | None:
    """Lay out the process tree of one shell; None where nothing was recorded."""
    drawn = sorted(processes, key=lambda process: _ROLES.index(process.role))[:MOST]
    places = list(_places(drawn))
    if not places:
        return None
    host = next((process for process in processes if process.role == "host"), None)
    kinds = [kind for kind in KINDS if any(kind in place.process.namespaces for place in places)]
    box_height = HEAD + ROW * len(kinds) + 6
    boxes = [_box(place, kinds, host, box_height) for place in places]
    return Picture(
        width=max(box.x for box in boxes) + WIDTH + 1,
        height=max(box.y for box in boxes) + box_height + 1,
        box_height=box_height,
        boxes=boxes,
        lines=[_line(place.parent, place, box_height) for place in places if place.parent],
        summary=" ".join(_sentence(box) for box in boxes),
        left_out=max(0, len(processes) - MOST),
    )


def _places(processes: Sequence[Process]) -> Iterator[Place]:
    """Put the host's look first and the trees beside it, each child to the right of its parent."""
    waiting = list(processes)
    pids = {process.pid for process in processes}
    indent = 1 if waiting and waiting[0].role == "host" else 0
    row = 0
    while waiting:
        root = next(
            (each for each in waiting if each.parent not in pids or each.parent == each.pid), waiting[0]
        )
        waiting.remove(root)
        tree = list(_tree(Place(0 if root.role == "host" else indent, row, root, None), waiting))
        yield from tree
        row = max(place.row for place in tree) + (0 if root.role == "host" and len(tree) == 1 else 1)


def _tree(place: Place, waiting: list[Process]) -> Iterator[Place]:
    """A process and its descendants; takes them out of those that wait for a place."""
    yield place
    row = place.row
    children = [each for each in waiting if each.parent == place.process.pid]
    for child in children:
        waiting.remove(child)
    for child in children:
        below = list(_tree(Place(place.column + 1, row, child, place), waiting))
        yield from below
        row = max(each.row for each in below) + 1


def _corner(place: Place, box_height: int) -> tuple[int, int]:
    return 1 + place.column * (WIDTH + GAP), 1 + place.row * (box_height + 16)


def _box(place: Place, kinds: Sequence[str], host: Process | None, box_height: int) -> Box:
    process = place.process
    rows = [
        Row(HEAD + ROW * i, kind, str(process.namespaces.get(kind, "unknown")), _mark(kind, process, host))
        for i, kind in enumerate(kinds)
    ]
    x, y = _corner(place, box_height)
    return Box(x, y, process.role, f"{_short(plain(process.name))} ({process.pid})", rows)


def _mark(kind: str, process: Process, host: Process | None) -> Mark:
    if (
        host is None
        or process.role == "host"
        or not {kind} <= process.namespaces.keys() & host.namespaces.keys()
    ):
        return ""
    return "same" if process.namespaces[kind] == host.namespaces[kind] else "new"


def _short(name: str) -> str:
    return name if len(name) <= 15 else name[:14] + "…"


def _line(parent: Place, child: Place, box_height: int) -> str:
    """The path from a parent's right edge to its child's left edge."""
    x, y = _corner(parent, box_height)
    to_x, to_y = _corner(child, box_height)
    middle, level = to_x - GAP // 2, HEAD // 2
    return f"M{x + WIDTH} {y + level}H{middle}V{to_y + level}H{to_x}"


def _sentence(box: Box) -> str:
    marks = {mark: [row.kind for row in box.rows if row.mark == mark] for mark in ("new", "same")}
    told = [f"{mark}: {', '.join(kinds)}" for mark, kinds in marks.items() if kinds]
    return f"{box.name}, {box.role}" + (f"; {'; '.join(told)}." if told else ".")
