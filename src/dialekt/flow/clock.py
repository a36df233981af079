"""The time, as promotions, releases and switches record it."""

from datetime import UTC, datetime


def now() -> str:
    """Return the present moment, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
