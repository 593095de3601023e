"""Faults of tools: shell scripts that stand first in the inside's or the host's ``PATH``."""

from __future__ import annotations

MOUNT_NEVER_RECURSIVE = """
for word; do
    shift
    case $word in --make-r*) word=--make-${word#--make-r} ;; esac
    set -- "$@" "$word"
done
exec mount "$@"
"""

ROOT_LEFT_SHARED = """
case $* in *--make-rprivate*) exit 0 ;; esac
exec mount "$@"
"""

NO_TMPFS = """
case $* in "-t tmpfs"*) exit 0 ;; esac
exec mount "$@"
"""

HOSTS_PROC = """
case $* in "-t proc"*) exec mount --bind /proc /proc ;; esac
exec mount "$@"
"""

HOSTS_MQUEUE = """
case $* in "-t mqueue"*) exec $in_hosts_ipc mount "$@" ;; esac
exec mount "$@"
"""


def mount_instead(asked: str, done: str) -> str:
    """A mount(8) that makes mounts of another propagation type than it was told."""
    return f"""
case $1 in
--make-{asked}) shift && exec mount --make-{done} "$@" ;;
--make-r{asked}) shift && exec mount --make-r{done} "$@" ;;
*) exec mount "$@" ;;
esac
"""


def in_hosts_ipc(tool: str, objects: str) -> str:
    """A tool that acts on the host's objects of one kind instead of the namespace's own."""
    return f'case $* in --{objects}*) exec $in_hosts_ipc {tool} "$@" ;; esac\nexec {tool} "$@"\n'


HOSTNAME_SET_OUTSIDE_TOO = 'hostname "$@" && case $1 in -b) exec $in_hosts_uts hostname "$@" ;; esac\n'

DOMAIN_SET_OUTSIDE_TOO = 'domainname "$@" && [ $# = 0 ] || exec $in_hosts_uts domainname "$@"\n'

HOSTNAME_PARROT = """
case $1 in
-b) echo "$2" >"$told" ;;
*) cat "$told" 2>/dev/null || exec hostname "$@" ;;
esac
"""

NO_PERSONALITY = 'shift && exec "$@"\n'

PS_LIES = """
echo 'UID PID PPID C STIME TTY TIME CMD'
echo 'root 1 0 0 00:00 pts/0 00:00:00 sh'
echo 'root 2 1 0 00:00 pts/0 00:00:00 ps -ef'
"""
