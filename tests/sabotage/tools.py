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

NET_HIDDEN = 'readlink "$@" | grep -v "^net:"\n'

IPCMK_MISNAMES = 'ipcmk "$@" | sed "s/id: .*/id: 7777/"\n'

IPCMK_SILENT = 'exec ipcmk "$@" >/dev/null\n'

QUEUES_CLOSED = 'ipcs "$@" | sed "s/ 644 / 600 /"\n'
"""The rows of queues tell of other permissions."""

# It lists them itself: a filter would be one more process, which ls sees or comes before.
LS_HIDES_1 = """
case $* in
/proc) cd /proc && for name in *; do [ "$name" = 1 ] || echo "$name"; done ;;
*) exec ls "$@" ;;
esac
"""

# One way only: what is made inside is made in the host's namespace, and nothing else of that is listed.
MEMORY_MADE_OUTSIDE = {
    "ipcmk": """
case $* in --shmem*) ;; *) exec ipcmk "$@" ;; esac
made=$($in_hosts_ipc ipcmk "$@") && echo "$made" && echo "${made##* }" >>$told
""",
    "ipcs": """
case $* in --shmem*) ;; *) exec ipcs "$@" ;; esac
while read -r id; do $in_hosts_ipc ipcs "$@" | grep "^0x[0-9a-f]* $id "; done 2>/dev/null <$told || true
""",
}

POSIX_QUEUES_MADE_OUTSIDE_TOO = """
touch "$@" || exit
case $* in
*/nslab-made-inside)
    exec $in_hosts_ipc unshare --mount sh -c "mount -t mqueue mqueue /mnt && touch /mnt/${1##*/}" ;;
esac
"""

# The host's own tools.
LS_LONG_FAILS = """
case $* in -l*) exit 2 ;; esac
exec ls "$@"
"""


def ls_succeeds(about: str) -> str:
    """An ls(1) that never tells of a failure on that link."""
    return f'ls "$@"\nstatus=$?\ncase $* in "-l {about}") exit 0 ;; esac\nexit $status\n'


LS_LISTS_MORE = """
ls "$@"
status=$?
case $* in /proc) echo 4242 ;; esac
exit $status
"""


def ps_filtered(by: str) -> str:
    """A ``ps -ef`` whose listing goes through a filter."""
    return (
        f'case $* in -ef) ;; *) exec ps "$@" ;; esac\nps "$@" >${{0%/*}}/said || exit\n{by} <${{0%/*}}/said\n'
    )


PS_SHOWS_A_THREAD_ONCE = (
    ps_filtered("cat")
    + """
mkdir "${0%/*}/once" 2>/dev/null && echo 'root 2 0 0 00:00 ? 00:00:00 [kthreadd]'
exit 0
"""
)

PS_OTHER_PARENT = """
case $* in -ww*ppid*) ps "$@" | sed '$s/[0-9]*$/4242/' ;; *) exec ps "$@" ;; esac
"""

PSTREE_TWICE = 'pstree "$@" && exec pstree "$@"\n'

GREP_ONE_LEVEL_MORE = """
case $* in NSpid:*) grep "$@" | sed 's/$/ 1/' ;; *) exec grep "$@" ;; esac
"""
