"""A device's present connection over MQTT or EDP: the counterpart of an LwM2M session.

Source: design section 8 (epoch and start id fence every claim); southbound reference 5.1, 6.8.
"""

from dataclasses import dataclass

from commandpost.domain.command import Transport
from commandpost.domain.ids import DeviceId, ProductId, StartId
from commandpost.domain.instant import Instant
from commandpost.domain.session import Remote


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One authenticated connection. `epoch` is 0 until the store has given it: one more than that of the one before."""

    device_id: DeviceId
    product_id: ProductId
    transport: Transport
    epoch: int = 0
    start_id: StartId
    """The run of the server it is connected to: with that run it ends."""
    remote: Remote
    keepalive_s: int
    connected_at: Instant
