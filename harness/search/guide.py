"""What the model makes of operations beyond it, as far as it goes: where mounts come to lie.

Trees in no namespace are kept beside the model's state: what travels does not reach them, and as members of
peer groups they do not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from itertools import count

from harness.propagation import attach, operations, types
from harness.propagation.attach import Tree
from harness.propagation.operations import Operation
from harness.propagation.state import Mount, Place, Refused, State

TREES = ("tree", "tree-r")
ATTACHED = ("attach", "attach-beneath")


@dataclass(frozen=True)
class Guide:
    """What the model makes of a program as far as it goes."""

    state: State
    trees: Mapping[str, Tree] = field(default_factory=dict)
    """The trees by their names, as they were copied; those whose first mount the state has are mounted."""
    mounted: Set[str] = frozenset()
    """Those that have been mounted, though they may have been taken away again."""
    errno: str = ""

    def after(self, operation: Operation) -> Guide:
        """What an operation makes of it; what the model has no notion of changes nothing."""
        try:
            return replace(self._after(operation), errno="")
        except Refused as refused:
            return replace(self, errno=refused.errno)

    def _after(self, it: Operation) -> Guide:
        kind, state = it.kind, self.state
        if kind in TREES:
            state, tree = _copied(state, it)
            return replace(self, state=state, trees={**self.trees, it.source: tree})
        if kind in ATTACHED:
            return self._attached(it)
        if kind.startswith("setattr"):
            return self._changed(it)
        if kind in EFFECTS:
            return replace(self, state=EFFECTS[kind](state, it))
        return replace(self, state=operations.apply(state, it)) if kind in OWN else self

    def _attached(self, it: Operation) -> Guide:
        """A tree mounted, or moved where it is mounted already."""
        if it.source not in self.trees:
            return self
        state, tree = self.state, self._tree(it.source)
        if tree[0].id in state.mounts:
            _must_be_movable(state, tree[0])
        elif it.source in self.mounted:
            raise Refused("EINVAL")
        else:
            tree = [mount._replace(namespace=it.actor) for mount in tree]
        if it.kind == "attach-beneath":
            state = _beneath(state, tree, state.find(it.actor, it.target))
        else:
            onto = attach.destination(state, it.actor, it.target)
            if onto.mount in tree:
                raise Refused("ELOOP")
            state = attach.attach(state, tree, onto)
        return replace(self, state=state, mounted=self.mounted | {it.source})

    def _tree(self, name: str) -> Tree:
        """The mounts of a tree: as it was copied, or as it is where it is mounted by now."""
        root, *_ = tree = self.trees[name]
        return [*self.state.subtree(self.state.mounts[root.id])] if root.id in self.state.mounts else tree

    def _changed(self, it: Operation) -> Guide:
        """Other propagation types of mounts, also of a tree's."""
        words = [word for word in it.source.split(",") if word in types.CHANGES]
        recursive = it.kind == "setattr-r"
        if it.target in self.trees:
            return self._tree_changed(it.target, words, recursive=recursive)
        state = self.state
        for word in words if it.target.startswith("/") else ():
            state = types.make(state, it.actor, it.target, word, recursive=recursive)
        return replace(self, state=state)

    def _tree_changed(self, name: str, words: Iterable[str], *, recursive: bool) -> Guide:
        tree = self._tree(name)
        if name in self.mounted and tree[0].id not in self.state.mounts:
            raise Refused("EINVAL")
        state = self.state.having(tree)
        for word in words:
            for mount in tree if recursive else tree[:1]:
                state = types.CHANGES[word](state, state.mounts[mount.id])
        trees = {**self.trees, name: [state.mounts[mount.id] for mount in tree]}
        beside = {mount.id for mount in tree} - self.state.mounts.keys()
        return replace(self, state=state.lacking(beside), trees=trees)


def _copied(state: State, operation: Operation) -> tuple[State, Tree]:
    """A copy as a bind makes it, of one mount or with what is on it."""
    place = state.find(operation.actor, operation.target)
    recursive = operation.kind == "tree-r"
    if place.mount.unbindable or not (recursive or not attach.hides(state, place)):
        raise Refused("EINVAL")
    taken = attach.bindable(state, place) if recursive else [place.mount]
    numbers = count(state.made + 1)
    root, *below = attach.renumber(taken, operation.actor, numbers)
    return replace(state, made=next(numbers)), [root._replace(root=place.directory, locked=False), *below]


def _beneath(state: State, tree: Tree, place: Place) -> State:
    """A tree beneath the uppermost mount of a place, which then lies on the tree's first."""
    over = state.top(place.mount)
    if not place.is_root or not over.parent or over.locked:
        raise Refused("EINVAL")
    # Neither lies on the other: mounts would lie on themselves (can_move_mount_beneath()).
    if over in tree or tree[0] in state.subtree(over):
        raise Refused("EINVAL")
    onto = Place(state.mounts[over.parent], over.point)
    state = attach.attach(state, tree, onto)
    return state.having([over._replace(parent=tree[0].id, point=tree[0].root)])


def _mounted_beneath(state: State, it: Operation) -> State:
    new = Mount(state.made + 1, it.actor, 0, "/", it.source, "/")
    return _beneath(replace(state, made=new.id), [new], state.find(it.actor, it.target))


def _moved_beneath(state: State, it: Operation) -> State:
    source = state.find(it.actor, it.source)
    if not source.is_root:
        raise Refused("EINVAL")
    _must_be_movable(state, source.mount)
    return _beneath(state, [*state.subtree(source.mount)], state.find(it.actor, it.target))


def _must_be_movable(state: State, mount: Mount) -> None:
    """Refuse what do_move_mount() refuses of a mount that is in a namespace."""
    parent = state.mounts.get(mount.parent)
    if not parent or mount.locked or parent.group:
        raise Refused("EINVAL")


def _grouped(state: State, it: Operation) -> State:
    giver = state.find(it.actor, it.source).mount
    taker = state.find(it.actor, it.target).mount
    if giver.source != taker.source or taker.group or taker.master:
        raise Refused("EINVAL")
    return state.having([taker._replace(group=giver.group, master=giver.master)])


EFFECTS = {"mount-beneath": _mounted_beneath, "move-beneath": _moved_beneath, "set-group": _grouped}
"""What is done for those kinds of operations beyond the model's of which it makes something."""

OWN = {*operations.OPERATIONS, "unshare", "unshare-user", "unshare-first"}
