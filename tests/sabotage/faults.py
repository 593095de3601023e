"""The name of each sabotage that ``declared.py`` describes → what carries it out."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from harness.namespaces import Kind

from . import kernel, processes, stages, tools
from .sabotaged import Sabotaged

if TYPE_CHECKING:
    from harness.hosts.base import LabHost

_FLAGS = {Kind.UTS: "newuts", Kind.IPC: "newipc", Kind.PID: "newpid", Kind.MOUNT: "newns"}

_DROPPED = {
    "+".join(f"no-{_FLAGS[kind]}" for kind in kinds): frozenset(kinds)
    for number in (1, 2)
    for kinds in combinations(Kind, number)
}

_SOURCES = {
    "wrong-process": processes.WRONG_PROCESS,
    "entered": processes.ENTERED,
    "siblings-ipc": processes.SIBLINGS_IPC,
    "second-process": processes.SECOND_PROCESS,
    "forked-twice": processes.FORKED_TWICE,
    "status-swallowed": processes.STATUS_SWALLOWED,
    "no-terminal": processes.NO_TERMINAL,
    "foreign-terminal": processes.FOREIGN_TERMINAL,
    "thread": processes.THREAD,
    "private-at-start": kernel.made_at_start("private"),
    "slave-at-start": kernel.made_at_start("slave"),
    "new-peer-group": kernel.made_at_start("private", "shared"),
    "proc-mounted-already": kernel.PROC_AT_START,
    "proc-of-its-own": kernel.PROC_OF_ITS_OWN,
    "shared-ignored": kernel.ignored("mount", "shared"),
    "slave-ignored": kernel.ignored("mount", "slave"),
    "private-ignored": kernel.ignored("mount", "private"),
    "unbindable-ignored": kernel.ignored("mount", "unbindable"),
    "sethostname-ignored": kernel.ignored("sethostname"),
    "setdomainname-ignored": kernel.ignored("setdomainname"),
    "long-name-refused-otherwise": kernel.LONG_NAME_REFUSED_OTHERWISE,
    "name-not-copied": kernel.named_at_start("localhost"),
    "name-foreseen": kernel.named_at_start("test"),
    "domain-not-copied": kernel.DOMAIN_AT_START,
    "version-disguised": kernel.UNAME_26,
    "unasked-newnet": kernel.ANOTHER_KIND,
}

_TOOLS = {
    "mount-never-recursive": {"mount": tools.MOUNT_NEVER_RECURSIVE},
    "root-left-shared": {"mount": tools.ROOT_LEFT_SHARED},
    "slave-not-private": {"mount": tools.mount_instead("private", "slave")},
    "private-not-slave": {"mount": tools.mount_instead("slave", "private")},
    "private-not-unbindable": {"mount": tools.mount_instead("unbindable", "private")},
    "mount-does-nothing": {"mount": tools.NO_TMPFS},
    "hosts-proc": {"mount": tools.HOSTS_PROC},
    "posix-queues-leak": {"mount": tools.HOSTS_MQUEUE},
    "queues-leak": {tool: tools.in_hosts_ipc(tool, "queue") for tool in ("ipcs", "ipcmk")},
    "memory-leaks": {tool: tools.in_hosts_ipc(tool, "shmem") for tool in ("ipcs", "ipcmk")},
    "semaphores-leak": {tool: tools.in_hosts_ipc(tool, "semaphore") for tool in ("ipcs", "ipcmk")},
    "hostname-set-outside-too": {"hostname": tools.HOSTNAME_SET_OUTSIDE_TOO},
    "domain-set-outside-too": {"domainname": tools.DOMAIN_SET_OUTSIDE_TOO},
    "setarch-does-nothing": {"setarch": tools.NO_PERSONALITY},
    "hostname-parrot": {"hostname": tools.HOSTNAME_PARROT},
    "namespace-hidden": {"readlink": tools.NET_HIDDEN},
    "ids-misnamed": {"ipcmk": tools.IPCMK_MISNAMES},
    "queues-closed": {"ipcs": tools.QUEUES_CLOSED},
    "memory-made-outside": tools.MEMORY_MADE_OUTSIDE,
    "posix-queues-made-outside-too": {"touch": tools.POSIX_QUEUES_MADE_OUTSIDE_TOO},
    "first-process-hidden": {"ls": tools.LS_HIDES_1},
}

ISOLATORS: dict[str, Sabotaged] = {
    sabotaged.name: sabotaged
    for sabotaged in (
        *(Sabotaged(name, lacks=kinds) for name, kinds in _DROPPED.items()),
        *(Sabotaged(f"unasked-{flag}", adds=frozenset({kind})) for kind, flag in _FLAGS.items()),
        *(Sabotaged(name, source=source) for name, source in _SOURCES.items()),
        *(Sabotaged(name, tools=scripts) for name, scripts in _TOOLS.items()),
        Sabotaged("no-newpid+ps-lies", lacks=frozenset({Kind.PID}), tools={"ps": tools.PS_LIES}),
    )
}

HOSTS: dict[str, type[LabHost]] = {
    "daemon-apart": stages.DaemonApart,
    "unshare-without-uts": stages.lying(unshare=stages.UNSHARE_WITHOUT_UTS),
    "container-without-uts": stages.lying(runc=stages.RUNC_WITHOUT_UTS),
    "uts-for-each-command": stages.behind("unshare", "--uts", "--"),
    "ipc-for-each-command": stages.behind("unshare", "--ipc", "--"),
    "ps-fails": stages.lying(ps="exit 1"),
    "host-mounts-nothing": stages.lying(mount=tools.NO_TMPFS),
    "queue-for-root-alone": stages.lying(ipcmk=stages.QUEUES_FOR_ROOT_ALONE),
    "queues-unannounced": stages.lying(ipcmk=tools.IPCMK_SILENT),
    "proc-broken": stages.lying(ls=tools.LS_LONG_FAILS),
    "self-never-broken": stages.lying(ls=tools.ls_succeeds("/proc/self")),
    "thread-self-never-broken": stages.lying(ls=tools.ls_succeeds("/proc/thread-self")),
    "one-process-more": stages.lying(ls=tools.LS_LISTS_MORE),
    "first-row-changes": stages.lying(ps=tools.ps_filtered('sed "2s/$/ $$/"')),
    "first-row-misnumbered": stages.lying(ps=tools.ps_filtered("sed '2s/ 1 / 7 /'")),
    "shells-hidden": stages.lying(ps=tools.ps_filtered("grep -v ' sh$'")),
    "kernel-thread-once": stages.lying(ps=tools.PS_SHOWS_A_THREAD_ONCE),
    "other-parent": stages.lying(ps=tools.PS_OTHER_PARENT),
    "tree-twice": stages.lying(pstree=tools.PSTREE_TWICE),
    "one-level-more": stages.lying(grep=tools.GREP_ONE_LEVEL_MORE),
    "initial-posed": stages.lying(cat=stages.IMPOSTOR, readlink=stages.second_process_in("uts:[4026532000]")),
    "initial-disguised": stages.lying(cat=stages.IMPOSTOR, readlink=stages.second_process_in(stages.INITIAL)),
}
