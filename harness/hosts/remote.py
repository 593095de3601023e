"""What a session has on a machine over ssh: one connection, a private folder, a look at the machine's state.

Everything there hangs on the connection. A shell keeps the folder until its input ends, which happens when
the connection does, however this process ends; it then kills what carries the session's mark and removes the
folder.
"""

from __future__ import annotations

import secrets
import shlex
import subprocess
import time
from collections.abc import Container, Mapping
from pathlib import Path
from typing import NamedTuple

from harness import mountinfo
from harness.environment import SESSION, TAG
from harness.errors import HostLostError, LabError, WaitExpiredError
from harness.guardian import TAKEN
from harness.hosts.base import close_streams, readable
from harness.hosts.remote_lines import ANSWERS, ASKING, NEEDED, in_turn, keeping, killing
from harness.hosts.remote_state import SEPARATOR, look, parse_state
from harness.ssh.channel import ConnectionLostError, exports
from harness.ssh.connection import Connection
from harness.ssh.files import packed
from harness.ssh.targets import Target
from harness.state import State, differences
from harness.watch import peer_groups, without_foreign

_OPTIONS = {
    # What a person's configuration may have for terminals of their own.
    "ClearAllForwardings": "yes",
    "ControlPersist": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    # A machine that fell silent is lost before a wait for its answer is over.
    "ServerAliveCountMax": "2",
    "ServerAliveInterval": "5",
}
_PLAIN = [*("-a", "-x"), *(word for option in _OPTIONS.items() for word in ("-o", "=".join(option)))]
"""What of ssh's options is the lab's; whom to trust stays for the person's configuration to say."""

LOOKING = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C",
}
"""The environment of what looks at the machine: without a mark, so that it does not see itself."""


_GRACE = 5.0
"""Seconds for an answer beyond what a wait there takes, and for what is on its way out to end."""

_FIRST, _EACH = 5, 9
"""How many programs the first connection and each further one carries: sshd's MaxSessions is 10, and the lab
itself has five on the first."""


class There(NamedTuple):
    """What was found on the machine."""

    uid: int
    architecture: str
    """As ``uname -m`` tells it."""
    python: str
    """The path of an interpreter that the lab can use; empty where there is none."""


