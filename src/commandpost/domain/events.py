"""Facts told to the outside: they go into the outbox in the transaction that made them true.

Source: northbound reference 8.4, 8.5; design 4 (outbox).
"""

from dataclasses import dataclass
from enum import IntEnum

from commandpost.domain.ids import CommandId, DeviceId, ProductId
from commandpost.domain.instant import Instant


class EventKind(IntEnum):
    """What happened; the numbers are the dialect's push types."""

    DATA = 1
    ONLINE_STATE = 2
    COMMAND_ENDED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEvent:
    """One event waiting to be pushed; in order of `seq` per device."""

    seq: int = 0
    product_id: ProductId
    device_id: DeviceId
    kind: EventKind
    at: Instant
    command_id: CommandId | None = None
    """COMMAND_ENDED: the command; its record says the rest."""
    is_online: bool | None = None
    """ONLINE_STATE: what it became."""
