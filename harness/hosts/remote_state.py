"""What of another machine an experiment could change, asked for by one shell command."""

from __future__ import annotations

import secrets

from harness import mountinfo
from harness.environment import TAG
from harness.state import State, listed_ipc, mark

SEPARATOR = f"nslab-{secrets.token_hex(8)}"
"""A line that nothing on a machine can print unless it was told."""

_KINDS = ("msg", "sem", "shm")


def marked(session: str) -> str:
    """A command that lists ``PID/environ``, in ``/proc``, of each process that carries the mark."""
    # As a variable of its own: sudo tells a command, and so this very text, in SUDO_COMMAND.
    return f"grep -lsz '^{TAG}={session}' [0-9]*/environ"


def look(session: str) -> str:
    """A shell's lines that print each part of the state, with what carries the mark of ``session``."""
    return f"""\
cd /proc
next() {{ printf '\\n{SEPARATOR}\\n'; }}
cat /proc/sys/kernel/hostname; next
cat /proc/sys/kernel/domainname; next
cat /proc/self/mountinfo; next
for kind in {" ".join(_KINDS)}; do cat /proc/sysvipc/$kind; next; done
for each in /dev/mqueue/*; do [ ! -e "$each" ] || printf '%s\\n' "$each"; done; next
for each in "${{TMPDIR:-/tmp}}/{mark(session)}"*; do [ ! -e "$each" ] || printf '%s\\n' "$each"; done
find /sys/fs/cgroup -type d -name '{mark(session)}*'; next
for each in $({marked(session)}); do
    each=${{each%/environ}}
    read -r name <$each/comm && printf '%s %s\\n' "$each" "$name"
done; next
# Only now: one with the mark that ends in between is not taken for somebody else's.
grep -ls '^State:.[^ZX]' [0-9]*/status; next
"""


def parse_state(said: str) -> State:
    """The state that :func:`look` printed."""
    parts = said.split(f"\n{SEPARATOR}\n")
    hostname, domainname, mounts, *ipc = parts[:6]
    queues, files, left, living = parts[6:10]
    running = dict(line.split(" ", 1) for line in left.splitlines())
    foreign = {pid.removesuffix("/status") for pid in living.split()} - running.keys()
    objects = {
        each: str(creator) in foreign
        for kind, text in zip(_KINDS, ipc, strict=True)
        for each, creator in listed_ipc(kind, text)
    }
    return State(
        hostname=hostname.removesuffix("\n"),
        domainname=domainname.removesuffix("\n"),
        mounts=tuple(mountinfo.parse(mounts)),
        ipc=frozenset(each for each, others in objects.items() if not others),
        queues=frozenset(queues.splitlines()),
        processes=frozenset((int(pid), name) for pid, name in running.items()),
        files=frozenset(files.splitlines()),
        others=frozenset(each for each, others in objects.items() if others),
    )
