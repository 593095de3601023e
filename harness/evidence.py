"""What an experiment leaves behind: observations, facts, records and runs.

These types are the schema of ``run.json``; ``docs/run.schema.json`` is generated from them. Adding an
optional field keeps :data:`SCHEMA`; anything else raises it.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

SCHEMA = 1
"""The version of the layout of ``run.json`` that this code writes, and the newest that it reads."""

TERMINAL = (50, 200)
"""Rows and columns of the terminal inside."""

Side = Literal["inside", "outside"]
Role = Literal["host", "isolator", "shell", "other"]
Outcome = Literal["passed", "failed", "error", "skipped"]
Verdict = Outcome | Literal["known"]
"""How an outcome is told: a claim that is refuted by a known difference of the kernel alone is ``known``."""
Value = str | int | float | bool | list[str] | None
"""What a fact may be: plain, and comparable across runs."""


Cell = str | int | float | bool | None
"""What a table's cell may be."""


class Observation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One act or look on one side of the boundary."""

    side: Side
    where: str
    """Which shell or host: ``stage``, or the isolating program, ``go uts``."""
    command: str
    output: str
    """What the terminal showed (inside) or standard output (outside); line ends are newlines."""
    stderr: str = ""
    """Standard error; empty inside, where a terminal carries both."""
    status: int | None
    """The exit status; null where the lab stopped waiting for the end."""
    at: float
    """Seconds since the experiment began."""
    seconds: float
    """How long it took."""


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """One process on the host as it stood when a shell had given its first prompt."""

    pid: int
    parent: int
    name: str
    namespaces: dict[str, int]
    """Namespace kind (as under ``/proc/PID/ns``) to inode number."""
    role: Role


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that belong to an experiment: what is told better in a table than in facts."""

    title: str
    columns: list[str]
    rows: list[list[Cell]]
    """Each with as many cells as there are columns."""


SCRIPT_NAME = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""A file's name that is no path and no hidden file."""


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """A program that shows something by itself, such as the smallest that reproduces a finding."""

    name: Annotated[str, msgspec.Meta(pattern=SCRIPT_NAME)]
    """The name of its file; the run's folder holds a copy under ``scripts/``."""
    text: str


class Branch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of a tree, such as a mount of a namespace."""

    depth: int
    """It lies on the last of the lines before it that is one less deep; 0 for what lies on nothing."""
    text: str
    tags: list[str] = []
    """What else is to be seen of it, such as ``shared:1``: what has one number belongs together."""
    differs: bool = False
    """Whether another side has no such line."""


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """What one side has under a name, such as the mounts of a namespace."""

    name: str
    side: str
    """Whose it is, or when: ``before``, ``kernel 6.18``, ``the model``."""
    branches: list[Branch]


class Forest(msgspec.Struct, frozen=True, kw_only=True):
    """Trees that are to be seen side by side."""

    title: str
    trees: list[Tree]


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """One numbered observation of the document."""

    id: str
    namespace: str
    """The chapter: ``uts``, ``ipc``, ``pid`` or ``mnt``."""
    claim: str
    done: str
    saw: str
    """What the document's terminal showed, or an empty string where it has only text."""
    source: str
    """The man page or kernel document that promises it."""


class Sabotage(msgspec.Struct, frozen=True, kw_only=True):
    """An isolator or a host that is broken on purpose, to show that claims can be refuted."""

    name: str
    does: str
    refutes: list[str]
    """Ids of the claims that fail against it."""


class KnownDifference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A deviation of some kernels from what documents promise, with the builds where it was seen."""

    id: str
    what: str
    """One sentence."""
    seen: list[str]
    """Versions of builds where it was seen, such as ``6.18.44``."""
    not_seen: list[str]
    """Versions of builds where it was looked for and not seen."""
    source: str
    """Where it is told or explained: a commit, a selftest, a changelog, a document."""
    script: str
    """The smallest shell script that shows it."""
    facts: dict[str, Value] = {}
    """Pattern of facts' names to the value that deviates."""
    claims: dict[str, str] = {}
    """Id of a claim to a pattern of the message with which it is refuted."""
    rules: dict[str, Value] = {}
    """Pattern of names of a model's rules to the outcome that deviates."""


class Sighting(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A known difference as one experiment met it."""

    id: str
    name: str
    """The fact, claim or rule that deviates."""
    value: Value
    words: str
    """What it is and where it is fixed, in one line."""
    host: str = ""
    """Which host has it, where the experiment had several."""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All evidence of one experiment on one host with one isolator."""

    test: str
    """pytest's node id."""
    title: str
    """The claim in one sentence: the test's docstring."""
    claims: list[str]
    rules: list[str] = []
    """The rules of models for which it asks the kernel: where it passed, the kernel keeps them."""
    host: str
    isolator: str | None = None
    outcome: Outcome
    message: str = ""
    """One line: why it failed, broke or was skipped."""
    details: str = ""
    """pytest's whole report of what went wrong."""
    observations: list[Observation] = []
    processes: list[list[Process]] = []
    """One process tree for each shell that was started."""
    facts: dict[str, Value] = {}
    tables: list[Table] = []
    scripts: list[Script] = []
    forests: list[Forest] = []
    known: list[Sighting] = []
    """Known differences of the kernel that explain all that deviated; empty where something else did."""
    started: str
    """ISO 8601, UTC."""
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """The outcome as it is told."""
        return "known" if self.outcome == "failed" and self.known else self.outcome


class HostDescription(msgspec.Struct, frozen=True, kw_only=True):
    """What a host was: the values against which runs are compared."""

    name: str
    kind: str
    kernel: str
    distribution: str
    architecture: str
    user: str
    tools: dict[str, str]
    """Tool to version: ``procps``, ``util-linux``, ``libc``, ``python`` …"""
    build: str = ""
    """What the kernel says of its build: distributions keep a release while its version moves on."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One pytest session's records, with what describes the hosts."""

    schema: int
    id: str
    nslab: str
    """The version of nslab that wrote it."""
    command: list[str]
    started: str
    isolators: dict[str, str] = {}
    """Isolator to its version, such as ``go``: ``go1.27.3``."""
    claims: list[Claim] = []
    sabotages: list[Sabotage] = []
    known_differences: list[KnownDifference] = []
    """What was known of kernels when the run was made."""
    records: list[Record] = []
    hosts: dict[str, HostDescription] = {}
    finished: str | None = None
    """When the session ended; null in the run of a session that died."""
    exit_status: int | None = None
