"""The system calls that start a program, in the order of Go's ``forkAndExecInChild1`` (exec_linux.go).

The list is made whole before the child exists, which then need not think: see ``machine``. Where a call needs
an earlier one's answer, the two share a place in memory.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, List, Optional, Sequence, Tuple, Union

    from harness.isolators.spawn.description import Attributes

    Argument = Union[int, bytes, "Words", Tuple["Words", int]]

# Kinds of step, as machine.S knows them. CALL must succeed: where it fails, the child tells why and ends.
CALL, MAY_FAIL, FORKS, INDIRECT, OR, UNLESS, FAIL = 0, 1, 2, 4, 8, 16, 32

SIGCHLD, SIG_SETMASK, SIG_DFL = 17, 2, 0
CLONE_VM, CLONE_PIDFD, CLONE_VFORK = 0x100, 0x1000, 0x4000
CLONE_NEWTIME, CLONE_NEWNS, CLONE_NEWUSER = 0x80, 0x20000, 0x10000000
CLONE_INTO_CGROUP = 0x200000000
MS_PRIVATE_REC = 0x44000
TIOCSPGRP, TIOCNOTTY, TIOCSCTTY = 0x5410, 0x5422, 0x540E
PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
CAPABILITY_VERSION_3 = 0x20080522
AT_FDCWD, O_WRONLY, O_CLOEXEC, F_SETFD = -100, 1, 0o2000000, 2
EINVAL = 22


class Words:
    """Eight-byte words in the child's memory: numbers, or the addresses of texts and of other words."""

    def __init__(self, *content: "Union[int, bytes, Words]") -> None:
        """Begin with this content."""
        self.content = content

    @classmethod
    def of_32_bits(cls, numbers: "Sequence[int]") -> "Words":
        """Numbers of four bytes each, as a little-endian machine packs them."""
        even = [*numbers, 0]
        return cls(*(even[at] | even[at + 1] << 32 for at in range(0, len(numbers), 2)))


class Step:
    """One system call, or one of the few things that are done between them."""

    def __init__(
        self,
        name: str,
        *arguments: "Argument",
        kind: int = CALL,
        store: "Optional[Union[Words, Tuple[Words, int]]]" = None,
    ) -> None:
        """``store`` is where the call's answer is kept for later steps."""
        self.kind, self.name, self.arguments, self.store = kind, name, arguments, store


class Program:
    """What is executed in the end, and with which descriptors and signals."""

    def __init__(self, path: bytes, args: "List[bytes]", env: "List[bytes]", directory: bytes) -> None:
        """Take path, arguments, environment and, unless it is empty, the directory to start in."""
        self.path, self.args, self.env, self.directory = path, args, env, directory
        self.files: List[int] = []
        """For each of the child's descriptors the parent's; -1 is none."""
        self.handled: List[int] = []
        """The signals that the child sets to their default."""
        self.mask = 0
        """The signals that the child blocks, signal 1 in the lowest bit."""


class Pipes:
    """What the child and its parent tell each other by."""

    def __init__(self, report: int, maps: "Optional[Tuple[int, int]]") -> None:
        """The writing end for the child's failure; reading and writing end for the end of the maps."""
        self.report, self.maps = report, maps


class Plan:
    """The steps, and the words by which the outside learns what came of them."""

    def __init__(self, report: int) -> None:
        """Plan nothing yet; ``report`` is the descriptor on which a failure is told."""
        self.failure = Words(0, report)
        """The error number, and the descriptor to write it to."""
        self.pidfd = Words(0xFFFFFFFF)
        """The child's pidfd, if one was asked for and could be had; four bytes."""
        self.steps: List[Step] = []


def plan(program: Program, attributes: "Attributes", pipes: Pipes, parent: int) -> Plan:
    """Everything from clone to execve; ``parent`` is the PID of the process that clones."""
    made = Plan(pipes.report)
    made.steps = [
        clone(attributes, made.pidfd),
        *keep_capabilities(attributes),
        *await_maps(pipes),
        *session(attributes),
        *signals(program),
        *unshare(attributes),
        *change_root(attributes),
        *credentials(attributes),
        *capabilities(attributes),
        *change_directory(program),
        *death_signal(attributes, parent),
        *descriptors(program.files, pipes.report, made.failure),
        *terminal(attributes),
        Step("execve", program.path, Words(*program.args, 0), Words(*program.env, 0)),
    ]
    return made