class Link:
    """A connection to a machine and what is there because of it."""

    def __init__(self, target: Target, folder: Path, wait: float) -> None:
        """Connect, make a folder there, and look at the machine's state.

        Raises:
            HostLostError: it can't be reached, or has not what the lab needs there; one line.
        """
        self.target, self.wait = target, wait
        # Not the session's alone: two names may lead to one machine.
        self.session = f"{SESSION}-{secrets.token_hex(4)}"
        self.variables = {**LOOKING, "HOME": "/", TAG: self.session}
        """The environment of every program of the lab there."""
        self._sockets = folder
        self._more: list[Connection] = []
        self.told = False
        """Whether an error has told that the machine is lost."""
        self.spoilt = ""
        """What an experiment has changed there for good."""
        try:
            self.connection = self._connect(folder)
        except ConnectionLostError as error:
            by_hand = shlex.join(["ssh", *target.arguments, "true"])
            raise HostLostError(f"{error}; try by hand: {by_hand}") from None
        self._keeper: subprocess.Popen[bytes] | None = None
        try:
            self.there = self._ask()
            self.folder = self._keep()
            self._before = self._state_in_turn()
        except BaseException:
            self.close()
            raise
        self._carried: set[str] = set()

    def _connect(self, folder: Path) -> Connection:
        return Connection(
            [*_PLAIN, *self.target.arguments],
            folder,
            self.target.connect_wait,
            self.target.name,
            self.line("exec sh"),
        )

    def for_program(self, number: int) -> Connection:
        """The connection for an experiment's program of that number: the shared one for the first few.

        Raises:
            HostLostError: a further one could not be made.
        """
        if number < _FIRST:
            return self.connection
        index = (number - _FIRST) // _EACH
        while len(self._more) <= index:
            folder = self._sockets / str(len(self._more))
            folder.mkdir(mode=0o700, exist_ok=True)
            try:
                self._more.append(self._connect(folder))
            except ConnectionLostError as error:
                raise self.gone(str(error)) from None
        return self._more[index]

    def line(self, shell_command: str) -> str:
        """A command for the login shell there, whichever that is, by which ``sh`` runs another one."""
        return f"exec {shlex.join([*self.target.sudo, 'sh', '-c', shell_command])}"

    def run(self, shell_command: str, more: float = 0.0) -> str:
        """What a command prints on the machine itself, outside all stages; it may take ``more`` seconds.

        Raises:
            HostLostError: the machine is gone, or does not answer.
        """
        try:
            done = self.connection.run(shell_command, self.wait + more, LOOKING)
        except ConnectionLostError as error:
            raise self.gone(str(error)) from None
        except subprocess.TimeoutExpired as expired:
            seen = (expired.stdout or b"") + (expired.stderr or b"")
            raise self.gone(f"no answer within {self.wait + more:g} s; last seen: {seen[-200:]!r}") from None
        return done.stdout.decode("utf-8", "surrogateescape")

    def gone(self, why: str) -> HostLostError:
        """An error that tells that the machine is lost, and what ssh said."""
        said = self.connection.last_words()
        # Whatever still waits for an answer need not.
        self.connection.kill()
        self.told = True
        return HostLostError(f"{self.target.name} was lost: {why}{f' ({said})' if said else ''}")

    def start(self, shell_command: str) -> subprocess.Popen[bytes]:
        """Start a command on the machine that is held by its input."""
        return subprocess.Popen(
            self.connection.command(self.line(shell_command)),
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def _ask(self) -> There:
        answers = self.run(ASKING).split("\n")
        if len(answers) != ANSWERS or not answers[0].isdigit():
            raise HostLostError(f"{self.target.name}: no sh that answers: {answers!r:.200}")
        missing = answers[3].split()
        if missing:
            packages = ", ".join(dict.fromkeys(NEEDED.get(name, name) for name in missing))
            raise HostLostError(
                f"{self.target.name} has no {', '.join(missing)}: install {packages} there, or leave it out"
            )
        return There(int(answers[0]), answers[1], answers[2])

    def _keep(self) -> str:
        self._keeper = self.start(exports(LOOKING) + keeping(self.session))
        assert self._keeper.stdout is not None
        assert self._keeper.stderr is not None
        if not readable(self._keeper.stdout.fileno(), self.wait):
            raise WaitExpiredError(f"a folder on {self.target.name}", self.wait, "")
        path = self._keeper.stdout.readline().decode("utf-8", "surrogateescape").rstrip("\n")
        if not path.startswith("/"):
            said = self._keeper.stderr.read().decode("utf-8", "backslashreplace").strip()
            raise HostLostError(f"{self.target.name}: no folder to run programs in: {said or 'sh ended'}")
        return path

    def carry(self, name: str, files: Mapping[str, bytes]) -> str:
        """Put executable files into a folder there, once.

        Raises:
            HostLostError: the machine does not take them.
        """
        target = f"{self.folder}/{name}"
        if target in self._carried:
            return target
        place = shlex.quote(target)
        unpack = self.line(f"umask 022; mkdir -p {place} && tar -x -C {place}")
        try:
            done = self.connection.feed(unpack, self.wait, packed(files))
        except subprocess.TimeoutExpired:
            raise self.gone(f"{name} could not be carried there in {self.wait:g} s") from None
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "backslashreplace").strip()
            raise LabError(f"{self.target.name}: {name} could not be carried there: {said}")
        self._carried.add(target)
        return target

    def state(self) -> State:
        """The machine's state now.

        Raises:
            HostLostError: the machine is gone, or does not answer.
        """
        return self._parsed(self.run(look(self.session)))

    def _state_in_turn(self) -> State:
        """The machine's state while no other session acts on the machine itself, or still puts it back.

        Raises:
            HostLostError: one does, or the machine is gone.
        """
        said = self.run(in_turn(self.wait) + look(self.session), more=_GRACE)
        if said == f"{TAKEN}\n":
            raise HostLostError(f"{self.target.name}: waited {self.wait:g} s, and {TAKEN}")
        return self._parsed(said)

    def _parsed(self, said: str) -> State:
        try:
            return parse_state(said)
        except ValueError as error:
            raise self.gone(f"it does not tell its state ({error})") from error

    def reached(self, pid: int) -> frozenset[int]:
        """The ids of the machine's mounts that are in peer groups of those of a process."""
        of_process, _, of_machine = self.run(
            f"cat /proc/{pid}/mountinfo; echo {SEPARATOR}; cat /proc/self/mountinfo"
        ).partition(f"{SEPARATOR}\n")
        groups = peer_groups(mountinfo.parse(of_process))
        return frozenset(mount.id for mount in mountinfo.parse(of_machine) if peer_groups([mount]) & groups)

    def changes(self, reached: Container[int]) -> list[str]:
        """What is other than when the link was made; of new mounts those ``reached`` and the lab's.

        What led to a stage is waited for: it has nothing more to do than to end.
        """
        deadline = time.monotonic() + _GRACE
        now = self.state()
        while now.processes - self._before.processes and time.monotonic() < deadline:
            now = self.state()
        return differences(self._before, without_foreign(self._before, now, reached))

    def end_programs(self) -> None:
        """Kill there what carries the session's mark."""
        self.run(f"cd /proc; {killing(self.session)}")

    def close(self) -> None:
        """Remove everything there and end the connection."""
        if self._keeper is not None:
            close_streams(self._keeper)
            if not self.connection.lost:
                try:
                    self._keeper.wait(timeout=self.wait)
                except subprocess.TimeoutExpired:
                    self._keeper.kill()
            self._keeper.kill()
            self._keeper.wait()
        for connection in (*self._more, self.connection):
            connection.close()
