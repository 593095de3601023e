"""Runs and records as a session would have written them, made for tests of what is rendered of them."""

from __future__ import annotations

from harness.evidence import Claim, HostDescription, Observation, Outcome, Record, Run, Side


def claim(name: str, *, saw: str = "# hostname\ntest") -> Claim:
    """A claim whose chapter is the first word of its id."""
    return Claim(
        id=name,
        namespace=name.split("-")[0],
        claim=f"Sentence {name}.",
        done="Asks.",
        saw=saw,
        source="uts(7)",
    )


def record(
    title: str = "It holds.", outcome: Outcome = "passed", *claims: str, isolator: str = "go"
) -> Record:
    """A record without evidence."""
    return Record(
        test=f"experiments/test_{title}",
        title=title,
        claims=list(claims),
        host="stage",
        isolator=isolator,
        outcome=outcome,
        message=f"Why {title}" if outcome != "passed" else "",
        details=f"Trace of {title}" if outcome in ("failed", "error") else "",
        started="2026-11-23T21:40:05.123Z",
        seconds=0.25,
    )


def observation(side: Side, command: str, output: str, *, status: int = 0, stderr: str = "") -> Observation:
    """One observation."""
    return Observation(
        side=side,
        where=side,
        command=command,
        output=output,
        stderr=stderr,
        status=status,
        at=0.5,
        seconds=0.1,
    )


def run(
    *records: Record, claims: tuple[str, ...] = ("uts-1",), finished: str | None = "2026-11-23T21:41:07Z"
) -> Run:
    """A run of these records."""
    stage = HostDescription(
        name="stage",
        kind="stage",
        kernel="6.1.0-test",
        distribution="Test Linux 12",
        architecture="x86_64",
        user="0",
        tools={"procps": "4.0.2"},
    )
    return Run(
        schema=1,
        id="2026-11-23T21-40-05-3fa9",
        nslab="0.1.0",
        command=["pytest", "experiments/", "-k", "a b"],
        started="2026-11-23T21:40:05Z",
        isolators={"go": "go1.27.3", "python": "3.11.2"},
        claims=[claim(name) for name in claims],
        records=list(records),
        hosts={"stage": stage},
        finished=finished,
        exit_status=0,
    )


def in_order(page: str, *words: str) -> bool:
    """Whether the page holds all the words, each behind the one before."""
    for word in words:
        _, found, page = page.partition(word)
        if not found:
            return False
    return True