def clone(wanted: "Attributes", pidfd: Words) -> Step:
    """Make the child: sharing memory while the parent waits, except where the parent must write its maps."""
    flags = wanted.cloneflags
    if not (wanted.cloneflags | wanted.unshareflags) & CLONE_NEWUSER:
        flags |= CLONE_VFORK | CLONE_VM
    if wanted.pid_fd:
        flags |= CLONE_PIDFD
    if not (wanted.use_cgroup_fd or flags & CLONE_NEWTIME):
        return Step("clone", flags | SIGCHLD, 0, pidfd, 0, 0, kind=FORKS)
    cgroup = 0
    if wanted.use_cgroup_fd:
        flags, cgroup = flags | CLONE_INTO_CGROUP, wanted.cgroup_fd & ((1 << 64) - 1)
    told = pidfd if wanted.pid_fd else 0
    arguments = Words(flags, told, 0, 0, SIGCHLD, 0, 0, 0, 0, 0, cgroup)
    return Step("clone3", arguments, 8 * len(arguments.content), kind=FORKS)


def keep_capabilities(wanted: "Attributes") -> "Iterable[Step]":
    """Let the change of user ids leave the permitted capabilities."""
    if wanted.ambient_caps:
        yield Step("prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)


def await_maps(pipes: Pipes) -> "Iterable[Step]":
    """Wait until the parent says that it wrote the maps, or with what error number it could not."""
    if pipes.maps is None:
        return
    length, error = Words(0), Words(0)
    yield Step("close", pipes.maps[1])
    yield Step("read", pipes.maps[0], error, 8, store=length)
    yield Step("", length, 8, kind=UNLESS)
    yield Step("", Words(EINVAL), kind=FAIL)
    yield Step("", error, 0, kind=UNLESS)
    yield Step("", error, kind=FAIL)


def session(wanted: "Attributes") -> "Iterable[Step]":
    """Begin a session, enter a process group, take the terminal's foreground."""
    if wanted.setsid:
        yield Step("setsid")
    if wanted.setpgid or wanted.foreground:
        yield Step("setpgid", 0, wanted.pgid)
    if wanted.foreground:
        group = Words(wanted.pgid & 0xFFFFFFFF)
        if not group.content[0]:
            yield Step("getpid", store=group)
        yield Step("ioctl", wanted.ctty, TIOCSPGRP, group)


def signals(program: Program) -> "Iterable[Step]":
    """Handle no signal as the parent does, and block what it blocked: only now can one arrive."""
    default = Words(SIG_DFL, 0, 0, 0)
    for number in program.handled:
        yield Step("rt_sigaction", number, default, 0, 8)
    yield Step("rt_sigprocmask", SIG_SETMASK, Words(program.mask), 0, 8)


def unshare(wanted: "Attributes") -> "Iterable[Step]":
    """Leave namespaces: a user namespace's maps are the child's to write, a mount namespace gets private."""
    flags = wanted.unshareflags
    if not flags:
        return
    yield Step("unshare", flags)
    if flags & CLONE_NEWUSER and wanted.gid_mappings is not None:
        allowed = b"allow\0" if wanted.gid_mappings_enable_setgroups else b"deny\0"
        yield from write(b"/proc/self/setgroups", allowed)
        yield from write(b"/proc/self/gid_map", lines(wanted.gid_mappings))
    if flags & CLONE_NEWUSER and wanted.uid_mappings is not None:
        yield from write(b"/proc/self/uid_map", lines(wanted.uid_mappings))
    if flags & CLONE_NEWNS:
        yield Step("mount", b"none", b"/", 0, MS_PRIVATE_REC, 0)


def lines(mappings: "Iterable[object]") -> bytes:
    """The lines of an id map."""
    return "".join(mapping.line() for mapping in mappings).encode()  # type: ignore[attr-defined]


def write(path: bytes, content: bytes) -> "Iterable[Step]":
    """Write a file at one go."""
    file = Words(0)
    yield Step("openat", AT_FDCWD, path, O_WRONLY, 0, store=file)
    yield Step("write", file, content, len(content), kind=INDIRECT)
    yield Step("close", file, kind=INDIRECT)


def change_root(wanted: "Attributes") -> "Iterable[Step]":
    """Enter another root; the working directory stays where it is."""
    if wanted.chroot:
        yield Step("chroot", wanted.chroot.encode())


def credentials(wanted: "Attributes") -> "Iterable[Step]":
    """Assume the identities, the groups first. A map that denies setgroups is no reason to set none."""
    who = wanted.credential
    if who is None:
        return
    denied = wanted.gid_mappings is not None and not wanted.gid_mappings_enable_setgroups
    if not (denied and not who.groups) and not who.no_set_groups:
        yield Step("setgroups", len(who.groups), Words.of_32_bits(who.groups) if who.groups else 0)
    yield Step("setgid", who.gid)
    yield Step("setuid", who.uid)


def capabilities(wanted: "Attributes") -> "Iterable[Step]":
    """Raise ambient capabilities, which must be permitted and inheritable first."""
    if not wanted.ambient_caps:
        return
    header, data = Words(CAPABILITY_VERSION_3), Words(0, 0, 0)
    yield Step("capget", header, data)
    for number in wanted.ambient_caps:
        if number >= 64:
            yield Step("", Words(EINVAL), kind=FAIL)
            return
        # Of each half of the sets: effective, permitted, inheritable; four bytes each.
        half, bit = 12 * (number >> 5), 1 << (number & 31)
        yield Step("", (data, half + 4), bit, kind=OR)
        yield Step("", (data, half + 8), bit, kind=OR)
    yield Step("capset", header, data)
    for number in wanted.ambient_caps:
        yield Step("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0)


def change_directory(program: Program) -> "Iterable[Step]":
    """Go to the directory, as the new root and the new user see it."""
    if program.directory:
        yield Step("chdir", program.directory)


def death_signal(wanted: "Attributes", parent: int) -> "Iterable[Step]":
    """Ask for a signal at the parent's death; send it, should the parent be dead already."""
    if not wanted.pdeathsig:
        return
    found, own = Words(0), Words(0)
    yield Step("prctl", PR_SET_PDEATHSIG, wanted.pdeathsig, 0, 0, 0)
    yield Step("getppid", store=found)
    yield Step("", found, parent, kind=UNLESS)
    yield Step("getpid", store=own)
    yield Step("", found, parent, kind=UNLESS)
    yield Step("kill", own, wanted.pdeathsig, kind=INDIRECT)


def descriptors(files: "Sequence[int]", report: int, failure: Words) -> "Iterable[Step]":
    """Put each file at its number: first out of the way what another would overwrite, then down."""
    files = list(files)
    free = max([len(files), *files]) + 1
    if report < free:
        # The failure is told through the copy from now on: the answer of dup3 is the number to write to.
        yield Step("dup3", report, free, O_CLOEXEC, store=(failure, 8))
        report, free = free, free + 1
    for number, file in enumerate(files):
        if 0 <= file < number:
            free += free == report
            yield Step("dup3", file, free, O_CLOEXEC)
            files[number], free = free, free + 1
    for number, file in enumerate(files):
        if file == -1:
            yield Step("close", number, kind=MAY_FAIL)
        elif file == number:
            yield Step("fcntl", file, F_SETFD, 0)
        else:
            yield Step("dup3", file, number, 0)


def terminal(wanted: "Attributes") -> "Iterable[Step]":
    """Give up the controlling terminal, or take one."""
    if wanted.noctty:
        yield Step("ioctl", 0, TIOCNOTTY, 0)
    if wanted.setctty:
        yield Step("ioctl", wanted.ctty, TIOCSCTTY, 1)
