"""Messages on the topics of a product, between its devices: what of them outlives a connection.

MQTT is the one protocol that has them; what its packets look like is not known here.
Source: OASIS MQTT 3.1.1 section 3.1.2.4 and 3.3.1.3, MQTT 5.0 section 4.1; southbound reference 5.1, 5.4.
"""

from dataclasses import dataclass
from typing import Final

from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant

SUBSCRIPTIONS_MAX: Final = 100  # of a device (southbound reference 8)
QUEUED_MESSAGES_MAX: Final = 1_000  # kept for a device that is away; at least the 10 of southbound reference 5.4
QUEUED_BYTES_MAX: Final = 4_194_304  # the same, in bytes of topic and payload
RETAINED_MAX: Final = 10_000  # retained messages of a product
SESSION_EXPIRY_S: Final = 7 * 86_400  # MQTT 3.1.1 knows none; a table that is never emptied needs one


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicMessage:
    """One message. `properties` are the MQTT 5 properties as they stand on the wire, opaque here."""

    topic: str
    payload: bytes
    qos: int
    is_retained: bool = False
    properties: bytes = b""
    expires_at: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSubscription:
    """A filter a device has subscribed; `options` is MQTT's subscription options byte, QoS in its two low bits."""

    topic_filter: str
    options: int
    identifier: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSession:
    """What a device's session holds when it outlives the connection."""

    device_id: DeviceId
    product_id: ProductId
    expiry_s: int
    """From the end of the connection; 2**32-1: never (MQTT 5.0 section 3.1.2.11.2)."""
    left_at: Instant | None
    """When its connection ended; None while it is connected."""
    subscriptions: tuple[TopicSubscription, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedMessage:
    """A message waiting for a device; `number` ascends in the order of queueing."""

    number: int
    message: TopicMessage
    identifiers: tuple[int, ...] = ()
    """MQTT 5 identifiers of the subscriptions that matched."""
