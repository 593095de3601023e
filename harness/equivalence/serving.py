"""The program on the host: an isolator's trials by a starter for each, as one user. Runs on the host alone.

Processes without threads, since they fork. A line of JSON in is a list of trials, one out is what was seen.
"""

from __future__ import annotations

import codecs
import json
import os
import resource
import sys
import traceback
from collections.abc import Iterable

from harness.equivalence.around import ignore_nothing
from harness.equivalence.awaited import status
from harness.equivalence.groups import Delegated, own
from harness.equivalence.starter import Starter, prepare
from harness.isolators.spawn.machine import libc

OPEN_FILES = 256
"""The soft limit of open files."""

_PR_SET_DUMPABLE = 4


def become(user: int) -> None:
    """Be an ordinary user without any capability, to whom the own ``/proc/PID`` is open (prctl(2))."""
    # The interpreter's modules may be out of this user's reach: load what is needed now.
    codecs.lookup("ascii")
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
    libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


class Served:
    """A starter in a process of its own, with the modules of its own isolator."""

    def __init__(self, *arguments: str) -> None:
        """Fork it; the arguments are those of :class:`Starter`."""
        asking, answering = os.pipe(), os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                os.close(asking[1])
                os.close(answering[0])
                with os.fdopen(asking[0], "rb") as lines, os.fdopen(answering[1], "wb") as answers:
                    starter = Starter(*arguments)
                    for line in lines:
                        answers.write(json.dumps(starter.trials(json.loads(line))).encode() + b"\n")
                        answers.flush()
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        os.close(asking[0])
        os.close(answering[1])
        self._asking, self._answers = os.fdopen(asking[1], "wb"), os.fdopen(answering[0], "rb")

    def ask(self, line: bytes) -> None:
        """Have it try some trials."""
        self._asking.write(line)
        self._asking.flush()

    def answer(self) -> bytes:
        """What came of them: a line of JSON.

        Raises:
            EOFError: the starter has ended.
        """
        line = self._answers.readline()
        if not line:
            raise EOFError("the starter has ended")
        return line

    def close(self) -> None:
        """Ask nothing more of it: it ends, once those that were forked after it have ended as well."""
        self._asking.close()

    def wait(self) -> None:
        """Wait for its end."""
        os.waitpid(self._pid, 0)


def serve(scratch: str, group: str, isolators: Iterable[str]) -> None:
    """Start an isolator's trials for each line of the input."""
    ignore_nothing()
    prepare(scratch)
    commands = dict(isolator.split("=", 1) for isolator in isolators)
    starters = {name: Served(name, command, scratch, group) for name, command in commands.items()}
    print(json.dumps({"machine": os.uname().machine}), flush=True)
    for line in sys.stdin.buffer:
        # All at once: each isolator's trials come one after another, but not after the other's.
        for starter in starters.values():
            starter.ask(line)
        seen = [f'"{name}":'.encode() + starter.answer().rstrip() for name, starter in starters.items()]
        sys.stdout.buffer.write(b"{%s}\n" % b",".join(seen))
        sys.stdout.buffer.flush()
    for starter in starters.values():
        starter.close()
    for starter in starters.values():
        starter.wait()


def main() -> None:
    """Run as a program: ``starter SCRATCH USER GROUPS NAME=ISOLATOR...``; as user 0 it stays who it is.

    With ``new`` as GROUPS it makes control groups, and removes them in the end.
    """
    scratch, user, groups, *isolators = sys.argv[1:]
    # Below the hard limit, as usual: Go raises it for itself and has to give it back to what it starts.
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    group = own()
    made = Delegated(group, int(user)) if group and groups == "new" else None
    if made:
        # Only root can remove what it made, and only when nothing is in there.
        child = os.fork()
        if child:
            ended = status(child)
            made.remove()
            sys.exit(abs(ended))
        made.enter()
    if int(user):
        become(int(user))
    serve(scratch, made.other if made else group or scratch, isolators)


if __name__ == "__main__":
    main()
