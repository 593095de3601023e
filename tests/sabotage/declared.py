"""What each sabotage does, and which claims it must refute: data only, for tests and docs."""

from __future__ import annotations

from typing import NamedTuple


class Declared(NamedTuple):
    """One sabotage.

    The claims are named by their ids; an experiment that belongs to no claim stands under its file's name.
    """

    does: str
    refutes: frozenset[str]
    """Claims of which at least one experiment fails."""
    breaks: frozenset[str] = frozenset()
    """Claims of which no experiment fails, but at least one ends in an error: not confirmed either."""


def _declare(does: str, refutes: str, breaks: str = "") -> Declared:
    return Declared(does, frozenset(refutes.split()), frozenset(breaks.split()))


def _together(*names: str) -> Declared:
    """Several sabotages in one refute what each of them refutes."""
    refuted = (ISOLATORS[name].refutes for name in names)
    flags = " and ".join(name.removeprefix("no-").upper() for name in names)
    return Declared(f"{flags} are dropped.", frozenset().union(*refuted))


_NO_NEWUTS = "uts-3 uts-6 uts-7 flags"
_NO_NEWIPC = "ipc-3 ipc-4 ipc-5 flags"
_NO_NEWPID = "pid-2 pid-3 mnt-1 mnt-2 mnt-5 flags"
_NO_NEWNS = "mnt-4 mnt-5 mnt-6 flags"

