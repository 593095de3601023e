"""What can go wrong that is not a verdict on a claim."""

from __future__ import annotations


class LabError(Exception):
    """The harness or the machine broke: pytest reports an error, never a failed claim."""


class WaitExpiredError(LabError):
    """An awaited event did not come in time; says what was awaited and what was seen last."""

    def __init__(self, awaited: str, seconds: float, last: str) -> None:
        """Compose the message from what was awaited, for how long, and the last output."""
        self.awaited, self.seconds, self.last = awaited, seconds, last
        super().__init__(f"waited {seconds:g} s for {awaited}; last seen: {tail(last)}")


class HostLostError(LabError):
    """A host was never reached, or was lost: what it should have shown is missing; others stand."""


class UnmetNeedError(Exception):
    """Something that the user can provide is missing; the message names it and the remedy in one line."""


class HostLacksError(UnmetNeedError):
    """One host lacks what an experiment needs, which is skipped there; the reason names the remedy."""


def tail(output: str, limit: int = 400) -> str:
    """The end of an output, quoted, short enough for one message."""
    if not output:
        return "nothing"
    return repr(output) if len(output) <= limit else "…" + repr(output[-limit:])
