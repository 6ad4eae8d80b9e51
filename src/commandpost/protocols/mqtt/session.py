"""What outlives a connection: subscriptions, packet ids, and the messages on their way to a client.

A session is plain state. `outbound.OutboundFlow` and `inbound.InboundFlow` move it while a connection is there; whether
and how long it is kept between connections is the owner's matter.
Source: MQTT 3.1.1 section 3.1.2.4, MQTT 5.0 section 4.1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from commandpost.protocols.errors import DecodeError, EncodeError
from commandpost.protocols.mqtt.packet_types import PacketType
from commandpost.protocols.mqtt.packets import SubscriptionOptions
from commandpost.protocols.mqtt.properties import NO_PROPERTIES, Properties, check_properties
from commandpost.protocols.mqtt.topics import check_topic_name

if TYPE_CHECKING:
    from commandpost.protocols.mqtt.limits import MqttLimits
    from commandpost.protocols.mqtt.publish_handle import PublishHandle

PACKET_ID_MAX = 0xFFFF  # MQTT 3.1.1 section 2.3.1
_MESSAGE_BYTES = 64  # what a queued message costs beside topic and payload, roughly
_NO_SUBSCRIPTIONS: Mapping[str, SubscriptionOptions] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundMessage:
    """A message for the peer."""

    topic: str
    payload: bytes = field(default=b"", repr=False)
    qos: int = 0
    retain: bool = False
    properties: Properties = NO_PROPERTIES
    tag: object = None
    """Comes back with the outcome; None: nobody wants to know."""
    survives: bool = True
    """False: when the connection closes the session forgets the message, and nothing is said of it."""
    expires_at: float | None = None
    """When it is no longer worth sending; in MQTT 5 the seconds that are left go with it."""

    def __post_init__(self) -> None:
        """Refuse what could not be encoded."""
        try:
            check_topic_name(self.topic)
        except DecodeError as error:
            raise EncodeError(str(error.args[0])) from error
        if not 0 <= self.qos <= 2:
            raise EncodeError(f"QoS is 0, 1 or 2, not {self.qos}")
        if self.properties is not NO_PROPERTIES:
            check_properties(self.properties, PacketType.PUBLISH)

    @property
    def held_bytes(self) -> int:
        """Give about what it costs to hold."""
        return len(self.topic) + len(self.payload) + _MESSAGE_BYTES


class Delivery:
    """One QoS 1 or 2 message between its first PUBLISH and its last acknowledgement."""

    __slots__ = ("is_counted", "message", "packet_id", "qos", "survives", "tag")

    def __init__(self, *, packet_id: int, message: OutboundMessage) -> None:
        self.packet_id = packet_id
        # None once a PUBREC has come: what is left is the exchange of PUBREL and PUBCOMP.
        self.message: OutboundMessage | None = message
        self.qos = message.qos
        self.tag = message.tag
        self.survives = message.survives
        self.is_counted = False  # sent on this connection: it takes a place in the peer's Receive Maximum

    @property
    def is_released(self) -> bool:
        """Tell whether the PUBREC has come."""
        return self.message is None


class MqttSession:
    """The state of one client id on one side. Containers are made when first needed: most sessions are idle.

    Attributes:
        client_id: whose it is.
        inbound_ids: QoS 2 packet ids received and not released, oldest first; with the handle while the owner has not
            acknowledged the message, else None.
        deliveries: messages sent and not acknowledged, by packet id, in the order of their first PUBLISH.
        queue: messages not sent yet.
        queued_bytes: what deliveries and queue hold.
    """

    __slots__ = (
        "_limits",
        "_next_packet_id",
        "_reserved_ids",
        "_settled_ids",
        "_subscriptions",
        "client_id",
        "deliveries",
        "inbound_ids",
        "queue",
        "queued_bytes",
    )

    def __init__(self, client_id: str, *, limits: MqttLimits) -> None:
        self.client_id = client_id
        self._limits = limits
        self._subscriptions: dict[str, SubscriptionOptions] | None = None
        self._next_packet_id = 1
        self._reserved_ids: set[int] | None = None
        self._settled_ids: set[int] | None = None
        self.inbound_ids: dict[int, PublishHandle | None] | None = None
        self.deliveries: dict[int, Delivery] | None = None
        self.queue: deque[OutboundMessage] | None = None
        self.queued_bytes = 0

    # Subscriptions.

    @property
    def subscriptions(self) -> Mapping[str, SubscriptionOptions]:
        """Give the filters and their options, in the order in which they were first subscribed."""
        return self._subscriptions or _NO_SUBSCRIPTIONS

    def subscribe(self, topic_filter: str, options: SubscriptionOptions) -> bool:
        """Keep a subscription, new or changed; False, and nothing changed, if there are too many."""
        if self._subscriptions is None:
            self._subscriptions = {}
        if topic_filter not in self._subscriptions and len(self._subscriptions) >= self._limits.subscriptions_max:
            return False
        self._subscriptions[topic_filter] = options
        return True

    def unsubscribe(self, topic_filter: str) -> bool:
        """Forget a subscription; False if there was none."""
        return self._subscriptions is not None and self._subscriptions.pop(topic_filter, None) is not None

    # Messages for the client.

    @property
    def pending_count(self) -> int:
        """Count the messages queued or not acknowledged."""
        return len(self.queue or ()) + len(self.deliveries or ())

    def enqueue(self, message: OutboundMessage) -> bool:
        """Let a message wait for a place, or for the next connection; False, and nothing changed, if there is no room.

        With a connection, call `publish` of the connection instead, which keeps the order.
        """
        queue = self.queue
        size = message.held_bytes
        if self.queued_bytes + size > self._limits.queued_bytes_max:
            return False
        if queue is None:
            queue = self.queue = deque()
        elif len(queue) >= self._limits.queued_max:
            return False
        queue.append(message)
        self.queued_bytes += size
        return True

    def next_queued(self) -> OutboundMessage | None:
        """Give the message that has waited longest, without taking it."""
        return self.queue[0] if self.queue else None

    def take_queued(self) -> OutboundMessage:
        """Take the message that has waited longest."""
        assert self.queue is not None
        message = self.queue.popleft()
        if not self.queue:
            self.queue = None
        self.queued_bytes -= message.held_bytes
        return message

    def has_room(self, message: OutboundMessage) -> bool:
        """Tell whether the bytes of a message may be held."""
        return self.queued_bytes + message.held_bytes <= self._limits.queued_bytes_max

    @property
    def is_half_full(self) -> bool:
        """Tell whether half of the bytes that may be held are."""
        return self.queued_bytes * 2 > self._limits.queued_bytes_max

    def begin_delivery(self, message: OutboundMessage) -> Delivery:
        """Give a message its packet id and hold it until it is acknowledged."""
        deliveries = self.deliveries
        if deliveries is None:
            deliveries = self.deliveries = {}
        packet_id = self.take_packet_id()
        delivery = deliveries[packet_id] = Delivery(packet_id=packet_id, message=message)
        self.queued_bytes += message.held_bytes
        return delivery

    def release(self, delivery: Delivery) -> None:
        """Let go of the message of a delivery whose PUBREC has come; its packet id stays taken."""
        assert delivery.message is not None
        self.queued_bytes -= delivery.message.held_bytes
        delivery.message = None

    def end_delivery(self, delivery: Delivery) -> None:
        """Forget a delivery; its packet id is free."""
        assert self.deliveries is not None
        del self.deliveries[delivery.packet_id]
        if delivery.message is not None:
            self.queued_bytes -= delivery.message.held_bytes
        if not self.deliveries:
            self.deliveries = None

    def settle(self, delivery: Delivery) -> bool:
        """Forget a delivery whose PUBACK has not come; its packet id stays taken. False, and nothing changed, if too
        many ids are."""
        settled = self._settled_ids
        if settled is None:
            settled = self._settled_ids = set()
        if len(settled) >= self._limits.settled_max:
            return False
        settled.add(delivery.packet_id)
        self.end_delivery(delivery)
        return True

    def forget_settled(self, packet_id: int) -> bool:
        """Let the id of a settled delivery be given again; False if it is none."""
        if self._settled_ids is None or packet_id not in self._settled_ids:
            return False
        self._settled_ids.remove(packet_id)
        return True

    def take_packet_id(self) -> int:
        """Give a packet id that is not in use. There is one: deliveries and requests are far fewer than ids.

        Ids go round, so that one of a forgotten message is not soon taken for another.
        """
        packet_id = self._next_packet_id
        deliveries, reserved, settled = self.deliveries or (), self._reserved_ids or (), self._settled_ids or ()
        while packet_id in deliveries or packet_id in reserved or packet_id in settled:
            packet_id = packet_id % PACKET_ID_MAX + 1
        self._next_packet_id = packet_id % PACKET_ID_MAX + 1
        return packet_id

    def reserve_packet_id(self) -> int:
        """Give a packet id for something that is no message: a client's SUBSCRIBE or UNSUBSCRIBE."""
        packet_id = self.take_packet_id()
        if self._reserved_ids is None:
            self._reserved_ids = set()
        self._reserved_ids.add(packet_id)
        return packet_id

    def free_packet_id(self, packet_id: int) -> None:
        """Let a reserved id be given again."""
        if self._reserved_ids is not None:
            self._reserved_ids.discard(packet_id)

    def discard_exchanges(self) -> list[Delivery]:
        """Forget every exchange that was begun, and give the messages that went out: the peer has forgotten them."""
        lost = list((self.deliveries or {}).values())
        for delivery in lost:
            self.end_delivery(delivery)
        self.inbound_ids = None
        return lost

    def end_connection(self) -> None:
        """Forget the messages that do not survive a connection; what is left waits for the next one."""
        self._settled_ids = None
        if self.queue is not None:
            kept = deque(message for message in self.queue if message.survives)
            self.queued_bytes -= sum(message.held_bytes for message in self.queue if not message.survives)
            self.queue = kept or None
        for delivery in tuple((self.deliveries or {}).values()):
            delivery.is_counted = False
            if delivery.survives:
                continue
            delivery.tag = None
            # Of a QoS 2 message the client has already taken only the PUBREL is left, and that must come: else the
            # client would hold the id, and take the next message with the same one for this.
            if not delivery.is_released:
                self.end_delivery(delivery)
