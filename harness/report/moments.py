"""Times and durations as a reader wants them."""

from __future__ import annotations

from datetime import datetime, timezone


def moment(written: str) -> str:
    """An ISO 8601 time in UTC to the second; what is none stays as it was written.

    >>> moment("2026-11-23T21:40:05.123Z")
    '2026-11-23 21:40:05 UTC'
    """
    parsed = _parse(written)
    return f"{parsed:%Y-%m-%d %H:%M:%S} UTC" if parsed else written


def between(started: str, finished: str) -> str:
    """How long it took from one ISO 8601 time to another, or an empty string."""
    first, last = _parse(started), _parse(finished)
    return duration((last - first).total_seconds()) if first and last else ""


def duration(seconds: float) -> str:
    """A length of time in the unit that fits it.

    >>> duration(0.0421), duration(7.25), duration(4000)
    ('42 ms', '7.2 s', '1 h 06 min')
    """
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def _parse(written: str) -> datetime | None:
    try:
        parsed = datetime.fromisoformat(written.replace("Z", "+00:00"))
    except ValueError:
        return None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
