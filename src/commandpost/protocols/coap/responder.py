"""Requests of the peer: which reach the owner, and how the owner's response goes out.

Bodies in Block1 blocks are put together before the owner sees them, and large responses are cut into Block2 blocks.
Duplicates never come this far. Source: RFC 7252 sections 5.2 and 5.4.1; RFC 7959 sections 2.2 to 2.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from commandpost.protocols.coap.blockwise import BodyAssembler, ServedBodies, slice_block, transfer_key
from commandpost.protocols.coap.codec import encode_empty, encode_fields
from commandpost.protocols.coap.codes import Code, is_response, is_success
from commandpost.protocols.coap.events import ReplyHandle, RequestReceived
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Block, Option, encode_uint, find_unrecognised_critical
from commandpost.protocols.errors import DecodeError, EncodeError

if TYPE_CHECKING:
    from commandpost.protocols.coap.channel import Channel
    from commandpost.protocols.coap.delivery import DeliveryTable
    from commandpost.protocols.coap.peer import Peer

Options = tuple[tuple[int, bytes], ...]

BLOCK_BYTES_MIN = 16  # RFC 7959 section 2.2: a payload of this size or less is never cut


class Responder:
    """The serving half of one endpoint."""

    __slots__ = ("_assembler", "_channel", "_deliveries", "_served")

    def __init__(self, channel: Channel, deliveries: DeliveryTable) -> None:
        limits = channel.limits
        self._channel = channel
        self._deliveries = deliveries
        self._assembler = BodyAssembler(
            bodies_max=limits.block_bodies_max,
            body_bytes_max=limits.block_body_bytes_max,
            body_s=limits.block_body_s,
        )
        self._served = ServedBodies(
            bodies_max=limits.served_bodies_max,
            bytes_max=limits.served_bodies_bytes_max,
            body_s=limits.served_body_s,
        )

    def receive(self, message: CoapMessage, peer: Peer, key: bytes, *, now: float) -> None:
        """Take a new request: hand it to the owner, or answer what needs no owner."""
        handle = ReplyHandle(peer=peer, message=message, key=key)
        options = message.options
        unrecognised = find_unrecognised_critical(options)
        if unrecognised is not None:
            self._refuse_option(handle, unrecognised, now=now)
        # Options ascend, so most requests are seen to have no Block option by their last one.
        elif options and options[-1][0] >= Option.BLOCK2 and self._take_block(handle, now=now):
            return
        else:
            self._channel.events.append(RequestReceived(peer, handle.message, handle))

    def respond(self, handle: ReplyHandle, *, code: int, options: Options, payload: bytes, now: float) -> None:
        """Send the response to a request, or its first or wanted block."""
        if handle.is_answered:
            raise ValueError(f"already answered: {handle.message}")
        if not is_response(code):
            raise EncodeError(f"a response has a code of class 2 to 5, not {code:#04x}")
        asked = handle.message.options
        if len(payload) > BLOCK_BYTES_MIN or (asked and asked[-1][0] >= Option.BLOCK2):
            code, options, payload = self._fit(handle, code=code, options=options, payload=payload, now=now)
        self._send(handle, code, options, payload, now=now)

    def send_empty_ack(self, handle: ReplyHandle) -> None:
        """Acknowledge a request whose response will come as a message of its own."""
        message = handle.message
        if message.type is not MessageType.CON or handle.is_acknowledged or handle.is_answered:
            return
        handle.is_acknowledged = True
        datagram = encode_empty(MessageType.ACK, message.message_id)
        self._channel.send(handle.peer, datagram)
        self._channel.answers.settle(handle.peer, handle.key, datagram)

    def _refuse_option(self, handle: ReplyHandle, number: int, *, now: float) -> None:
        if number in (Option.PROXY_URI, Option.PROXY_SCHEME):
            self._send(handle, Code.PROXYING_NOT_SUPPORTED, (), b"", now=now)  # RFC 7252 section 5.10.2
        elif handle.message.type is MessageType.CON:
            self._send(handle, Code.BAD_OPTION, (), b"", now=now)
        else:
            # RFC 7252 section 5.4.1: a non-confirmable message with such an option is rejected, here in silence.
            self._channel.counters.ignored += 1

    def _take_block(self, handle: ReplyHandle, *, now: float) -> bool:
        """Take a request with a Block option; True if it has been dealt with."""
        message = handle.message
        try:
            block1 = message.block1
            block2 = message.block2
        except DecodeError:
            self._send(handle, Code.BAD_REQUEST, (), b"", now=now)  # RFC 7959 section 2.2: szx 7
            return True
        if block1 is not None:
            return self._take_body_block(handle, block1, now=now)
        if block2 is None or block2.number == 0:
            return False
        served = self._served.find(transfer_key(handle.peer, message), now=now)
        if served is None:
            return False
        self.respond(handle, code=served.code, options=served.options, payload=served.payload, now=now)
        return True

    def _take_body_block(self, handle: ReplyHandle, block: Block, *, now: float) -> bool:
        message = handle.message
        outcome = self._assembler.receive(transfer_key(handle.peer, message), block, message.payload, now=now)
        if isinstance(outcome, bytes):
            handle.block1 = Block(number=block.number, more=False, szx=block.szx)
            handle.message = CoapMessage(
                type=message.type,
                code=message.code,
                message_id=message.message_id,
                token=message.token,
                options=message.options,
                payload=outcome,
            )
            return False
        options: Options = ((Option.BLOCK1, block.encode()),)
        if outcome is not Code.CONTINUE:
            self._channel.counters.bodies_refused += 1
        if outcome is Code.REQUEST_ENTITY_TOO_LARGE:
            # RFC 7959 section 4: Size1 says what would have been accepted.
            options = ((Option.SIZE1, encode_uint(self._channel.limits.block_body_bytes_max)),)
        self._send(handle, outcome, options, b"", now=now)
        return True

    def _fit(
        self, handle: ReplyHandle, *, code: int, options: Options, payload: bytes, now: float
    ) -> tuple[int, Options, bytes]:
        """Add what a block-wise request needs in its response, and cut a payload that is larger than a block."""
        asked = handle.message.block2  # an unreadable one was refused on arrival
        echo: Options = () if handle.block1 is None else ((Option.BLOCK1, handle.block1.encode()),)
        szx = (
            self._channel.parameters.block_szx if asked is None else min(asked.szx, self._channel.parameters.block_szx)
        )
        offset = 0 if asked is None else asked.offset
        if len(payload) <= 1 << (szx + 4) and (offset == 0 or not is_success(code)):
            return code, (*options, *echo), payload
        if offset >= len(payload):
            return Code.BAD_REQUEST, echo, b""
        tagged = _tag(options, payload)
        block, piece = slice_block(payload, number=offset >> (szx + 4), szx=szx)
        if block.more and is_success(code):
            key = transfer_key(handle.peer, handle.message)
            # A body that is being served already stays where it is: its time is not prolonged by every block.
            if offset == 0 or self._served.find(key, now=now) is None:
                self._served.keep(key, code=code, options=tagged, payload=payload, now=now)
        size: Options = ((Option.SIZE2, encode_uint(len(payload))),) if offset == 0 else ()
        return code, (*tagged, *echo, (Option.BLOCK2, block.encode()), *size), piece

    def _send(self, handle: ReplyHandle, code: int, options: Options, payload: bytes, *, now: float) -> None:
        message = handle.message
        peer = handle.peer
        if handle.is_acknowledged:
            handle.is_answered = True
            self._deliveries.send(
                peer,
                code=code,
                token=message.token,
                options=options,
                payload=payload,
                is_confirmable=True,
                delivery_id=None,
                now=now,
            )
            return
        if message.type is MessageType.CON:
            reply_type, message_id = MessageType.ACK, message.message_id
        elif (new_id := self._channel.new_message_id(peer, now=now)) is not None:
            reply_type, message_id = MessageType.NON, new_id
        else:
            handle.is_answered = True
            self._channel.counters.datagrams_dropped += 1
            return
        datagram = encode_fields(reply_type, code, message_id, message.token, options, payload)
        handle.is_answered = True
        self._channel.send(peer, datagram)
        self._channel.answers.settle(peer, handle.key, datagram)


def first_block(options: Options, payload: bytes, *, szx: int) -> tuple[Options, bytes]:
    """Cut a notification that is larger than a block; the peer fetches the rest with requests of its own."""
    if len(payload) <= 1 << (szx + 4):
        return options, payload
    block, piece = slice_block(payload, number=0, szx=szx)
    size = (Option.SIZE2, encode_uint(len(payload)))
    return (*_tag(options, payload), (Option.BLOCK2, block.encode()), size), piece


def _tag(options: Options, payload: bytes) -> Options:
    """Add an ETag, by which the peer sees that blocks are of one representation (RFC 7959 section 2.4)."""
    if any(number == Option.ETAG for number, _ in options):
        return options
    return (*options, (Option.ETAG, crc32(payload).to_bytes(4, "big")))
