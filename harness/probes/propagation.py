"""Mount propagation: each cell of the tables of sharedsubtree.rst."""

from __future__ import annotations

import os

from harness.probes.children import in_child, in_new_user_namespace
from harness.probes.mounts import (
    BIND,
    DETACH,
    FLAGS,
    MOVE,
    REC,
    STATES,
    at,
    bind,
    described,
    make,
    state_at,
    workspace,
)
from harness.probes.registry import fact, facts
from harness.probes.syscalls import NEWNS, mount, outcome, umount

STATE = {state: state for state in STATES}
PARENTS = ("shared", "private")
MAKE = {f"{command}_of_{state}": (command, state) for command in FLAGS for state in STATES}
ONTO = {f"{state}_on_{parent}": (state, parent) for state in STATES for parent in PARENTS}


@facts("mount.make_{}", MAKE)
def make_state(command: str, state: str) -> str:
    """The propagation type after --make-{words}.

    Source: sharedsubtree.rst, 3) Setting mount states; 5d) state table.
    """
    workspace()
    make("m", state)
    mount("", "m", "", FLAGS[command])
    return state_at("m")


@fact("mount.make_slave_with_peers")
def make_slave_with_peers() -> str:
    """Whose slave a mount that is shared and slave becomes while it has peers: theirs or of its old master.

    Source: sharedsubtree.rst, 5d) state table.
    """
    workspace()
    make("m", "shared+slave")
    bind("m", "n")
    mount("", "m", "", FLAGS["slave"])
    return "its peers" if at("m").group("master") == at("n").group("shared") else "its old master"


@fact("mount.last_peer_leaves")
def last_peer_leaves() -> str:
    """The propagation type of a slave when the last member of its master group turns private.

    Source: sharedsubtree.rst, 8) Implementation; mount_namespaces(7), SHARED SUBTREES.
    """
    workspace()
    make("m", "shared")
    bind("m", "slave")
    mount("", "slave", "", FLAGS["slave"])
    umount("m-peer")
    mount("", "m", "", FLAGS["private"])
    return state_at("slave")


def _target(parent: str) -> None:
    """A mount to mount on, with a peer and a slave that receive what is mounted there if it is shared."""
    make("parent", parent)
    bind("parent", "peer")
    bind("parent", "receiver")
    mount("", "receiver", "", FLAGS["slave"])
    os.mkdir("parent/point")


@facts("mount.bind_{}", ONTO)
def bind_state(state: str, parent: str) -> str:
    """The propagation type of a bind mount's copy, as source and parent are: {words}, or the errno.

    Source: sharedsubtree.rst, 5a) Bind semantics.
    """
    workspace()
    make("m", state)
    _target(parent)
    failure = outcome(mount, "m", "parent/point", "", BIND)
    return described("parent/point", at("m")) if failure == "ok" else failure


@facts("mount.bind_seen_by_peer_{}", STATE)
def bind_seen_by_peer(state: str) -> str:
    """What a peer of the parent has after a bind mount whose source is {words}.

    Source: sharedsubtree.rst, 5a).
    """
    return _received(state, "peer/point")


@facts("mount.bind_seen_by_slave_{}", STATE)
def bind_seen_by_slave(state: str) -> str:
    """What a slave of the parent has after a bind mount whose source is {words}.

    Source: sharedsubtree.rst, 5a).
    """
    return _received(state, "receiver/point")


def _received(state: str, point: str) -> str:
    workspace()
    make("m", state)
    _target("shared")
    outcome(mount, "m", "parent/point", "", BIND)
    return described(point, at("m"))


@facts("mount.move_{}", ONTO)
def move_state(state: str, parent: str) -> str:
    """The propagation type of a mount after a move, as it and its new parent were: {words}, or the errno.

    Source: sharedsubtree.rst, 5c) Move semantics.
    """
    workspace()
    make("m", state)
    _target(parent)
    failure = outcome(mount, "m", "parent/point", "", MOVE)
    return state_at("parent/point") if failure == "ok" else failure


