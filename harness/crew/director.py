"""Directs the actors of one program after another; runs as PID 1 of namespaces of its own on the host.

A line of JSON in is a program, a line of JSON out is what was seen: after each act its answer and what every
living actor saw. Whatever goes wrong with the actors themselves is told as ``broken``.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import sys
import time
from typing import Any, Sequence

from harness.crew import wire
from harness.crew.actor import Actor, Company, be_born
from harness.crew.pid import numbers
from harness.crew.stopped import is_stopped
from harness.probes.syscalls import call

LIMIT = 20.0
"""Seconds in which an actor answers and a signal comes."""


BIRTHS = ("fork", "clone", "nest")
SIGNALS = ("kill", "signal")


class Broken(Exception):  # noqa: N818 - in the words of the protocol
    """An actor did not do what it must, whatever the kernel says."""


class Play:
    """One program under way."""

    def __init__(self, kind: Any, most: int, ends_within: float) -> None:
        """Put the first actor into new namespaces; the kernel has so many seconds to end who should end."""
        self.kind, self.ends_within = kind, ends_within
        self.company = Company(most, kind)
        self.born: set[int] = set()
        self.pids: dict[int, int] = {}
        self.pidfds: dict[int, int] = {}
        self.stopped: set[int] = set()
        """Those who can do and tell nothing until they are continued."""
        kind.fresh()
        be_born(Actor(self.company, 0), 0, kind.FIRST)
        self.welcome(0)

    def welcome(self, number: int) -> None:
        """Learn who a new actor is."""
        end = self.company.orders[number][0]
        if not _readable([end.fileno()], LIMIT):
            raise Broken(f"actor {number} was not born in {LIMIT:g} s")
        _, _, (pid, _) = wire.receive(end)
        self.pids[number], self.pidfds[number] = pid, call("pidfd_open", pid, 0)
        self.born.add(number)

    def ask(self, number: int, what: str, argument: Any = None, files: Any = ()) -> Any:
        """What an actor answers when it is told to do something."""
        wire.send(self.company.orders[number][0], [what, argument], files)
        return self.hear(number, what)

    def hear(self, number: int, what: str) -> Any:
        """What an actor answers to what it was asked; ``dead`` if it ends instead."""
        end, pidfd = self.company.orders[number][0], self.pidfds[number]
        ready = _readable([end.fileno(), pidfd], LIMIT)
        if not ready:
            raise Broken(f"actor {number} did not answer {what} in {LIMIT:g} s")
        if end.fileno() not in ready:
            return "dead"
        said = wire.receive(end)[0]
        if "broken" in said:
            raise Broken(said["broken"])
        return said["answer"]

    def act(self, verb: str, number: int, argument: Any, ends: list[int]) -> Any:
        """Have an actor do something; wait for those whose end it should be."""
        handed, files = self.handed(verb, number, argument)
        answer = self.ask(number, verb, handed, files)
        for file in files:
            os.close(file)
        if verb in BIRTHS and answer == "ok":
            self.welcome(_child(verb, argument))
        if verb in SIGNALS:
            self.note(argument[0])
        self.bury(ends)
        return answer

    def can(self, verb: str, number: int, argument: Any) -> bool:
        """Whether those are alive whom an act takes, its actor is not stopped, and who is born is new.

        None of this is so only where the kernel had something before otherwise than the model.
        """
        if verb in BIRTHS and _child(verb, argument) in self.born:
            return False
        target = number
        if verb in (*SIGNALS, "map", "permit"):
            target = argument[0]
        elif verb in ("setns", "keep") and argument is not None:
            target = argument
        return number in self.awake and target in self.pids

    @property
    def awake(self) -> dict[int, int]:
        """The PIDs of the living who are not stopped."""
        return {number: pid for number, pid in self.pids.items() if number not in self.stopped}

    def note(self, number: int) -> None:
        """Learn whether the target of a signal is stopped now."""
        self.stopped.discard(number)
        if is_stopped(self.pids[number], LIMIT):
            self.stopped.add(number)

    def handed(self, verb: str, number: int, argument: Any) -> tuple[Any, list[int]]:
        """An act's argument, and files that the actor itself may not be allowed to open."""
        if verb in ("setns", "keep"):
            # Of uts and ipc, an actor keeps its own.
            pid = self.pids[number if argument is None else argument]
            return argument, [os.open(f"/proc/{pid}/ns/{self.kind.NEW}", os.O_RDONLY)]
        if verb == "signal":
            return argument, [os.dup(self.pidfds[argument[0]])]
        if verb == "kill":
            target, name = argument
            layer = len(numbers(self.pids[number])) - 1
            return [numbers(self.pids[target])[layer], name], []
        if verb in ("map", "permit"):
            return [self.pids[argument[0]], argument[1]], []
        return argument, []

    def bury(self, ends: list[int]) -> None:
        """Wait for those that should end, as long as they have; forget all that have ended."""
        deadline = time.monotonic() + self.ends_within
        for number in ends:
            if number in self.pidfds:
                _readable([self.pidfds[number]], max(0.0, deadline - time.monotonic()))
        for number in [*self.pids]:
            if _readable([self.pidfds[number]], 0):
                os.close(self.pidfds.pop(number))
                del self.pids[number]
                self.stopped.discard(number)

    def look(self) -> dict[str, Any]:
        """What all see who are not stopped, and which actors share namespaces, in the model's words."""
        awake = [*self.awake.items()]
        looks = self.ask_all("look", awake)
        seen = {
            f"{_letter(number)}: {key}": value
            for number, found in self.kind.in_words(looks, self.pids).items()
            for key, value in found.items()
        }
        seen.update({f"{_letter(number)}: stopped": True for number in self.stopped})
        for group in self.kind.NAMESPACES:
            seen.update(self.links(group))
        return seen

    def ask_all(self, what: str, argument: Any) -> dict[int, Any]:
        """What all actors answer who are not stopped; they do not end by the question."""
        for number in self.awake:
            wire.send(self.company.orders[number][0], [what, argument])
        answers = {number: self.hear(number, what) for number in self.awake}
        if "dead" in answers.values():
            raise Broken(f"of {answers}, somebody ended at {what}")
        return answers

    def links(self, names: Sequence[str]) -> dict[str, int]:
        """Which namespaces are one and the same, by links in /proc that are equal."""
        found: dict[str, int] = {}
        known: dict[str, int] = {}
        for name in names:
            for number, pid in self.pids.items():
                try:
                    link = os.readlink(f"/proc/{pid}/ns/{name}")
                except FileNotFoundError:
                    continue
                found[f"{_letter(number)}: {name} namespace"] = known.setdefault(link, len(known))
        return found

    def end(self) -> None:
        """End every actor, wherever it is: this is PID 1 of their PID namespace."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        for number in self.pidfds:
            if not _readable([self.pidfds[number]], LIMIT):
                raise Broken(f"actor {number} could not be ended in {LIMIT:g} s")
            os.close(self.pidfds[number])
        self.company.close()


def _child(verb: str, argument: Any) -> int:
    """Who is born by an act."""
    return int(argument if verb == "fork" else argument[0])


def _letter(number: int) -> str:
    return "abcdefgh"[number]


def _readable(descriptors: list[int], seconds: float) -> list[int]:
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll(seconds * 1000)]


def run(kind: Any, program: dict[str, Any]) -> list[dict[str, Any]]:
    """What was seen in the beginning and after each act: ``answer`` and ``view``."""
    play = Play(kind, program["most"], program["ends_within"])
    try:
        seen = [{"answer": "ok", "view": play.look()}]
        for (verb, number, argument), ends in program["acts"]:
            if not play.can(verb, number, argument):
                break
            answer = play.act(verb, number, argument, ends)
            seen.append({"answer": answer, "view": play.look()})
            if not play.pids.keys().isdisjoint(ends):
                break
    finally:
        play.end()
    return seen


def main() -> None:
    """Run as a program, which is given the kind of namespace."""
    if os.getpid() != 1:
        sys.exit("the director must be PID 1: it ends all processes of its PID namespace")
    # The kernel reaps whoever is orphaned, and the actors their children: no number stays taken by the dead.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    kind = importlib.import_module("harness.crew." + sys.argv[1])
    print(json.dumps(kind.prepare() or {}), flush=True)
    gc.freeze()
    for line in sys.stdin:
        try:
            answer: Any = {"seen": run(kind, json.loads(line))}
        except (Broken, OSError, EOFError) as error:
            answer = {"broken": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
