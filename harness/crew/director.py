"""Directs the actors of one program after another; runs as PID 1 of namespaces of its own on the host.

A line of JSON in is a program, a line of JSON out is what was seen: after each act its answer and what every
living actor saw. Whatever goes wrong with the actors themselves is told as ``broken``.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import sys
import time
from typing import Any

from harness.crew import wire
from harness.crew.actor import Actor, Company, be_born, flags_of
from harness.probes.syscalls import call

LIMIT = 5.0
"""Seconds in which an actor answers, and in which the kernel ends what must end."""


class Broken(Exception):  # noqa: N818 - in the words of the protocol
    """An actor did not do what it must, whatever the kernel says."""


class Play:
    """One program under way."""

    def __init__(self, kind: Any, most: int, namespaces: str) -> None:
        """Put the first actor into new namespaces."""
        self.kind = kind
        self.company = Company(most, kind.VERBS, kind.look)
        self.pids: dict[int, int] = {}
        self.pidfds: dict[int, int] = {}
        be_born(Actor(self.company, 0), 0, flags_of(namespaces) if namespaces else 0)
        self.welcome(0)

    def welcome(self, number: int) -> None:
        """Learn who a new actor is."""
        end = self.company.orders[number][0]
        if not _readable([end.fileno()], LIMIT):
            raise Broken(f"actor {number} was not born in {LIMIT:g} s")
        _, _, (pid, _) = wire.receive(end)
        self.pids[number], self.pidfds[number] = pid, call("pidfd_open", pid, 0)

    def ask(self, number: int, what: str, argument: Any = None, files: Any = ()) -> Any:
        """What an actor answers; ``dead`` if it ends instead."""
        end, pidfd = self.company.orders[number][0], self.pidfds[number]
        wire.send(end, [what, argument], files)
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
        files = self.files_for(verb, number, argument)
        answer = self.ask(number, verb, argument, files)
        for file in files:
            os.close(file)
        if verb in ("fork", "clone") and answer == "ok":
            self.welcome(argument[0] if verb == "clone" else argument)
        self.bury(ends)
        return answer

    def files_for(self, verb: str, number: int, argument: Any) -> list[int]:
        """What an actor is handed for an act: it may itself not be allowed to open it."""
        if verb not in ("setns", "keep"):
            return []
        pid = self.pids[argument if verb == "setns" else number]
        return [os.open(f"/proc/{pid}/ns/{self.kind.NEW}", os.O_RDONLY)]

    def bury(self, ends: list[int]) -> None:
        """Wait for those that should end, at most so long; forget all that have ended."""
        deadline = time.monotonic() + LIMIT
        for number in ends:
            if number in self.pidfds:
                _readable([self.pidfds[number]], max(0.0, deadline - time.monotonic()))
        for number in [*self.pids]:
            if _readable([self.pidfds[number]], 0):
                os.close(self.pidfds.pop(number))
                del self.pids[number]

    def look(self) -> dict[str, Any]:
        """What all living actors see, and which of them share namespaces, in the model's words."""
        seen: dict[str, Any] = {}
        for number in self.pids:
            found = self.ask(number, "look")
            if found == "dead":
                raise Broken(f"actor {number} ended while it was asked what it sees")
            seen.update({f"{_letter(number)}: {key}": value for key, value in found.items()})
        for name in self.kind.NAMESPACES:
            numbers: dict[str, int] = {}
            for number, pid in self.pids.items():
                link = os.readlink(f"/proc/{pid}/ns/{name}")
                seen[f"{_letter(number)}: {name} namespace"] = numbers.setdefault(link, len(numbers))
        return seen

    def end(self) -> None:
        """End every actor, wherever it is: this is PID 1 of their PID namespace."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        for number in self.pidfds:
            if not _readable([self.pidfds[number]], LIMIT):
                raise Broken(f"actor {number} could not be ended in {LIMIT:g} s")
            os.close(self.pidfds[number])
        self.company.close()


def _letter(number: int) -> str:
    return "abcdefgh"[number]


def _readable(descriptors: list[int], seconds: float) -> list[int]:
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll(seconds * 1000)]


def run(kind: Any, program: dict[str, Any]) -> list[dict[str, Any]]:
    """What was seen in the beginning and after each act: ``answer`` and ``view``."""
    play = Play(kind, program["most"], kind.NEW)
    try:
        seen = [{"answer": "ok", "view": play.look()}]
        for (verb, number, argument), ends in program["acts"]:
            answer = play.act(verb, number, argument, ends) if number in play.pids else "dead"
            seen.append({"answer": answer, "view": play.look()})
    finally:
        play.end()
    return seen


def main(name: str | None = None) -> None:
    """Run as a program, which is given the kind of namespace."""
    if os.getpid() != 1:
        sys.exit("the director must be PID 1: it ends all processes of its PID namespace")
    # The kernel reaps whoever is orphaned, and the actors their children: no number stays taken by the dead.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    kind = importlib.import_module("harness.crew." + (name or sys.argv[1]))
    print(json.dumps(kind.prepare() or {}), flush=True)
    for line in sys.stdin:
        try:
            answer: Any = {"seen": run(kind, json.loads(line))}
        except (Broken, OSError, EOFError) as error:
            answer = {"broken": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
