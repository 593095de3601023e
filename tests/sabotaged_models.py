"""Models of mount propagation broken on purpose, one rule each, and a kernel that is the whole model."""

from __future__ import annotations

import contextlib
import inspect
import textwrap
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import NamedTuple

from harness.propagation import attach, namespaces, operations, render, types, umount
from harness.propagation.operations import Operation
from harness.propagation.programs import replay
from harness.propagation.state import State
from harness.search.kernel import Answer, Kernel


class Sabotage(NamedTuple):
    """A rule, what of its text is replaced, and by what."""

    rule: str
    module: ModuleType
    function: str
    old: str
    new: str


SABOTAGES = [
    # make-*
    Sabotage("shared forgets the master", types, "shared", "(group=group,", "(group=group, master=0,"),
    Sabotage("shared stays unbindable", types, "shared", ", unbindable=False", ""),
    Sabotage("shared makes another group of a shared one", types, "shared", "if mount.group:", "if False:"),
    Sabotage("slave has no master in its peers", types, "slave", "mount.group if peers else ", ""),
    Sabotage("slave alone loses its old master", types, "slave", "else mount.master", "else 0"),
    Sabotage("slave stays as it is", types, "slave", "group=0, master=master", ""),
    Sabotage(
        "slave makes private what is not shared",
        types,
        "slave",
        "return state",
        "return private(state, mount)",
    ),
    Sabotage("private stays a slave", types, "private", "master=0, ", ""),
    Sabotage("private stays in its group", types, "private", "group=0, ", ""),
    Sabotage("private stays unbindable", types, "private", "unbindable=False", "unbindable=mount.unbindable"),
    Sabotage("unbindable can be bound", types, "unbindable", "unbindable=True", "unbindable=False"),
    Sabotage("unbindable stays a slave", types, "unbindable", "master=0, ", ""),
    Sabotage("unbindable stays in its group", types, "unbindable", "group=0, ", ""),
    Sabotage("make-r changes one mount", types, "make", "if recursive", "if False"),
    Sabotage("make changes the tree", types, "make", "if recursive", "if True"),
    Sabotage("make changes what is no mount's root", types, "make", "not place.is_root", "False"),
    Sabotage("slaves of an empty group keep it", types, "left", "if not masters", "if True"),
    Sabotage("slaves of an empty group turn private", types, "heir", "master = empty[master]", "return 0"),
    Sabotage("slaves get an empty master", types, "heir", "while master in empty", "if master in empty"),
    # bind, rbind
    Sabotage("unbindable is bound", attach, "bind", "if place.mount.unbindable", "if False"),
    Sabotage("a locked mount's cover is bound away", attach, "bind", "if not recursive and", "if False and"),
    Sabotage("rbind minds locked mounts", attach, "bind", "if not recursive and", "if"),
    Sabotage("bind shows the whole file system", attach, "bind", "root=place.directory, ", ""),
    Sabotage("a bound mount stays locked", attach, "bind", ", locked=False", ""),
    Sabotage("bind takes the tree", attach, "bind", "if recursive else [place.mount]", "if True else []"),
    Sabotage("rbind takes one mount", attach, "bind", "if recursive else", "if False else"),
    Sabotage(
        "rbind takes what lies elsewhere", attach, "bindable", "within(child.point, place.directory)", "True"
    ),
    Sabotage("rbind takes unbindable mounts", attach, "_prune", "if not mount.unbindable:", "if True:"),
    Sabotage(
        "rbind leaves locked mounts out", attach, "_prune", "mount.unbindable and mount.locked", "False"
    ),
    Sabotage(
        "copies are private",
        attach,
        "renumber",
        "namespace=namespace",
        "namespace=namespace, group=0, master=0",
    ),
    # move
    Sabotage("a locked mount is moved", attach, "move", "moved.locked or ", ""),
    Sabotage(
        "a mount leaves a shared parent",
        attach,
        "move",
        "(moved.parent and state.mounts[moved.parent].group)",
        "False",
    ),
    Sabotage("unbindable moves onto shared", attach, "move", "onto.mount.group and any", "False and any"),
    Sabotage("a mount into itself is another error", attach, "move", "ELOOP", "EINVAL"),
    Sabotage("what is no mount's root moves", attach, "move", "not place.is_root", "False"),
    Sabotage(
        "the first error counts", attach, "move", "    state.find(namespace, path)\n    place", "    place"
    ),
    # what is attached
    Sabotage("a mount lies below others there", attach, "destination", "if not place.is_root", "if True"),
    Sabotage("nothing travels", attach, "attach", "if not onto.mount.group", "if True"),
    Sabotage(
        "on a shared mount private stays so",
        attach,
        "share",
        "mount if mount.group else",
        "mount if True else",
    ),
    Sabotage("on a shared mount a slave gets free", attach, "share", "unbindable=False", "master=0"),
    Sabotage("peers receive nothing", attach, "secondaries", "yield peer, tree", "pass"),
    Sabotage(
        "peers that lack the place receive", attach, "secondaries", " and peer.contains(onto.directory)", ""
    ),
    Sabotage(
        "slaves receive nothing",
        attach,
        "secondaries",
        "yield from _below(state, tree, onto, numbers)",
        "pass",
    ),
    Sabotage("slaves that lack the place receive", attach, "_below", "if slave.contains(onto.directory)", ""),
    Sabotage("slaves receive peers", attach, "enslaved", "group=group, master=mount.group", ""),
    Sabotage("a group of slaves gets no peers", attach, "_below", "next(numbers) if group else 0", "0"),
    Sabotage("slaves of slaves receive nothing", attach, "_below", "waiting.append((group, copied))", "pass"),
    Sabotage("a slave's slaves get the first master", attach, "_below", "(group, copied))", "(group, tree))"),
    Sabotage(
        "a group that lacks the place stops all", attach, "_below", "if group:", "if group and receiving:"
    ),
    Sabotage(
        "a copy comes on top", attach, "attach", "beneath(after, [root, *copied[1:]])", "[root, *copied[1:]]"
    ),
    Sabotage(
        "a copy beneath a locked mount is free", attach, "beneath", "if there.locked and", "if False and"
    ),
    Sabotage("a stack comes on both sides", attach, "beneath", "TWO_COVERS in", "TWO_COVERS not in"),
    Sabotage("trees across owners are free", attach, "locked", "locked=True", "locked=mount.locked"),
    Sabotage("trees that travel to another owner are free", attach, "attach", "locked(copied)", "copied"),
    Sabotage("trees of one owner are locked", attach, "attach", "owner != owner", "owner is not None"),
    # umount
    Sabotage("a locked mount is unmounted", umount, "umount", " or place.mount.locked", ""),
    Sabotage("a busy mount is unmounted", umount, "umount", "if not detach and", "if False and"),
    Sabotage("a detached mount is busy", umount, "umount", "if not detach and", "if"),
    Sabotage("umount takes one mount", umount, "umount", "state.subtree(place.mount)", "[place.mount]"),
    Sabotage(
        "umount does not travel", umount, "candidates", "counterparts(state, state.mounts[number])", "()"
    ),
    Sabotage("umount does not reach slaves", umount, "receivers", "[mount.group]", "[]"),
    Sabotage(
        "umount does not reach slaves of slaves", umount, "receivers", "waiting.append(slave.group)", "pass"
    ),
    Sabotage("umount does not reach peers", umount, "receivers", "peer.id != mount.id", "False"),
    Sabotage("a counterpart goes with what is on it", umount, "_forbidden", "below.id not in going", "False"),
    Sabotage("a covered counterpart stays", umount, "_forbidden", "if child.point != mount.root", "if True"),
    Sabotage(
        "a locked counterpart goes alone",
        umount,
        "_reveals",
        "not mount.locked",
        "True",
    ),
    Sabotage(
        "a locked counterpart over another stays",
        umount,
        "_reveals",
        "covers and KEEPS_COVER in",
        "covers and KEEPS_COVER not in",
    ),
    Sabotage("a locked counterpart stays", umount, "unlock", "locked=False", "locked=there.locked"),
    Sabotage(
        "a locked counterpart stays with its parent",
        umount,
        "candidates",
        "in counterparts(state, state.mounts[number])",
        "in counterparts(state, state.mounts[number]) if not there.locked",
    ),
    Sabotage(
        "what covers a counterpart goes to the next below",
        umount,
        "slide",
        "while mount.parent in",
        "if mount.parent in",
    ),
    Sabotage(
        "mounts that go keep their slaves",
        umount,
        "without",
        "left(state.lacking(going),",
        "(lambda s, _: s)(state.lacking(going),",
    ),
    # namespaces
    Sabotage(
        "a copied namespace loses unbindable",
        namespaces,
        "clone",
        "if LOST_UNBINDABLE in state.known",
        "if True",
    ),
    Sabotage(
        "another owner's copy is a peer", namespaces, "less_privileged", "group=0, master=mount.group", ""
    ),
    Sabotage("another owner's copy is free", namespaces, "less_privileged", "master=mount.group", "master=0"),
    Sabotage(
        "another owner's copy is not locked",
        namespaces,
        "clone",
        "locked=True)",
        "locked=mount.id == tree[0].id)",
    ),
    Sabotage(
        "another owner's copy of the first mount is not locked",
        namespaces,
        "clone",
        "locked=True)",
        "locked=mount.id != tree[0].id)",
    ),
    Sabotage("the same owner's copy is as another's", namespaces, "clone", "if owner !=", "if 1 or owner !="),
    Sabotage(
        "who comes from the first owner is the namespace's", operations, "_unshare", "owner = FIRST", "pass"
    ),
    Sabotage("below a covered root users are made", namespaces, "own", "!= root", "is None"),
]
"""Each rule of each table, broken."""


