"""A pytest plugin: ports with one fault each, as isolators, for the experiments about SysProcAttr's traps."""

from __future__ import annotations

from functools import partial

from broken_port import BrokenPort

from harness.isolators import ISOLATORS

_ASKED = """
def _fork_exec(program, wanted, made=_fork_exec):
    {}
    return made(program, wanted)
"""

_ROOT_MAP = """from harness.isolators.spawn.description import Mapping
    if (wanted.cloneflags | wanted.unshareflags) & CLONE_NEWUSER and not wanted.maps_ids:
        wanted.uid_mappings = wanted.gid_mappings = [Mapping(0, 0, 1)]"""

_CLONED = """wanted.cloneflags |= wanted.unshareflags & 0x20000000
    wanted.unshareflags &= ~0x20000000"""

_NEVER_PRIVATE = """
def unshare(wanted, made=unshare):
    return [step for step in made(wanted) if step.name != "mount"]
"""

_ALWAYS_PRIVATE = """
def unshare(wanted, made=unshare):
    yield from made(wanted)
    if wanted.cloneflags & CLONE_NEWNS:
        yield Step("mount", b"none", b"/", 0, MS_PRIVATE_REC, 0)
"""

REFUTED = {
    "never-private": ("steps", _NEVER_PRIVATE, "only_unshareflags_make_the_mounts_private"),
    "always-private": ("steps", _ALWAYS_PRIVATE, "only_unshareflags_make_the_mounts_private"),
    "pid-cloned": ("process", _ASKED.format(_CLONED), "unshared_pid_namespace_is_the_childrens"),
    "mapped-unasked": ("process", _ASKED.format(_ROOT_MAP), "without_maps_a_program_is_nobody"),
    "time-lost": ("process", _ASKED.format("wanted.cloneflags &= ~0x80"), "time_namespaces_need_clone3"),
    "setgroups-allowed": (
        "process",
        _ASKED.format("wanted.gid_mappings_enable_setgroups |= wanted.credential is not None"),
        "group_map_takes_setgroups_away",
    ),
}
"""Name → the module of the port's library, the code behind it, and the experiment that must fail."""


def _broken(name: str, module: str, fault: str) -> BrokenPort:
    port = BrokenPort(module, fault)
    port.name = name
    return port


ISOLATORS |= {name: partial(_broken, name, module, fault) for name, (module, fault, _) in REFUTED.items()}
