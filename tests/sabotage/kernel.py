"""Faults of the kernel's answers: what the child does or is forbidden just before it becomes the shell."""

from __future__ import annotations

from harness.namespaces import Kind


def in_child(act: str, kind: Kind | None = None) -> str:
    """Have each child do something, or each that is in a new namespace of that kind."""
    condition = f"flags & {kind.flag}" if kind else "True"
    return f"""
def clone(number, flags, cloned=clone):
    pid = cloned(number, flags)
    if pid == 0 and {condition}:
        {act}
    return pid
"""


_PROPAGATION = {"unbindable": 1 << 17, "private": 1 << 18, "slave": 1 << 19, "shared": 1 << 20}
_RECURSIVE = 1 << 14
"""Flags of mount(2)."""


def made_at_start(*kinds: str) -> str:
    """Every mount of a new mount namespace is made of these propagation types, one after the other."""
    calls = (f'libc.mount(None, b"/", None, {_PROPAGATION[kind] | _RECURSIVE}, None)' for kind in kinds)
    return in_child("; ".join(calls), Kind.MOUNT)


PROC_AT_START = in_child(
    f'libc.mount(None, b"/proc", None, {_PROPAGATION["private"] | _RECURSIVE}, None); '
    'libc.mount(b"proc", b"/proc", b"proc", 0, None)',
    Kind.MOUNT,
)

PROC_OF_ITS_OWN = f"""
def mount_proc():
    libc.unshare(OPTIONS["--mount"])
    libc.mount(None, b"/", None, {_PROPAGATION["private"] | _RECURSIVE}, None)
    libc.mount(b"proc", b"/proc", b"proc", 0, None)

""" + in_child('flags & OPTIONS["--mount"] or mount_proc()', Kind.PID)
"""A new PID namespace comes with a ``/proc`` of its own, and so with a mount namespace."""

UNAME_26 = in_child("libc.personality(0x0020000)")
"""PER_LINUX with UNAME26: the version fields of uname(2) tell of a kernel 2.6."""


def named_at_start(name: str) -> str:
    """A new UTS namespace starts with that hostname."""
    return in_child(f'libc.sethostname(b"{name}", {len(name)})', Kind.UTS)


DOMAIN_AT_START = in_child('libc.setdomainname(b"elsewhere", 9)', Kind.UTS)

ANOTHER_KIND = in_child("libc.unshare(0x40000000)")
"""CLONE_NEWNET."""

# seccomp(2) programs by hand: instructions of <linux/filter.h>, offsets of struct seccomp_data.
_SECCOMP = """
CALLS = {
    "x86_64": {"mount": 165, "sethostname": 170, "setdomainname": 171},
    "aarch64": {"mount": 40, "sethostname": 161, "setdomainname": 162},
}[os.uname().machine]
NEWER = (428, 429, 430, 442)  # open_tree, move_mount, fsopen, mount_setattr: tools then fall back to mount(2)


def instruct(code, value, matching=0, other=0):
    return code.to_bytes(2, "little") + bytes((matching, other)) + value.to_bytes(4, "little")


def ignore(call, flag=0):
    program = [instruct(0x20, 0)]
    for number in NEWER:
        program += [instruct(0x15, number, 0, 1), instruct(0x06, 0x00050026)]  # ENOSYS
    program += [instruct(0x15, CALLS[call], 0, 3 if flag else 1)]
    if flag:
        program += [instruct(0x20, 40), instruct(0x45, flag, 0, 1)]  # the fourth argument's low half
    # Success without the act; or the act.
    install([*program, instruct(0x06, 0x00050000), instruct(0x06, 0x7FFF0000)])


def refuse_long(call, error):
    program = [instruct(0x20, 0), instruct(0x15, CALLS[call], 0, 3)]
    program += [instruct(0x20, 24), instruct(0x25, 64, 0, 1)]  # the second argument's low half: a length
    install([*program, instruct(0x06, 0x00050000 | error), instruct(0x06, 0x7FFF0000)])


def install(program):
    code = ctypes.create_string_buffer(b"".join(program))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    filled = Program(len(program), ctypes.addressof(code))
    libc.prctl(38, 1, 0, 0, 0)
    if libc.prctl(22, 2, ctypes.byref(filled), 0, 0):
        os._exit(254)

"""


def ignored(call: str, propagation: str | None = None) -> str:
    """A system call succeeds and does nothing; mount(2) only where it asks for that propagation type."""
    flag = _PROPAGATION[propagation] if propagation else 0
    return _SECCOMP + in_child(f'ignore("{call}", {flag})')


LONG_NAME_REFUSED_OTHERWISE = _SECCOMP + in_child('refuse_long("sethostname", 36)')
"""ENAMETOOLONG for a hostname of more than 64 bytes."""
