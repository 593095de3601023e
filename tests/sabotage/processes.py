"""Faults in which process is started, where, and how it ends: Python that stands behind the port's own."""

from __future__ import annotations

# A process of nobody, which stays in new namespaces with a name, a queue and a PID 1 of its own.
_HOLDER = """
def hold(flags, cloned=clone):
    reading, writing = os.pipe()
    middle = os.fork()
    if middle:
        os.waitpid(middle, 0)
        return os.read(reading, 20).decode()
    libc.prctl(PR_SET_NAME, b"holder")
    os.setsid()
    if cloned(clone_number(), flags):
        os._exit(0)
    if flags & OPTIONS["--uts"]:
        libc.sethostname(b"occupied", 8)
    if flags & OPTIONS["--ipc"]:
        libc.msgget(0x51B, 0o1644)
    # As the procfs that is mounted here knows it, which may be that of an outer PID namespace.
    os.write(writing, os.readlink("/proc/self").encode())
    # Among them the one whose end tells the program that its shell has started.
    os.closerange(0, 64)
    while True:
        signal.pause()


def enter(flags):
    holder = hold(flags)
    for kind, flag in (("uts", "--uts"), ("ipc", "--ipc"), ("pid", "--pid"), ("mnt", "--mount")):
        if flags & OPTIONS[flag]:
            libc.setns(os.open("/proc/" + holder + "/ns/" + kind, os.O_RDONLY), 0)
"""

WRONG_PROCESS = f"""{_HOLDER}
def clone(number, flags, cloned=clone):
    if flags:
        hold(flags)
    return cloned(number, 0)
"""

ENTERED = f"""{_HOLDER}
def clone(number, flags, cloned=clone):
    if flags:
        enter(flags)
    return cloned(number, 0)
"""

SIBLINGS_IPC = f"""{_HOLDER}
def clone(number, flags, cloned=clone):
    ipc = flags & OPTIONS["--ipc"]
    if ipc:
        enter(ipc)
    return cloned(number, flags & ~ipc)
"""

SECOND_PROCESS = """
def become(arguments, unblocked, report, became=become):
    if os.getpid() == 1:
        child = os.fork()
        if child:
            os.close(report)
            os._exit(os.WEXITSTATUS(os.waitpid(child, 0)[1]))
    became(arguments, unblocked, report)
"""

FORKED_TWICE = """
def run(flags, command, ran=run):
    child = os.fork()
    return os.WEXITSTATUS(os.waitpid(child, 0)[1]) if child else ran(flags, command)
"""

STATUS_SWALLOWED = """
def run(flags, command, ran=run):
    ran(flags, command)
    return 0
"""

NO_TERMINAL = """
def become(arguments, unblocked, report, became=become):
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    became(arguments, unblocked, report)
"""

FOREIGN_TERMINAL = """
def become(arguments, unblocked, report, became=become):
    os.setsid()
    became(arguments, unblocked, report)
"""

THREAD = """
def start(flags, path, command, environment, started=start):
    # One of C's, and before: a thread of Python's may hold what the child needs.
    libc = ctypes.CDLL(None)
    libc.pthread_create(ctypes.byref(ctypes.c_ulong()), None, libc.pause, None)
    return started(flags, path, command, environment)
"""
