"""Broken hosts, for the claims about the host alone: stages on which one thing is not as it should be."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

from harness.environment import environment
from harness.hosts.base import DEFAULT_WAIT, EnteringBackend
from harness.hosts.stage import Stage
from harness.namespaces import INITIAL_UTS_INODE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testinfra.backend.base import CommandResult

    from harness.hosts.base import LabHost
    from harness.notebook import Notebook


class Prefixed(Stage):
    """A stage whose commands, though not its isolators, run behind a prefix, and find lying tools first."""

    prefix: tuple[str, ...] = ()
    tools: Mapping[str, str] = {}

    def __init__(self, notebook: Notebook, wait: float = DEFAULT_WAIT) -> None:
        """Make the stage and put the fault in."""
        super().__init__(notebook, wait)
        backend = cast("EnteringBackend", self.backend)
        backend.prefix += self.prefix
        if self.tools:
            folder = self.carry("tools", {name: _script(body) for name, body in self.tools.items()})
            backend.prefix += ["env", f"PATH={folder}{os.pathsep}{environment()['PATH']}"]


def _script(body: str) -> bytes:
    return f"#!/bin/sh\nPATH=${{PATH#*:}}\n{body}\n".encode()


class DaemonApart(Stage):
    """A host whose service manager gives daemons a UTS namespace, as systemd's ``ProtectHostname=`` does."""

    def run(self, command: str, *args: str, **kwargs: Any) -> CommandResult:
        """Run a command; what listens is started in a UTS namespace of its own."""
        listens = any("listener" in argument for argument in args)
        return super().run(f"unshare --uts {command}" if listens else command, *args, **kwargs)


def lying(**tools: str) -> type[LabHost]:
    """A host on which these tools lie."""
    return type("Lying", (Prefixed,), {"tools": tools})


def behind(*prefix: str) -> type[LabHost]:
    """A host whose every command runs behind that prefix."""
    return type("Behind", (Prefixed,), {"prefix": prefix})


UNSHARE_WITHOUT_UTS = """
for word; do
    shift
    [ "$word" = --uts ] || set -- "$@" "$word"
done
exec unshare "$@"
"""

RUNC_WITHOUT_UTS = """
sed -i 's/{"type": "uts"}, //; s/"hostname": "container", //' config.json
exec runc "$@"
"""

QUEUES_FOR_ROOT_ALONE = """
case $* in -Q) exec ipcmk -Q -p 0600 ;; esac
exec ipcmk "$@"
"""

IMPOSTOR = """
case $* in /proc/2/comm) echo kthreadd ;; *) exec cat "$@" ;; esac
"""


def second_process_in(link: str) -> str:
    """A readlink(1) that tells of process 2 that it is in that UTS namespace."""
    return f'case $* in /proc/2/ns/uts) echo "{link}" ;; *) exec readlink "$@" ;; esac'


INITIAL = f"uts:[{INITIAL_UTS_INODE}]"
