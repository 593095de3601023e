"""What a link has a shell do on another machine: ask what is there, keep a folder, wait for a turn, kill."""

from __future__ import annotations

import shlex

from harness.guardian import LOCK, TAKEN
from harness.hosts.remote_state import marked
from harness.state import mark


def killing(session: str) -> str:
    """A shell's lines that end what carries the mark of ``session``, on stages too; run in ``/proc``."""
    return f"""\
for round in 1 2 3 4 5 6 7 8 9; do
    left=$({marked(session)}) || :
    [ "$left" ] || break
    for each in $left; do kill -9 "${{each%/environ}}"; done
done 2>/dev/null
"""


def keeping(session: str) -> str:
    """A shell's lines that make a folder for programs, tell its path, and remove it at last."""
    return f"""\
umask 077
for place in "${{TMPDIR:-/tmp}}" /var/tmp /dev/shm "$HOME"; do
    folder=$(mktemp -d "$place/{mark(session)}-XXXXXX") || continue
    # A file system may be mounted noexec.
    printf '#!/bin/sh\\n' >"$folder/try" && chmod 700 "$folder/try" && "$folder/try" && break
    rm -rf "$folder"
    folder=
done
rm -f "$folder/try"
[ "$folder" ] || exit
trap '' HUP INT TERM PIPE
# Where another /proc covers this one, it shows the processes of other numbers.
cd /proc
printf '%s\\n' "$folder"
cat >/dev/null
{killing(session)}
rm -rf "$folder"
"""


NEEDED = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "flock": "util-linux",
    "mount": "mount",
    "ps": "procps",
    "tar": "tar",
    "readlink": "coreutils",
}
"""Commands that the lab itself uses there, and the packages that have them."""

ASKING = f"""\
id -u
uname -m
for each in python3 python; do
    "$each" -IS -c 'import os, sys; sys.version_info < (3, 8) or print(os.path.realpath(sys.executable))' &&
        break
done 2>/dev/null | head -n 1 | grep . || echo
for each in {" ".join(NEEDED)}; do command -v "$each" >/dev/null || printf '%s ' "$each"; done
"""
"""Lines that tell the user, the architecture, a Python, and which commands are not there."""

ANSWERS = 4
"""How many lines that are, with the last one's end."""


def in_turn(seconds: float) -> str:
    """A shell's lines that wait until nobody acts on the machine itself, and let nobody begin until they end.

    Where that takes too long they say :data:`harness.guardian.TAKEN`, and nothing that follows is run.
    """
    return f"""\
if [ -r {LOCK} ]; then
    exec 9<{LOCK}
    flock --shared --timeout {seconds:g} 9 || {{ echo {shlex.quote(TAKEN)}; exit; }}
fi
"""
