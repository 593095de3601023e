"""An actor: a process that does what it is told, one act at a time, and tells what it sees."""

from __future__ import annotations

import gc
import os
import signal
import socket
import traceback
from typing import Any, Callable, Dict, Optional

from harness.crew import wire
from harness.probes.children import map_root
from harness.probes.syscalls import KINDS, call, error_name, prctl, setns, unshare

_PR_SET_DUMPABLE = 4

Verb = Callable[["Actor", Any, Optional[int]], Any]
Look = Callable[["Actor", Any], Dict[str, Any]]


class Company:
    """What all actors of a program are born with: everybody's sockets, and what their kind can do and see."""

    def __init__(self, most: int, kind: Any) -> None:
        """Have room for ``most`` actors, who do and see what a module of this package says."""
        self.verbs: dict[str, Verb] = {**VERBS, **kind.VERBS}
        self.look: Look = kind.look
        self.settle: Callable[[int], None] = kind.settle
        self.orders = [wire.pair() for _ in range(most)]
        """Of each actor: the director's end and its own."""
        self.letters = [wire.pair() for _ in range(most)]
        """Of each actor: where the others drop their letters, and where it finds them."""

    def close(self) -> None:
        """Let go of the sockets."""
        for ends in self.orders + self.letters:
            for end in ends:
                end.close()


class Actor:
    """The process itself."""

    def __init__(self, company: Company, number: int) -> None:
        """Be the actor of this number."""
        self.company, self.number = company, number
        self.kept: dict[str, int] = {}
        """Open files, by what they are for."""
        self.memory: list[int] = []
        """Addresses of attached memory."""

    def live(self, flags: int) -> None:
        """Serve until told to end, in the new namespaces of ``flags``; never returns."""
        try:
            self.settle(flags)
            wire.send(self.orders, "here")
            while True:
                self.serve()
        except (EOFError, BrokenPipeError):
            pass
        finally:
            os._exit(0)

    def settle(self, flags: int) -> None:
        """Own one's files in /proc (proc(5)), and see to one's IDs in new namespaces of these flags."""
        prctl(_PR_SET_DUMPABLE, 1)
        self.company.settle(flags)

    @property
    def orders(self) -> socket.socket:
        """Where it is told what to do."""
        return self.company.orders[self.number][1]

    def serve(self) -> None:
        """Do one thing and answer."""
        (what, argument), files, _ = wire.receive(self.orders)
        try:
            answer = {"answer": self.do(what, argument, files)}
        except OSError as error:
            answer = {"answer": error_name(error.errno or 0)}
        except Exception:
            answer = {"broken": traceback.format_exc()}
        for file in files:
            os.close(file)
        # Else the files of this process in /proc are not its own (proc(5)), once its credentials changed.
        prctl(_PR_SET_DUMPABLE, 1)
        wire.send(self.orders, answer)

    def do(self, what: str, argument: Any, files: list[int]) -> Any:
        """Do something and tell the answer, which is ``ok`` where nothing else is to be told."""
        if what == "look":
            return self.company.look(self, argument)
        answer = self.company.verbs[what](self, argument, files[0] if files else None)
        return "ok" if answer is None else answer


def be_born(parent: Actor, number: int, flags: int = 0) -> int:
    """Make an actor of a process; in the child, be it, with what it inherits."""
    pid = call("clone", flags | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        # To look for garbage is to write to memory that is its parent's until then.
        gc.disable()
        parent.number = number
        parent.live(flags)
    return pid


def settle(flags: int) -> None:
    """Map root where there is a new user namespace: who is nobody there may make no other (clone(2))."""
    if flags & KINDS["user"]:
        map_root()


def fresh() -> None:
    """Nothing is left of the program before."""


def flags_of(kinds: str) -> int:
    """The flags of kinds of namespaces, such as ``user,uts``."""
    return sum(KINDS[kind] for kind in kinds.split(","))


def _fork(actor: Actor, child: Any, file: int | None) -> None:
    be_born(actor, child)


def _clone(actor: Actor, argument: Any, file: int | None) -> None:
    child, kinds = argument
    be_born(actor, child, flags_of(kinds))


def _unshare(actor: Actor, kinds: Any, file: int | None) -> None:
    unshare(flags_of(kinds))
    actor.settle(flags_of(kinds))


def _setns(actor: Actor, other: Any, file: int | None) -> None:
    assert file is not None
    setns(file)


def _keep(actor: Actor, kind: Any, file: int | None) -> None:
    assert file is not None
    old = actor.kept.pop("namespace", None)
    if old is not None:
        os.close(old)
    actor.kept["namespace"] = os.dup(file)


def _return(actor: Actor, kind: Any, file: int | None) -> None:
    setns(actor.kept.get("namespace", -1))


def letters(actor: Actor, living: Any) -> dict[int, tuple[int, int]]:
    """Write to all the living, who do the same; by actor, the PID and user ID of its letter as seen here."""
    for other, _ in living:
        wire.send(actor.company.letters[other][0], actor.number)
    found = {}
    for _ in living:
        sender, _, identity = wire.receive(actor.company.letters[actor.number][1])
        found[sender] = identity
    return found


def in_words(looks: dict[int, Any], pids: dict[int, int]) -> dict[int, Any]:
    """What actors saw, in the model's words: as it is, where these hold nothing that varies by nature."""
    return looks


def _exit(actor: Actor, argument: Any, file: int | None) -> None:
    os._exit(0)


VERBS: dict[str, Verb] = {
    "fork": _fork,
    "clone": _clone,
    "unshare": _unshare,
    "setns": _setns,
    "keep": _keep,
    "return": _return,
    "exit": _exit,
}
"""What actors of every kind can do."""
