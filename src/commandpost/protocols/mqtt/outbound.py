"""Messages that go out: in one order for every QoS, a few unacknowledged at a time, again on the next connection.

Used by both sides of a connection. Source: MQTT 3.1.1 sections 4.3, 4.4 and 4.6; MQTT 5.0 sections 4.3, 4.4 and 4.9.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Any

from commandpost.protocols.mqtt.errors import PacketError
from commandpost.protocols.mqtt.events import MessageDelivered, MessageExpired, MessageRefused, MessageSent
from commandpost.protocols.mqtt.packet_types import PacketType, Version
from commandpost.protocols.mqtt.publish_codec import encode_publish
from commandpost.protocols.mqtt.reason_codes import ReasonCode

if TYPE_CHECKING:
    from commandpost.protocols.mqtt.channel import Channel
    from commandpost.protocols.mqtt.session import Delivery, MqttSession, OutboundMessage

_DUP = 0b1000  # MQTT 3.1.1 section 3.3.1.1


class OutboundFlow:
    """What goes out on one connection, out of one session."""

    __slots__ = ("_channel", "_counted", "_receive_maximum", "_resends", "_session")

    # Any: the events of a channel differ between the two sides, and both have the outcomes of messages among them.
    def __init__(self, session: MqttSession, channel: Channel[Any], *, receive_maximum: int) -> None:
        self._session = session
        self._channel = channel
        self._receive_maximum = receive_maximum
        self._counted = 0  # messages sent on this connection and not acknowledged
        # What an earlier connection left unacknowledged and has not gone out again; None: nothing.
        self._resends: deque[Delivery] | None = None

    def resume(self) -> None:
        """Send again what an earlier connection left unacknowledged, in order (MQTT 3.1.1 section 4.4)."""
        again: deque[Delivery] = deque()
        for delivery in (self._session.deliveries or {}).values():
            if delivery.is_released:
                self._channel.send_acknowledgement(PacketType.PUBREL, delivery.packet_id, ReasonCode.SUCCESS)
            else:
                again.append(delivery)
        self._resends = again or None
        self.pump()

    def publish(self, message: OutboundMessage) -> bool:
        """Send a message, or let it wait for its turn; False, and nothing changed, if too much waits."""
        session = self._session
        if session.queue is None and self._resends is None:
            if not message.qos:
                self._send(message, 0, 0)
                return True
            if self._has_place:
                if not session.has_room(message):
                    return False
                self._deliver(message)
                return True
        return session.enqueue(message)

    def pump(self) -> None:
        """Send what waits, as far as the peer takes it."""
        session = self._session
        while self._resends:
            if self._counted >= self._receive_maximum:
                return
            self._resend(self._resends.popleft())
        self._resends = None
        while (message := session.next_queued()) is not None:
            if message.qos and not self._has_place:
                return
            session.take_queued()
            if message.qos:
                self._deliver(message)
            else:
                self._send(message, 0, 0)

    def settle(self, tag: object) -> None:
        """Let another message go in place of a QoS 1 message that the peer has shown to have.

        Its PUBACK may follow all the same: until then its packet id is not given again, and it is counted in the peer's
        Receive Maximum. A peer that leaves out too many of them is not believed any more.
        """
        session = self._session
        for delivery in (session.deliveries or {}).values():
            if delivery.tag == tag and delivery.qos == 1:
                if session.settle(delivery):
                    self.pump()
                return

    # Acknowledgements of the peer.

    def receive_puback(self, packet_id: int, reason: ReasonCode) -> None:
        """End a QoS 1 message. An id nobody knows is left alone: it may be one of an earlier connection."""
        delivery = self._find(packet_id)
        if delivery is None:
            if self._session.forget_settled(packet_id):
                self._counted -= 1
                self.pump()
            return
        if delivery.qos != 1:
            raise PacketError(f"PUBACK for packet id {packet_id}, which is QoS 2", reason=ReasonCode.PROTOCOL_ERROR)
        self._end(delivery, reason)

    def receive_pubrec(self, packet_id: int, reason: ReasonCode) -> None:
        """Answer PUBREC with PUBREL, unless the peer has refused the message (MQTT 5.0 section 4.3.3)."""
        delivery = self._find(packet_id)
        if delivery is None:
            if not reason.is_failure:
                unknown = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND
                self._channel.send_acknowledgement(PacketType.PUBREL, packet_id, unknown)
            return
        if delivery.qos != 2:
            raise PacketError(f"PUBREC for packet id {packet_id}, which is QoS 1", reason=ReasonCode.PROTOCOL_ERROR)
        if reason.is_failure:
            self._end(delivery, reason)
            return
        if not delivery.is_released:
            self._session.release(delivery)
        self._channel.send_acknowledgement(PacketType.PUBREL, packet_id, ReasonCode.SUCCESS)

    def receive_pubcomp(self, packet_id: int) -> None:
        """End a QoS 2 message. "Packet id not found" ends it too: the peer has released it before."""
        delivery = self._find(packet_id)
        if delivery is None:
            return
        if not delivery.is_released:
            raise PacketError(f"PUBCOMP before PUBREC of packet id {packet_id}", reason=ReasonCode.PROTOCOL_ERROR)
        self._end(delivery, ReasonCode.SUCCESS)

    def _find(self, packet_id: int) -> Delivery | None:
        deliveries = self._session.deliveries
        return None if deliveries is None else deliveries.get(packet_id)

    def _end(self, delivery: Delivery, reason: ReasonCode) -> None:
        self._session.end_delivery(delivery)
        if delivery.is_counted:
            self._counted -= 1
        if delivery.tag is not None:
            self._channel.events.append(
                MessageRefused(tag=delivery.tag, reason=reason)
                if reason.is_failure
                else MessageDelivered(tag=delivery.tag)
            )
        self.pump()

    @property
    def _has_place(self) -> bool:
        """Tell whether one more message may be unacknowledged."""
        return (
            self._counted < self._receive_maximum
            and len(self._session.deliveries or ()) < self._channel.limits.inflight_max
        )

    def _deliver(self, message: OutboundMessage) -> None:
        delivery = self._session.begin_delivery(message)
        if self._send(message, message.qos << 1, delivery.packet_id):
            delivery.is_counted = True
            self._counted += 1
        else:
            self._session.end_delivery(delivery)

    def _resend(self, delivery: Delivery) -> None:
        message = delivery.message
        if message is None or self._find(delivery.packet_id) is not delivery:
            return  # acknowledged meanwhile: the peer had it before
        if self._send(message, message.qos << 1 | _DUP, delivery.packet_id):
            delivery.is_counted = True
            self._counted += 1
        else:
            self._session.end_delivery(delivery)

    def _send(self, message: OutboundMessage, flags: int, packet_id: int) -> bool:
        """Send one PUBLISH; False, and the owner told, if it has expired or is too long for the peer."""
        channel = self._channel
        properties = message.properties
        if message.expires_at is not None:
            left_s = ceil(message.expires_at - channel.now)
            # What has been sent once must be ended with the peer, however late (MQTT 5.0 section 4.3.2).
            if left_s <= 0 and not flags & _DUP:
                if message.tag is not None:
                    channel.events.append(MessageExpired(tag=message.tag))
                return False
            if channel.version is Version.V5 and properties.message_expiry_s != max(left_s, 0):
                properties = replace(properties, message_expiry_s=max(left_s, 0))
        data = encode_publish(
            message.topic, message.payload, flags | message.retain, packet_id, properties, channel.version
        )
        if len(data) > channel.peer_packet_bytes_max:
            if message.tag is not None:
                channel.events.append(MessageRefused(tag=message.tag, reason=ReasonCode.PACKET_TOO_LARGE))
            return False
        channel.chunks.append(data)
        channel.chunk_bytes += len(data)
        if not message.qos and message.tag is not None:
            channel.events.append(MessageSent(tag=message.tag))
        return True