ISOLATORS = {
    "no-newuts": _declare("NEWUTS is dropped.", _NO_NEWUTS),
    "no-newipc": _declare("NEWIPC is dropped.", _NO_NEWIPC),
    "no-newpid": _declare("NEWPID is dropped.", _NO_NEWPID),
    "no-newns": _declare("NEWNS is dropped.", _NO_NEWNS),
}
ISOLATORS |= {
    "+".join(names): _together(*names)
    for names in (
        ("no-newuts", "no-newipc"),
        ("no-newuts", "no-newpid"),
        ("no-newuts", "no-newns"),
        ("no-newipc", "no-newpid"),
        ("no-newipc", "no-newns"),
        ("no-newpid", "no-newns"),
    )
}
ISOLATORS |= {
    "unasked-newuts": _declare("NEWUTS is added where it was not asked for.", "uts-3 uts-6 uts-7 flags"),
    "unasked-newipc": _declare("NEWIPC is added where it was not asked for.", "ipc-2 ipc-4 ipc-5 flags"),
    "unasked-newpid": _declare("NEWPID is added where it was not asked for.", "pid-1 pid-2 pid-3 flags"),
    "unasked-newns": _declare("NEWNS is added where it was not asked for.", "mnt-3 flags"),
    "unasked-newnet": _declare("A network namespace is made that nobody asked for.", "flags"),
    "wrong-process": _declare(
        "The namespaces are made, but by another process: the shell is not in them.",
        f"{_NO_NEWUTS} {_NO_NEWIPC} {_NO_NEWPID} {_NO_NEWNS}",
    ),
    "entered": _declare(
        "The namespaces are not made but entered: somebody else's, with a name, a queue and a PID 1.",
        "uts-4 ipc-3 pid-2 pid-3 mnt-1 mnt-2 mnt-5",
    ),
    "siblings-ipc": _declare("The IPC namespace is a sibling's, who has made a queue in it.", "ipc-3"),
    "second-process": _declare(
        "The program forks in the new PID namespace and stays there as PID 1: the shell is PID 2.",
        "pid-2 pid-3 mnt-1 mnt-2 mnt-5",
    ),
    "forked-twice": _declare(
        "The program forks once more than told: the shell is its grandchild.", "pid-1 pid-3"
    ),
    "status-swallowed": _declare("The program always ends with status 0.", "pid-3"),
    "no-terminal": _declare(
        "Standard input is /dev/null instead of the terminal: no shell stays for a prompt.",
        "",
        breaks="uts-3 uts-4 uts-5 uts-6 uts-7 ipc-2 ipc-3 ipc-4 ipc-5 pid-1 pid-2 pid-3 pid-4 "
        "mnt-1 mnt-2 mnt-3 mnt-4 mnt-5 mnt-6",
    ),
    "foreign-terminal": _declare("The shell's session is a new one, without the terminal.", "mnt-1"),
    "thread": _declare("A program that is not Go's has a second thread.", "pid-4"),
    "private-at-start": _declare(
        "`/` is made private where the document's program leaves it shared.", "mnt-2 mnt-4 mnt-6"
    ),
    "slave-at-start": _declare(
        "`/` is made a slave where the document's program leaves it shared.", "mnt-2 mnt-4 mnt-6"
    ),
    "new-peer-group": _declare(
        "`/` is shared inside, but with nobody: it was made private and then shared.", "mnt-2 mnt-4 mnt-6"
    ),
    "shared-ignored": _declare("The kernel takes MS_SHARED and does nothing.", "mnt-6"),
    "slave-ignored": _declare("The kernel takes MS_SLAVE and does nothing.", "mnt-6"),
    "private-ignored": _declare("The kernel takes MS_PRIVATE and does nothing.", "mnt-5 mnt-6"),
    "unbindable-ignored": _declare("The kernel takes MS_UNBINDABLE and does nothing.", "mnt-6"),
    "mount-never-recursive": _declare(
        "MS_REC is left out: `mount --make-rprivate /` makes only `/` private.", "mnt-5 mnt-6"
    ),
    "root-left-shared": _declare("`mount --make-rprivate` does nothing and succeeds.", "mnt-5 mnt-6"),
    "slave-not-private": _declare("`mount --make-rprivate` makes slaves.", "mnt-6"),
    "private-not-slave": _declare("`mount --make-rslave` makes private mounts.", "mnt-6"),
    "private-not-unbindable": _declare("`mount --make-unbindable` makes private mounts.", "mnt-6"),
    "hosts-proc": _declare(
        "`mount -t proc` binds the host's `/proc`, so that `ps` tells of the host.", "mnt-1 mnt-2 mnt-5"
    ),
    "no-newpid+ps-lies": _declare(
        "NEWPID is dropped, and a `ps` inside tells of a shell and itself alone.", _NO_NEWPID
    ),
    "proc-mounted-already": _declare(
        "`/proc` is made private and mounted anew before the shell starts, as `unshare --mount-proc` does.",
        "mnt-1 mnt-2",
    ),
    "mount-does-nothing": _declare("`mount -t tmpfs` inside does nothing and succeeds.", "mnt-4 mnt-6"),
    "posix-queues-leak": _declare("`mount -t mqueue` shows the host's POSIX queues.", "ipc-5"),
    "queues-leak": _declare("Only message queues are made and listed in the host's IPC namespace.", "ipc-3"),
    "memory-leaks": _declare("Only shared memory is made and listed in the host's IPC namespace.", "ipc-4"),
    "semaphores-leak": _declare("Only semaphores are made and listed in the host's IPC namespace.", "ipc-4"),
    "hostname-set-outside-too": _declare("A `hostname` inside sets the host's name as well.", "uts-6"),
    "domain-set-outside-too": _declare("A `domainname` inside sets the host's domain name as well.", "uts-7"),
    "hostname-parrot": _declare(
        "A `hostname` inside sets nothing and prints what it was told.", "uts-5 uts-6"
    ),
    "sethostname-ignored": _declare("The kernel takes a hostname and does nothing.", "uts-5 uts-6"),
    "setdomainname-ignored": _declare("The kernel takes a domain name and does nothing.", "uts-7"),
    "long-name-refused-otherwise": _declare(
        "The kernel refuses a hostname of 65 bytes with ENAMETOOLONG.", "uts-5"
    ),
    "name-not-copied": _declare("A new UTS namespace starts with `localhost` for a name.", "uts-4"),
    "name-foreseen": _declare(
        "A new UTS namespace starts with the very name that will be set.", "uts-4 uts-5"
    ),
    "domain-not-copied": _declare("A new UTS namespace starts with a domain name of its own.", "uts-7"),
    "setarch-does-nothing": _declare("A `setarch` inside disguises nothing.", "uts-7"),
    "version-disguised": _declare("uname(2) tells of a kernel 2.6 inside.", "uts-7"),
    "proc-of-its-own": _declare(
        "A new PID namespace comes with its own `/proc`, in a mount namespace of its own.", "pid-3 flags"
    ),
    "namespace-hidden": _declare("A `readlink` inside tells of no network namespace.", "flags"),
    "ids-misnamed": _declare("An `ipcmk` inside names another id than that of what it made.", "ipc-4"),
    "queues-closed": _declare("An `ipcs` inside tells of other permissions of queues.", "ipc-2"),
    "memory-made-outside": _declare(
        "Shared memory made inside is made in the host's IPC namespace, of which nothing else is listed.",
        "ipc-4",
    ),
    "posix-queues-made-outside-too": _declare(
        "A POSIX queue made inside is made in the host's IPC namespace as well.", "ipc-5"
    ),
    "first-process-hidden": _declare("An `ls` inside does not show PID 1.", "mnt-1 mnt-5"),
}

