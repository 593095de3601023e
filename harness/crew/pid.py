"""What actors do and see where PID namespaces are the question."""

from __future__ import annotations

import fcntl
import functools
import os
import signal
from typing import Any

from harness.crew import chain
from harness.crew.actor import Actor, Verb, letters, settle
from harness.probes.syscalls import call, error_name, prctl

NEW, NAMESPACES = "pid", (("pid", "pid_for_children"),)
__all__ = ["settle"]
FIRST = 0

_PR_SET_CHILD_SUBREAPER = 36
_DEEPER_THAN_ANY = 100
_NS_GET_PARENT = 0xB702

_handled: list[int] = []


def prepare() -> dict[str, Any]:
    """Handle a signal, as all children will; tell how many namespaces fit below."""
    signal.signal(signal.SIGUSR1, lambda number, _: _handled.append(number))
    return {"room": chain.start(_DEEPER_THAN_ANY, lambda: None)[1]}


def fresh() -> None:
    """Forget the processes of the program before."""
    numbers.cache_clear()
    spaces.cache_clear()


@functools.lru_cache(maxsize=None)
def numbers(pid: int) -> list[int]:
    """The PIDs of a process, in this PID namespace and in each one further in (proc_pid_status(5), NSpid)."""
    with open(f"/proc/{pid}/status") as status:
        line = next(line for line in status if line.startswith("NSpid:"))
    return [int(number) for number in line.split()[1:]]


@functools.lru_cache(maxsize=None)
def spaces(pid: int) -> list[int]:
    """The PID namespaces in which a process has these numbers, each by its inode (ioctl_nsfs(2))."""
    found: list[int] = []
    here = os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY)
    while True:
        found.insert(0, os.fstat(here).st_ino)
        try:
            outer = fcntl.ioctl(here, _NS_GET_PARENT)
        except PermissionError:  # it is this process's own, the outermost of all that it may see
            return found
        finally:
            os.close(here)
        here = outer


def _nest(actor: Actor, argument: Any, file: int | None) -> str:
    child, levels = argument

    def live() -> None:
        actor.number = child
        actor.live(0)

    refused, _ = chain.start(levels, live)
    return error_name(refused) if refused else "ok"


def _kill(actor: Actor, argument: Any, file: int | None) -> None:
    number, name = argument
    os.kill(number, signal.Signals["SIG" + name])


def _signal(actor: Actor, argument: Any, file: int | None) -> None:
    call("pidfd_send_signal", file, signal.Signals["SIG" + argument[1]], None, 0)


def _subreaper(actor: Actor, on: Any, file: int | None) -> None:
    prctl(_PR_SET_CHILD_SUBREAPER, int(on))


VERBS: dict[str, Verb] = {"nest": _nest, "kill": _kill, "signal": _signal, "subreaper": _subreaper}


def look(actor: Actor, living: Any) -> dict[str, Any]:
    """The own PID, the parent's, and that of each actor; how many signals were handled."""
    senders = {sender: pid for sender, (pid, _) in letters(actor, living).items()}
    return {"pid": os.getpid(), "parent": os.getppid(), "handled": len(_handled), "senders": senders}


def in_words(looks: dict[int, Any], pids: dict[int, int]) -> dict[int, Any]:
    """PIDs as 1, 0 for none, or the letter of the process whose number it is in the viewer's namespace."""
    layers = {actor: dict(zip(spaces(pid), numbers(pid))) for actor, pid in pids.items()}
    return {actor: _in_words(actor, saw, layers, spaces(pids[actor])[-1]) for actor, saw in looks.items()}


def _in_words(actor: int, saw: Any, layers: dict[int, dict[int, int]], mine: int) -> dict[str, Any]:
    here = {found[mine]: "abcdefgh"[other] for other, found in layers.items() if mine in found}

    def word(pid: int, known: dict[int, str]) -> Any:
        return pid if pid in (0, 1) else known.get(pid, f"unknown {pid}")

    said: dict[str, Any] = {
        "its numbers": [pid if pid == 1 else "abcdefgh"[actor] for pid in layers[actor].values()],
        "its parent": word(saw["parent"], here),
        "signals handled": saw["handled"],
    }
    if saw["pid"] != layers[actor][mine]:
        said["its numbers"].append("getpid: {}".format(saw["pid"]))
    for other, pid in saw["senders"].items():
        if int(other) != actor:
            # Its number in the viewer's namespace, and no other process's.
            own = {layers[int(other)][mine]: "abcdefgh"[int(other)]} if mine in layers[int(other)] else {}
            said["sees {}".format("abcdefgh"[int(other)])] = word(pid, own)
    return said