@fact("mount.move_from_shared_parent")
def move_from_shared_parent() -> str:
    """What mount(2) says to a move of a mount whose parent is shared.

    Source: sharedsubtree.rst, 5c); mount(2).
    """
    workspace()
    _target("shared")
    mount("none", "parent/point", "tmpfs")
    os.mkdir("elsewhere")
    return outcome(mount, "parent/point", "elsewhere", "", MOVE)


@fact("mount.move_into_itself")
def move_into_itself() -> str:
    """What mount(2) says to a move of a mount to a place below itself. Source: mount(2), ERRORS."""
    workspace()
    _target("private")
    return outcome(mount, "parent", "parent/point", "", MOVE)


@facts("mount.copied_{}", STATE)
def copied(state: str) -> str:
    """What a mount that is {} is in a new mount namespace of the same owner.

    Source: sharedsubtree.rst, 5g) Clone namespace; mount_namespaces(7), SHARED SUBTREES.
    """
    workspace()
    make("m", state)
    return str(in_child(described, "m", at("m"), flags=NEWNS))


@facts("mount.copied_for_less_privileged_{}", STATE)
def copied_for_less_privileged(state: str) -> str:
    """What a mount that is {} is in a new mount namespace of another user namespace's.

    Source: mount_namespaces(7), Restrictions on mount namespaces.
    """
    workspace()
    make("m", state)
    return str(in_new_user_namespace(described, "m", at("m"), flags=NEWNS))


@fact("mount.rbind_prunes_unbindable")
def rbind_prunes_unbindable() -> str:
    """What a recursive bind has in the place of an unbindable mount. Source: sharedsubtree.rst, 5b) Rbind."""
    workspace()
    make("m", "private")
    make("m/u", "unbindable")
    bind("m", "copy", REC)
    return state_at("copy/u")


@facts("mount.umount_reaches_{}", {"peer": "peer/point", "slave": "receiver/point"})
def umount_reaches(point: str) -> str:
    """What is left on a {} of the parent after an unmount there. Source: sharedsubtree.rst, 5f) Unmount."""
    workspace()
    _target("shared")
    mount("none", "parent/point", "tmpfs")
    umount("parent/point")
    return state_at(point)


@facts("mount.umount_spares_copy_with_child_on_{}", {"peer": "peer", "slave": "receiver"})
def umount_spares_copy_with_child(where: str) -> str:
    """What is left of a copy on a {} that has a mount of its own when the original is unmounted.

    Source: sharedsubtree.rst, 5f) Unmount semantics; propagate_umount.txt.
    """
    workspace()
    _target("shared")
    make("source", "private")
    os.mkdir("source/child")
    mount("source", "parent/point", "", BIND)
    mount("", where + "/point", "", FLAGS["private"])
    mount("none", where + "/point/child", "tmpfs")
    umount("parent/point")
    return "kept" if state_at(where + "/point") != "absent" else "gone"


@fact("mount.detached_tree_reaches_peer")
def detached_tree_reaches_peer() -> str:
    """What a lazily unmounted tree leaves of its copy on a peer of the parent.

    Source: sharedsubtree.rst, 5f).
    """
    workspace()
    _target("shared")
    mount("none", "parent/point", "tmpfs")
    make("parent/point/child", "private")
    umount("parent/point", DETACH)
    return state_at("peer/point")


@fact("mount.copy_goes_beneath")
def copy_goes_beneath() -> str:
    """Whether a propagated copy lies `beneath` or `on` a mount that the receiver has there.

    Source: fs/pnode.c, propagate_mnt(); sharedsubtree.rst, 5e) Mount semantics.
    """
    workspace()
    _target("shared")
    mount("mine", "receiver/point", "tmpfs")
    mine = at("receiver/point").id
    mount("other", "parent/point", "tmpfs")
    return "beneath" if at("receiver/point").id == mine else "on"