HOSTS = {
    "daemon-apart": _declare("The daemon is in a UTS namespace of its own.", "uts-1 uts-2"),
    "unshare-without-uts": _declare("The host's `unshare` makes no UTS namespace.", "uts-1"),
    "initial-posed": _declare(
        "A process poses as a thread of the kernel; its namespace is another one.", "uts-1"
    ),
    "initial-disguised": _declare(
        "A process poses as a thread of the kernel, in the initial namespace; the host is not there.", "uts-1"
    ),
    "container-without-uts": _declare("The container is made without a UTS namespace.", "uts-2 uts-3"),
    "uts-for-each-command": _declare(
        "Each command of the host is in a UTS namespace of its own.",
        "uts-1 uts-2 uts-3 uts-4 flags",
    ),
    "ipc-for-each-command": _declare(
        "Each command of the host is in an IPC namespace of its own.", "ipc-1 ipc-2 ipc-3 ipc-4 ipc-5 flags"
    ),
    "ps-fails": _declare("The host's `ps` fails, whatever is mounted.", "pid-1 pid-3 mnt-2 mnt-5"),
    "host-mounts-nothing": _declare("The host's `mount -t tmpfs` does nothing and succeeds.", "mnt-6"),
    "queue-for-root-alone": _declare("The host's `ipcmk` makes queues that only root may read.", "ipc-1"),
    "queues-unannounced": _declare("The host's `ipcmk` says nothing.", "ipc-1 ipc-2 ipc-3 ipc-4"),
    "proc-broken": _declare("On the host `ls -l` fails, as where `/proc` is broken.", "mnt-2 mnt-5"),
    "self-never-broken": _declare("On the host `/proc/self` seems never broken.", "mnt-2"),
    "thread-self-never-broken": _declare("On the host `/proc/thread-self` seems never broken.", "mnt-2"),
    "one-process-more": _declare("The host's `ls /proc` shows a process that is not there.", "mnt-2"),
    "first-row-changes": _declare("The host's `ps` shows another first process each time.", "mnt-5"),
    "first-row-misnumbered": _declare("The host's `ps` tells of another PID of the first process.", "mnt-5"),
    "shells-hidden": _declare("The host's `ps` shows no shells.", "mnt-5"),
    "kernel-thread-once": _declare("The host's `ps` shows a thread of the kernel only once.", "mnt-5"),
    "other-parent": _declare("The host's `ps` tells of another parent.", "pid-1 pid-3"),
    "tree-twice": _declare("The host's `pstree` shows everything twice.", "pid-1 pid-3 pid-4"),
    "one-level-more": _declare("The host's `/proc` tells of one PID namespace more.", "pid-1 pid-3"),
}
"""Sabotaged hosts, for the claims in which nothing is isolated."""

SABOTAGES = ISOLATORS | HOSTS