class Whole(Kernel):
    """A kernel that does what the whole model says, also while a broken one is in its place."""

    def __init__(self, breaks: Broken | None = None) -> None:
        """Nothing runs on a host."""
        self._mended = breaks.mended if breaks else contextlib.nullcontext
        self._said: list[list[Answer]] = []

    def send(self, operations: Iterable[Operation]) -> None:
        """Have the whole model say what it does, as a host would say it."""
        with self._mended():
            whole = replay(operations)
            self._said.append(answers((step.errno, step.state) for step in whole))

    def receive(self) -> list[Answer]:
        """What it says of the first program of which it has not been heard."""
        return self._said.pop(0)


class Broken:
    """A sabotage that is done while it is entered."""

    def __init__(self, sabotage: Sabotage) -> None:
        """Make the broken function.

        Raises:
            AssertionError: the function's text has no such place, or several.
        """
        self._module, self._name = sabotage.module, sabotage.function
        self._whole = getattr(self._module, self._name)
        source = textwrap.dedent(inspect.getsource(self._whole))
        assert source.count(sabotage.old) == 1, sabotage
        made = dict(vars(self._module))
        exec(f"from __future__ import annotations\n{source.replace(sabotage.old, sabotage.new)}", made)  # noqa: S102
        self._broken = made[self._name]

    def _everywhere(self, old: object, new: object) -> None:
        """Replace the function in each module that has it under its name."""
        for module in (types, attach, umount, namespaces, operations):
            if getattr(module, self._name, None) is old:
                setattr(module, self._name, new)
        for name, value in types.CHANGES.items():
            if value is old:
                types.CHANGES[name] = new  # type: ignore[index]

    @contextlib.contextmanager
    def mended(self) -> Iterator[None]:
        """The whole model for a while."""
        self._everywhere(self._broken, self._whole)
        try:
            yield
        finally:
            self._everywhere(self._whole, self._broken)

    def __enter__(self) -> Broken:
        """Break it."""
        self._everywhere(self._whole, self._broken)
        return self

    def __exit__(self, *_: object) -> None:
        """Mend it."""
        self._everywhere(self._broken, self._whole)


def answers(steps: Iterable[tuple[str, State]]) -> list[Answer]:
    """What a host would say of steps of which a model says these errors and states."""
    said: list[Answer] = []
    for errno, state in steps:
        gone = said[-1][1].keys() - state.namespaces.keys() if said else ()
        said.append((errno, {**dict.fromkeys(gone, ""), **mountinfo(state)}))
    return said


def mountinfo(state: State) -> dict[int, str]:
    """The mount tables of a state, as the kernel would show them."""
    texts = {}
    for number, table in render.of_state(state).items():
        stack: list[int] = []
        lines = []
        for line, mount in enumerate(table, 1):
            del stack[mount.depth :]
            parent = stack[-1] if stack else 0
            stack.append(line)
            tags = "".join(f"{tag} " for tag in mount.tags)
            lines.append(
                f"{line} {parent} 0:1 {mount.root} {mount.path} rw {tags}- tmpfs {mount.source} rw\n"
            )
        texts[number] = "".join(lines)
    return texts
