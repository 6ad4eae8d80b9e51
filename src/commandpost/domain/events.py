"""Facts told to the outside: they go into the outbox in the transaction that made them true.

Source: northbound reference 8.4, 8.5, 9.2; design 4 (outbox).
"""

from dataclasses import dataclass
from enum import IntEnum

from commandpost.domain.ids import CommandId, DeviceId, ProductId
from commandpost.domain.instant import Instant


class EventKind(IntEnum):
    """What happened; the numbers up to 7 are the dialect's push types."""

    DATA = 1
    ONLINE_STATE = 2
    COMMAND_ENDED = 7
    ALARM = 32
    """A trigger's condition was met; told to the trigger's url alone, in a form that has no type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEvent:
    """One event waiting to be pushed to one receiver; in order of `seq` per receiver and device."""

    seq: int = 0
    subscription_id: int = 0
    product_id: ProductId
    device_id: DeviceId
    kind: EventKind
    at: Instant
    command_id: CommandId | None = None
    """COMMAND_ENDED: the command; its record says the rest."""
    is_online: bool | None = None
    """ONLINE_STATE: what it became."""
    stream_id: str | None = None
    """DATA and ALARM: the stream."""
    value: str | None = None
    """DATA and ALARM: the value, compact JSON text."""
    alarm: str | None = None
    """ALARM: what went off, as domain.trigger writes it."""
    told_at: Instant
    """When it was put here."""
