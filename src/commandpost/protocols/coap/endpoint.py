"""The CoAP endpoint: datagrams, requests and `now` in; datagrams, events and a deadline out.

One class for both sides: the platform, and a simulated device. It ties together `exchange` (requests of ours),
`delivery` (other messages of ours), `responder` (requests of the peer) and `deduplication`. It knows no socket, no
clock and no LwM2M.

Source: RFC 7252, RFC 7641, RFC 7959; the transmission times are OneNET's unless the parameters say otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from commandpost.protocols.coap.budget import Budget
from commandpost.protocols.coap.channel import Channel, EndpointCounters
from commandpost.protocols.coap.codec import decode, encode_empty, peek_header
from commandpost.protocols.coap.codes import is_response
from commandpost.protocols.coap.delivery import Delivery, DeliveryTable
from commandpost.protocols.coap.events import Event, ReplyHandle, ResponseHandle, UnmatchedResponse
from commandpost.protocols.coap.exchange import Exchange, ExchangeTable, Request
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import find_unrecognised_critical
from commandpost.protocols.coap.parameters import EndpointLimits, TransmissionParameters
from commandpost.protocols.coap.peer import Peer
from commandpost.protocols.coap.responder import Options, Responder, first_block
from commandpost.protocols.errors import DecodeError, EncodeError

if TYPE_CHECKING:
    from random import Random

__all__ = [
    "CoapEndpoint",
    "EndpointCounters",
    "EndpointLimits",
    "Peer",
    "Request",
    "TransmissionParameters",
]


class CoapEndpoint:
    """A CoAP endpoint towards any number of peers.

    Feed it every datagram and, when `next_deadline` has come, the time; after each call drain `next_event` and
    `datagrams_to_send`. No peer can make a method raise; only wrong use by the owner does.
    """

    __slots__ = ("_channel", "_deliveries", "_exchanges", "_now", "_reset_budget", "_responder")

    def __init__(self, *, parameters: TransmissionParameters, limits: EndpointLimits, random: Random) -> None:
        self._channel = Channel(parameters=parameters, limits=limits, random=random)
        self._exchanges = ExchangeTable(self._channel)
        self._deliveries = DeliveryTable(self._channel)
        self._responder = Responder(self._channel, self._deliveries)
        self._reset_budget = Budget(per_s=limits.resets_per_s, burst=limits.resets_burst)
        self._now = 0.0  # the latest time anybody told, for the calls that carry none

    # What the driver calls.

    def receive_datagram(self, data: bytes, peer: Peer, *, now: float) -> None:
        """Take one datagram; whatever it holds, nothing is raised."""
        self._now = now
        channel = self._channel
        channel.counters.datagrams_received += 1
        if len(channel.events) >= channel.limits.events_queued_max:
            channel.counters.datagrams_refused += 1
            return
        try:
            message = decode(data)
        except DecodeError:
            self._on_malformed(data, peer, now=now)
            return
        message_type = message.type
        if message.code == 0:
            self._on_empty(message, peer, now=now)
        elif message_type is MessageType.ACK:
            self._on_piggybacked(message, peer, now=now)
        elif message_type is MessageType.RST:
            channel.counters.ignored += 1  # RFC 7252 section 4.2: a reset is empty
        else:
            key = data[: 4 + len(message.token)]
            answer = channel.answers.find(peer, key, now=now)
            if answer is not None:
                channel.counters.duplicates += 1
                if answer:
                    channel.send(peer, answer)
                return
            channel.answers.begin(peer, key, is_known=peer in channel.message_ids, now=now)
            if message.code < 0x20:
                self._responder.receive(message, peer, key, now=now)
            else:
                self._on_separate(message, peer, key, now=now)

    def next_event(self) -> Event | None:
        """Give the next event, in the order they happened; None if there is no more."""
        events = self._channel.events
        return events.popleft() if events else None

    def datagrams_to_send(self) -> list[tuple[Peer, bytes]]:
        """Give what is to be sent, in order, and forget it."""
        datagrams = self._channel.datagrams
        if datagrams:
            self._channel.datagrams = []
        return datagrams

    def next_deadline(self) -> float | None:
        """Give the time at which `handle_deadline` wants to be called; None if nothing waits."""
        return self._channel.deadlines.next_at()

    def handle_deadline(self, *, now: float) -> None:
        """Do what is due: retransmit, give up, end exchanges."""
        self._now = now
        while (timer := self._channel.deadlines.pop_due(now)) is not None:
            if isinstance(timer, Exchange):
                self._exchanges.on_deadline(timer, now=now)
            elif isinstance(timer, Delivery):
                self._deliveries.on_deadline(timer, now=now)

    # Requests of ours.

    def send_request(
        self,
        peer: Peer,
        request: Request,
        *,
        exchange_id: int,
        token: bytes,
        deadline: float,
        now: float,
        retransmit: bool = True,
        block_bytes: int | None = None,
    ) -> None:
        """Send a confirmable request and await its response until the deadline.

        Ends with exactly one ResponseReceived or ExchangeEnded, unless it is cancelled.

        Args:
            exchange_id: the owner's number, not in use.
            token: 0 to 8 bytes, not in use towards this peer.
            deadline: the whole budget, block-wise transfers included; nothing is sent at or after it.
            retransmit: False sends the request in exactly one datagram, whole whatever its size, whatever happens.
                Only further blocks of a long answer are still asked for, each once.
            block_bytes: a power of two from 16 to 1024 for a device that takes less than the parameters say; a
                larger payload then goes in blocks of that size.
        Raises:
            ValueError: exchange_id or token is in use.
            EncodeError: the request has no form on the wire; no exchange was opened.
        """
        self._now = now
        self._exchanges.open(
            peer,
            request,
            exchange_id=exchange_id,
            token=token,
            deadline=deadline,
            now=now,
            may_retransmit=retransmit,
            block_bytes=block_bytes,
        )

    def adopt_exchange(self, peer: Peer, *, exchange_id: int, token: bytes, deadline: float) -> None:
        """Await the response to a request sent before a restart; nothing is sent.

        The message id is not known any more, so a response of any type counts if peer and token match. A response
        in several blocks cannot be fetched further and ends as BLOCKWISE_FAILED.

        Raises:
            ValueError: exchange_id or token is in use.
        """
        self._exchanges.adopt(peer, exchange_id=exchange_id, token=token, deadline=deadline)

    def fetch_rest(
        self,
        peer: Peer,
        request: Request,
        first: CoapMessage,
        *,
        exchange_id: int,
        token: bytes,
        deadline: float,
        now: float,
    ) -> None:
        """Fetch the blocks after the first one of a notification (RFC 7959 section 3.4).

        Ends as `send_request` does; the response is the first block's message with the whole payload, without its
        Observe option.

        Args:
            request: a GET of the observed path, without Observe and Block options.
            first: the notification; UnmatchedResponse.is_partial.
            token: not the observation's.
        Raises:
            ValueError: exchange_id or token is in use.
        """
        self._now = now
        self._exchanges.open_rest(
            peer, request, first, exchange_id=exchange_id, token=token, deadline=deadline, now=now
        )

    def cancel_exchange(self, exchange_id: int) -> None:
        """Forget an exchange without an event; late answers are acknowledged and dropped. Unknown ids are ignored."""
        self._exchanges.cancel(exchange_id, now=self._now)

    # Answers to the peer.

    def respond(
        self, reply_to: ReplyHandle, *, code: int, options: Options = (), payload: bytes = b"", now: float
    ) -> None:
        """Answer a request, at once or much later.

        Piggy-backed on the ACK for a confirmable request (or, after `send_empty_ack`, as a confirmable message of
        its own); non-confirmable for a non-confirmable one. Kept for duplicates. A payload larger than a block, or
        than the request wants, is cut, and its later blocks are served from memory.

        Raises:
            ValueError: answered before.
            EncodeError: not a response code, or the response has no form on the wire.
        """
        self._now = now
        self._responder.respond(reply_to, code=code, options=options, payload=payload, now=now)

    def send_empty_ack(self, reply_to: ReplyHandle) -> None:
        """Acknowledge a confirmable request now and answer it later; nothing happens for any other."""
        self._responder.send_empty_ack(reply_to)

    def send_message(
        self,
        peer: Peer,
        *,
        code: int,
        token: bytes,
        options: Options,
        payload: bytes,
        confirmable: bool,
        now: float,
        delivery_id: int | None = None,
    ) -> int:
        """Send a response that no open request waits for: a notification, or a late separate response.

        With a delivery_id, a confirmable one ends as exactly one of MessageDelivered, MessageReset or
        MessageUndelivered; a non-confirmable one may bring MessageReset.

        Returns:
            The message id, or the one it would have had if a limit keeps it from leaving.
        Raises:
            EncodeError: not a response code, or the message has no form on the wire.
        """
        self._now = now
        if not is_response(code):
            raise EncodeError(f"a response has a code of class 2 to 5, not {code:#04x}")
        options, payload = first_block(options, payload, szx=self._channel.parameters.block_szx)
        return self._deliveries.send(
            peer,
            code=code,
            token=token,
            options=options,
            payload=payload,
            is_confirmable=confirmable,
            delivery_id=delivery_id,
            now=now,
        )

    def acknowledge(self, handle: ResponseHandle, *, now: float) -> None:
        """Acknowledge an unmatched response, and every duplicate of it. Nothing is sent for a NON one."""
        self._now = now
        if handle.is_confirmable:
            self._settle(handle.peer, handle.key, encode_empty(MessageType.ACK, handle.message_id))

    def reset(self, handle: ResponseHandle, *, now: float) -> None:
        """Refuse an unmatched response, and every duplicate of it, so that its sender stops."""
        self._now = now
        self._channel.counters.resets_sent += 1
        self._settle(handle.peer, handle.key, encode_empty(MessageType.RST, handle.message_id))

    def decline(self, handle: ResponseHandle) -> None:
        """Say nothing to an unmatched response, and forget it: its repetition comes as a new one."""
        self._channel.answers.drop(handle.peer, handle.key)

    # Who is known.

    def know_peer(self, peer: Peer) -> None:
        """Give a peer its own message ids and its own memory for duplicates; nothing changes if it has them."""
        self._channel.message_ids.know(peer)

    def forget_peer(self, peer: Peer) -> None:
        """Make a peer a stranger. Its open exchanges go on."""
        self._channel.message_ids.forget(peer, now=self._now)
        self._channel.answers.forget(peer)

    # What can be looked at.

    @property
    def counters(self) -> EndpointCounters:
        """Give the live counters."""
        return self._channel.counters

    @property
    def open_exchange_count(self) -> int:
        """Count the exchanges that have not ended."""
        return len(self._exchanges)

    @property
    def known_peer_count(self) -> int:
        """Count the known peers."""
        return len(self._channel.message_ids)

    @property
    def stored_answer_count(self) -> int:
        """Count the answers kept for duplicates; walks all of them."""
        return len(self._channel.answers)

    def _on_malformed(self, data: bytes, peer: Peer, *, now: float) -> None:
        self._channel.counters.malformed += 1
        header = peek_header(data)
        if header is not None and header[0] is MessageType.CON:
            self._reset_within_budget(peer, header[1], now=now)

    def _reset_within_budget(self, peer: Peer, message_id: int, *, now: float) -> None:
        if self._reset_budget.take(now=now):
            self._channel.counters.resets_sent += 1
            self._channel.send(peer, encode_empty(MessageType.RST, message_id))
        else:
            self._channel.counters.resets_suppressed += 1

    def _on_empty(self, message: CoapMessage, peer: Peer, *, now: float) -> None:
        channel = self._channel
        if message.type is MessageType.CON:
            channel.send(peer, encode_empty(MessageType.RST, message.message_id))  # RFC 7252 section 4.3: CoAP ping
            return
        confirmable = channel.confirmables.get((peer, message.message_id))
        match message.type, confirmable:
            case MessageType.ACK, Exchange() as exchange:
                self._exchanges.on_acknowledged(exchange)
            case MessageType.ACK, Delivery() as delivery:
                self._deliveries.on_acknowledged(delivery)
            case MessageType.RST, Exchange() as exchange:
                self._exchanges.on_reset(exchange, now=now)
            case MessageType.RST, Delivery() as delivery:
                self._deliveries.on_reset(delivery)
            case MessageType.RST, None if self._deliveries.on_reset_unconfirmed(peer, message.message_id):
                pass
            case _:
                channel.counters.ignored += 1

    def _on_piggybacked(self, message: CoapMessage, peer: Peer, *, now: float) -> None:
        """Take an ACK that carries something: the message id must be open and, for a response, the token match."""
        confirmable = self._channel.confirmables.get((peer, message.message_id))
        if isinstance(confirmable, Delivery):
            # OneJson platforms answer a notification with a response in the ACK; it acknowledges all the same.
            self._deliveries.on_acknowledged(confirmable)
            return
        exchange = self._exchanges.find(peer, message.token)
        if (
            exchange is not None
            and message.is_response
            and (exchange is confirmable or (exchange.request is None and confirmable is None))
        ):
            self._exchanges.on_response(exchange, message, now=now)
        else:
            self._channel.counters.ignored += 1

    def _on_separate(self, message: CoapMessage, peer: Peer, key: bytes, *, now: float) -> None:
        """Take a new CON or NON response."""
        channel = self._channel
        is_confirmable = message.type is MessageType.CON
        exchange = self._exchanges.find(peer, message.token)
        if exchange is not None or self._exchanges.has_ended(message, peer):
            if is_confirmable:
                # Also long after the exchange has ended, else the device repeats its response.
                self._settle(peer, key, encode_empty(MessageType.ACK, message.message_id))
            if exchange is not None:
                self._exchanges.on_response(exchange, message, now=now)
            else:
                channel.counters.late_responses += 1
        elif find_unrecognised_critical(message.options) is None:
            handle = ResponseHandle(peer=peer, key=key, message_id=message.message_id, is_confirmable=is_confirmable)
            channel.events.append(UnmatchedResponse(peer, message, handle))
        elif is_confirmable:
            self._reset_within_budget(peer, message.message_id, now=now)  # RFC 7252 section 5.4.1
        else:
            channel.counters.ignored += 1

    def _settle(self, peer: Peer, key: bytes, reply: bytes) -> None:
        self._channel.send(peer, reply)
        self._channel.answers.settle(peer, key, reply)
