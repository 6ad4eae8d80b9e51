"""Responses and notifications of ours that are messages of their own: their acknowledgement, or the lack of it.

A confirmable one is retransmitted until it is acknowledged, reset, or given up; a non-confirmable one is sent once and
only a reset is reported. Source: RFC 7252 sections 4.2 and 4.3, RFC 7641 section 4.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from commandpost.protocols.coap.channel import Channel, Confirmable
from commandpost.protocols.coap.codec import encode_fields
from commandpost.protocols.coap.events import MessageDelivered, MessageReset, MessageUndelivered
from commandpost.protocols.coap.generations import GenerationTable
from commandpost.protocols.coap.message import MessageType

if TYPE_CHECKING:
    from commandpost.protocols.coap.peer import Peer


class Delivery(Confirmable):
    """One confirmable message that awaits its acknowledgement."""

    __slots__ = ("delivery_id",)

    def __init__(self, peer: Peer, *, delivery_id: int | None) -> None:
        super().__init__(peer)
        self.delivery_id = delivery_id


class DeliveryTable:
    """The messages of one endpoint that are on their way."""

    __slots__ = ("_channel", "_open_count", "_unconfirmed")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._open_count = 0
        self._unconfirmed: GenerationTable[tuple[Peer, int], int] = GenerationTable(
            entries_max=channel.limits.unconfirmed_sent_max, lifetime_s=channel.parameters.exchange_lifetime_s
        )

    def __len__(self) -> int:
        """Count the confirmable messages that await an acknowledgement."""
        return self._open_count

    def send(
        self,
        peer: Peer,
        *,
        code: int,
        token: bytes,
        options: tuple[tuple[int, bytes], ...],
        payload: bytes,
        is_confirmable: bool,
        delivery_id: int | None,
        now: float,
    ) -> int:
        """Send a message and give its message id, or the one it would have had if a limit keeps it from leaving."""
        message_id = self._channel.new_message_id(peer, now=now)
        if message_id is None:
            self._channel.counters.datagrams_dropped += 1
            if is_confirmable:
                self._report_undelivered(delivery_id)
            return self._channel.message_ids.following(peer)
        if not is_confirmable:
            self._channel.send(peer, encode_fields(MessageType.NON, code, message_id, token, options, payload))
            if delivery_id is not None:
                self._unconfirmed.put((peer, message_id), delivery_id, now=now)
            return message_id
        datagram = encode_fields(MessageType.CON, code, message_id, token, options, payload)
        if self._open_count >= self._channel.limits.open_messages_max:
            self._report_undelivered(delivery_id)
            return message_id
        delivery = Delivery(peer, delivery_id=delivery_id)
        self._open_count += 1
        # One that finds no room in the send queue is as good as lost on the way, and sent again in time.
        self._channel.begin(delivery, message_id=message_id, datagram=datagram, now=now)
        self._arm(delivery, now=now)
        return message_id

    def on_acknowledged(self, delivery: Delivery) -> None:
        """Take an ACK."""
        self._close(delivery)
        if delivery.delivery_id is not None:
            self._channel.events.append(MessageDelivered(delivery.delivery_id))

    def on_reset(self, delivery: Delivery) -> None:
        """Take a reset for a confirmable message."""
        self._close(delivery)
        if delivery.delivery_id is not None:
            self._channel.events.append(MessageReset(delivery.delivery_id))

    def on_reset_unconfirmed(self, peer: Peer, message_id: int) -> bool:
        """Take a reset for a non-confirmable message; False if none with that id is remembered."""
        delivery_id = self._unconfirmed.get((peer, message_id))
        if delivery_id is None:
            return False
        self._unconfirmed.discard((peer, message_id))
        self._channel.events.append(MessageReset(delivery_id))
        return True

    def on_deadline(self, delivery: Delivery, *, now: float) -> None:
        """Retransmit, or give up."""
        if delivery.retransmit_at is None:
            self._close(delivery)
            self._report_undelivered(delivery.delivery_id)
            return
        self._channel.retransmit(delivery, retransmissions_max=self._channel.parameters.message_max_retransmit, now=now)
        self._arm(delivery, now=now)

    def _arm(self, delivery: Delivery, *, now: float) -> None:
        if self._channel.parameters.message_max_retransmit == 0:
            delivery.retransmit_at = None
        # The last transmission is given its back-off too (RFC 7252 section 4.2).
        self._channel.deadlines.set(delivery, now + delivery.back_off_s)

    def _close(self, delivery: Delivery) -> None:
        self._channel.close(delivery)
        self._open_count -= 1

    def _report_undelivered(self, delivery_id: int | None) -> None:
        if delivery_id is not None:
            self._channel.events.append(MessageUndelivered(delivery_id))
