"""Instants and durations: whole milliseconds since 1970 UTC. Text times exist in northbound only."""

from typing import Final, NewType

Instant = NewType("Instant", int)
"""Milliseconds since 1970-01-01T00:00:00 UTC."""

SECOND_MS: Final = 1000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS


def after(instant: Instant, *, duration_ms: int) -> Instant:
    """Give the instant that lies `duration_ms` later."""
    return Instant(instant + duration_ms)
