"""Mount tables in canonical form: what two tables that mean the same have in common.

Ids and groups are named by structure: a mount by its place in the tree, a group by the first line that names
it, over all namespaces. The order of the lines is the tree's. The kernel's tables, as mountinfo shows them,
and the model's come to the same form.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import groupby, islice, permutations, product
from operator import itemgetter
from typing import NamedTuple, TypeVar

from harness.propagation.state import Mount, State

Tags = tuple[str, ...]
"""What mountinfo's optional fields tell of a mount."""


_MOST_ORDERS = 1000
"""Orders of mounts at one place that are tried: one pair of such mounts has two."""

Order = TypeVar("Order")


class Line(NamedTuple):
    """A mount of a namespace; ``depth`` tells on which of the lines before it lies."""

    depth: int
    path: str
    source: str
    root: str
    tags: Tags

    def __str__(self) -> str:
        """The line as a person reads it."""
        return f"{'  ' * self.depth}{self.text} {' '.join(self.tags) or 'private'}"

    @property
    def text(self) -> str:
        """Where the mount lies, and what of which file system it shows."""
        return f"{self.path} {self.source if self.root == '/' else f'{self.source}[{self.root}]'}"


Table = tuple[Line, ...]
Tables = dict[int, Table]
"""The tables of namespaces, by their numbers."""

Shape = tuple[str, str, str, Tags, "list[Shape]"]
"""What orders mounts at one place: point, source, root, tags without numbers, the shapes of what is on it."""

Raw = tuple[tuple[int, str, str, str], Tags]
"""A mount before its groups have names: depth, path, source and root; and tags with numbers."""


def of_state(state: State) -> Tables:
    """The tables that the model has."""
    return named(raw_of_state(state))


def raw_of_state(state: State) -> dict[int, list[Raw]]:
    """The tables that the model has, by its own numbers of groups."""
    groups: dict[int, set[int]] = {number: set() for number in sorted(state.namespaces)}
    masters: dict[int, int] = {}
    for mount in state.mounts.values():
        if mount.group:
            masters[mount.group] = mount.master
            groups[mount.namespace].add(mount.group)
    return {number: _walk(state, number, here, masters) for number, here in groups.items()}


def _walk(state: State, namespace: int, here: Set[int], masters: Mapping[int, int]) -> list[Raw]:
    """The lines of a namespace, of which the peer groups are given, and each group's master."""
    lines: list[Raw] = []
    waiting = [(state.mounts[state.namespaces[namespace].root], 0, "/")]
    children = state.children
    while waiting:
        mount, depth, path = waiting.pop()
        lines.append(((depth, path, mount.source, mount.root), _tags(mount, here, masters)))
        above = children.get(mount.id, ())
        if len(above) > 1 and not _lie_apart([child.point for child in above]):
            above = sorted(above, key=lambda it: _shape(state, it))
        for child in reversed(above):
            inside = child.point if mount.root == "/" else child.point[len(mount.root) :]
            below = path if inside in ("", "/") else f"{'' if path == '/' else path}{inside}"
            waiting.append((child, depth + 1, below))
    return lines


def _lie_apart(points: Sequence[str]) -> bool:
    """Whether no two lie at one place: else they are told apart by what they are and what is on them."""
    return len({*points}) == len(points)


def _shape(state: State, mount: Mount) -> Shape:
    words = ("shared",) * bool(mount.group) + ("master",) * bool(mount.master)
    below = sorted(_shape(state, child) for child in state.children.get(mount.id, ()))
    return mount.point, mount.source, mount.root, words + ("unbindable",) * mount.unbindable, below


def _tags(mount: Mount, here: Set[int], masters: Mapping[int, int]) -> Tags:
    tags = []
    if mount.group:
        tags.append(f"shared:{mount.group}")
    if mount.master:
        tags.append(f"master:{mount.master}")
        dominating = mount.master
        while dominating and dominating not in here:
            dominating = masters.get(dominating, 0)
        if dominating and dominating != mount.master:
            tags.append(f"propagate_from:{dominating}")
    if mount.unbindable:
        tags.append("unbindable")
    return tuple(tags)


def of_text(text: str, *, options: bool = False) -> list[Raw]:
    """The lines of a mountinfo text, in the order of the tree (proc_pid_mountinfo(5)).

    With ``options``, a mount's own ones are among its tags where they are not the usual ones. Paths of the
    model hold nothing that the kernel would escape.
    """
    children: dict[str, list[list[str]]] = {}
    ids = set()
    for line in text.splitlines():
        fields = line.split(" ")
        ids.add(fields[0])
        children.setdefault(fields[1], []).append(fields)
    lines: list[Raw] = []
    waiting = [(0, fields) for parent, mounted in children.items() if parent not in ids for fields in mounted]
    while waiting:
        depth, fields = waiting.pop()
        end = fields.index("-", 6)
        tags = (*fields[6:end], *_unusual(fields[5])) if options else tuple(fields[6:end])
        lines.append(((depth, fields[4], fields[end + 2], fields[3]), tags))
        below = children.get(fields[0])
        if below:
            if len(below) > 1:
                if _lie_apart([child[4] for child in below]):
                    below.sort(key=itemgetter(4), reverse=True)
                else:
                    below.sort(key=lambda it: _shape_of_line(children, it), reverse=True)
            waiting.extend((depth + 1, child) for child in below)
    return lines


def _unusual(options: str) -> Sequence[str]:
    return () if options == "rw,relatime" else [options]


def _shape_of_line(children: Mapping[str, Sequence[Sequence[str]]], fields: Sequence[str]) -> Shape:
    words = (tag.partition(":")[0] for tag in fields[6 : fields.index("-", 6)])
    below = sorted(_shape_of_line(children, child) for child in children.get(fields[0], ()))
    return fields[4], fields[-2], fields[3], tuple(it for it in words if it != "propagate_from"), below


def named(tables: Mapping[int, Iterable[Raw]]) -> Tables:
    """The tables with groups that are named by the first line that names them."""
    names: dict[str, str] = {}
    renamed: dict[Tags, Tags] = {(): ()}
    result: Tables = {}
    for number, lines in tables.items():
        table = []
        for what, tags in lines:
            if (words := renamed.get(tags)) is None:
                words = renamed[tags] = tuple([_named(tag, names) for tag in tags])
            table.append(Line(*what, words))
        result[number] = tuple(table)
    return result


def _named(tag: str, names: dict[str, str]) -> str:
    word, colon, number = tag.partition(":")
    if not colon:
        return tag
    return f"{word}:{names.setdefault(number, str(len(names) + 1))}"


def alike(one: Mapping[int, Sequence[Raw]], other: Mapping[int, Sequence[Raw]]) -> bool:
    """Whether tables mean the same: :func:`named` would show the same, at a third of the cost.

    Each group of the one stands for one group of the other wherever it is named, and no two for the same.
    Mounts at one place that nothing but their groups tells apart may come in any order.
    """
    if one.keys() != other.keys():
        return False
    if _in_order(one, other):
        return True
    orders = product(*(_some(_orders(lines)) for lines in other.values()))
    return any(
        _in_order(one, dict(zip(other, tables, strict=True))) for tables in islice(orders, _MOST_ORDERS)
    )


def _orders(lines: Sequence[Raw], depth: int = 0) -> Iterator[list[Raw]]:
    """A table's lines, with mounts at one place that only groups tell apart in each order."""
    starts = [number for number, ((level, *_), _) in enumerate(lines) if level == depth]
    if not starts:
        yield [*lines]
        return
    mounts = [lines[begin:end] for begin, end in zip(starts, [*starts[1:], len(lines)], strict=True)]
    same = [[*each] for _, each in groupby(mounts, key=_words)]
    for chosen in product(*(_some(permutations(each)) for each in same)):
        ordered = [mount for each in chosen for mount in each]
        for below in product(*(_some(_orders(mount[1:], depth + 1)) for mount in ordered)):
            yield [line for mount, rest in zip(ordered, below, strict=True) for line in (mount[0], *rest)]


def _some(orders: Iterable[Order]) -> list[Order]:
    return [*islice(orders, _MOST_ORDERS)]


def _words(lines: Iterable[Raw]) -> list[object]:
    """What tells a mount, with all that is on it, from others, but for the numbers of groups."""
    return [
        (what, [tag.partition(":")[0] for tag in tags if not tag.startswith("propagate_from")])
        for what, tags in lines
    ]


def _in_order(one: Mapping[int, Sequence[Raw]], other: Mapping[int, Sequence[Raw]]) -> bool:
    pairs: dict[Tags, Tags] = {(): ()}
    groups: dict[str, str] = {}
    back: dict[str, str] = {}
    for number, lines in one.items():
        others = other[number]
        if len(lines) != len(others):
            return False
        for (what, tags), (what_there, there) in zip(lines, others, strict=True):
            if what != what_there:
                return False
            known = pairs.get(tags)
            if known is None and _pair(tags, there, groups, back):
                pairs[tags] = there
            elif known != there:
                return False
    return True


def _pair(tags: Tags, there: Tags, groups: dict[str, str], back: dict[str, str]) -> bool:
    """Note which groups stand for which; whether that is as it was, and the words are the same."""
    if len(tags) != len(there):
        return False
    for mine, theirs in zip(tags, there, strict=True):
        (word, _, group), (word_there, _, other) = mine.partition(":"), theirs.partition(":")
        if (word, bool(group)) != (word_there, bool(other)):
            return False
        if groups.setdefault(group, other) != other or back.setdefault(other, group) != group:
            return False
    return True
