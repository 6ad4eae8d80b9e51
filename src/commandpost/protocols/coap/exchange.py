"""Requests of ours: one exchange each, from the first datagram to its only end.

An exchange is found by message id (acknowledgements, resets) or by peer and token (responses). Retransmission,
separate responses and block-wise bodies happen inside it; its deadline is the budget for all of that together.

Source: RFC 7252 sections 4.2, 5.2, 5.3 and 5.4.1; RFC 7959.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from commandpost.protocols.coap.blockwise import BlockDownload, BlockUpload, Step, start_download
from commandpost.protocols.coap.channel import Channel, Confirmable
from commandpost.protocols.coap.codec import OPTIONS_MAX, encode_fields
from commandpost.protocols.coap.codes import Code, is_request
from commandpost.protocols.coap.events import EndReason, ExchangeAcknowledged, ExchangeEnded, ResponseReceived
from commandpost.protocols.coap.generations import GenerationTable
from commandpost.protocols.coap.message import TOKEN_BYTES_MAX, CoapMessage, MessageType, check_options
from commandpost.protocols.coap.options import (
    Option,
    encode_uint,
    find_unrecognised_critical,
    szx_for,
)
from commandpost.protocols.errors import DecodeError, EncodeError

if TYPE_CHECKING:
    from commandpost.protocols.coap.peer import Peer

# What a request for a later block of a response leaves out: it fetches, it does not observe or carry a body.
_NOT_IN_FETCH = frozenset(
    {Option.OBSERVE, Option.CONTENT_FORMAT, Option.BLOCK1, Option.BLOCK2, Option.SIZE1, Option.SIZE2}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to send; the engine adds message id, token and Block options."""

    code: int
    options: tuple[tuple[int, bytes], ...] = ()
    payload: bytes = b""

    def __post_init__(self) -> None:
        """Refuse what is not a request."""
        if not is_request(self.code):
            raise EncodeError(f"a request has a method code 1..31, not {self.code}")
        if len(self.options) > OPTIONS_MAX - 2:  # Block1 and Size1, or Block2, may be added
            raise EncodeError(f"a request has at most {OPTIONS_MAX - 2} options, not {len(self.options)}")
        check_options(self.options)


class Exchange(Confirmable):
    """One request of ours that awaits its end."""

    __slots__ = (
        "deadline",
        "download",
        "exchange_id",
        "fetch_token",
        "is_acknowledged",
        "may_retransmit",
        "request",
        "token",
        "upload",
    )

    def __init__(
        self,
        *,
        exchange_id: int,
        peer: Peer,
        token: bytes,
        deadline: float,
        request: Request | None,
        may_retransmit: bool,
    ) -> None:
        super().__init__(peer)
        self.exchange_id = exchange_id
        self.token = token
        self.deadline = deadline
        # None: adopted after a restart; what was asked is not known any more.
        self.request = request
        self.may_retransmit = may_retransmit
        self.is_acknowledged = False
        self.upload: BlockUpload | None = None
        self.download: BlockDownload | None = None
        # The token of requests for later blocks, where the exchange's own must not be used.
        self.fetch_token = token

    @property
    def has_observe(self) -> bool:
        """Tell whether the request registers or cancels an observation."""
        return self.request is not None and any(number == Option.OBSERVE for number, _ in self.request.options)


class ExchangeTable:
    """The open exchanges of one endpoint."""

    __slots__ = ("_by_id", "_by_token", "_channel", "_download_bytes", "_ended_tokens")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._by_id: dict[int, Exchange] = {}
        self._by_token: dict[tuple[Peer, bytes], Exchange] = {}
        self._ended_tokens: GenerationTable[tuple[Peer, bytes], None] = GenerationTable(
            entries_max=channel.limits.ended_tokens_max, lifetime_s=channel.parameters.exchange_lifetime_s
        )
        self._download_bytes = 0

    def __len__(self) -> int:
        """Count the open exchanges."""
        return len(self._by_id)

    def open(
        self,
        peer: Peer,
        request: Request,
        *,
        exchange_id: int,
        token: bytes,
        deadline: float,
        now: float,
        may_retransmit: bool,
        block_bytes: int | None,
    ) -> None:
        """Start an exchange and send its first datagram."""
        if len(token) > TOKEN_BYTES_MAX:
            raise EncodeError(f"a token has 0 to {TOKEN_BYTES_MAX} bytes, not {len(token)}")
        parameters = self._channel.parameters
        szx = parameters.block_szx if block_bytes is None else szx_for(block_bytes)
        threshold = parameters.block1_threshold_bytes if block_bytes is None else block_bytes
        exchange = Exchange(
            exchange_id=exchange_id,
            peer=peer,
            token=token,
            deadline=deadline,
            request=request,
            may_retransmit=may_retransmit,
        )
        if not self._admit(exchange):
            return
        if deadline <= now:
            self._end(exchange, EndReason.TIMED_OUT, now=now)
            return
        # What may leave once only goes whole: a transfer in blocks is several datagrams.
        if may_retransmit and len(request.payload) > threshold:
            exchange.upload = BlockUpload(request.payload, szx=szx)
        self._send_current(exchange, now=now)

    def adopt(self, peer: Peer, *, exchange_id: int, token: bytes, deadline: float) -> None:
        """Await the response to a request that was sent before a restart."""
        exchange = Exchange(
            exchange_id=exchange_id, peer=peer, token=token, deadline=deadline, request=None, may_retransmit=False
        )
        if self._admit(exchange):
            self._channel.deadlines.set(exchange, deadline)

    def open_rest(
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
        """Begin with the first block of a response that came by itself, and ask for the others."""
        exchange = Exchange(
            exchange_id=exchange_id, peer=peer, token=token, deadline=deadline, request=request, may_retransmit=True
        )
        if self._admit(exchange):
            # The whole is no notification any more: with Observe the token would be taken for an observation's.
            options = tuple([option for option in first.options if option[0] != Option.OBSERVE])
            self._start_download(exchange, replace(first, options=options), now=now)

    def cancel(self, exchange_id: int, *, now: float) -> None:
        """Forget an exchange without an event; its late answers are acknowledged and dropped."""
        exchange = self._by_id.get(exchange_id)
        if exchange is not None:
            self._close(exchange, now=now)

    def find(self, peer: Peer, token: bytes) -> Exchange | None:
        """Give the open exchange a response belongs to."""
        return self._by_token.get((peer, token))

    def has_ended(self, message: CoapMessage, peer: Peer) -> bool:
        """Tell whether a response belongs to an exchange that ended lately.

        One with an Observe option does not: it is a notification, whatever became of the exchange that asked.
        """
        return (peer, message.token) in self._ended_tokens and message.find_option(Option.OBSERVE) is None

    def on_acknowledged(self, exchange: Exchange) -> None:
        """Take an empty ACK: stop retransmitting, go on waiting."""
        exchange.retransmit_at = None
        self._arm(exchange)
        if not exchange.is_acknowledged:
            exchange.is_acknowledged = True
            self._channel.events.append(ExchangeAcknowledged(exchange.exchange_id))

    def on_reset(self, exchange: Exchange, *, now: float) -> None:
        """Take a reset."""
        self._end(exchange, EndReason.RESET, now=now)

    def on_deadline(self, exchange: Exchange, *, now: float) -> None:
        """Retransmit, or end."""
        if now >= exchange.deadline:
            self._end(exchange, EndReason.TIMED_OUT, now=now)
            return
        self._channel.retransmit(exchange, retransmissions_max=self._channel.parameters.max_retransmit, now=now)
        self._arm(exchange)

    def on_response(self, exchange: Exchange, message: CoapMessage, *, now: float) -> None:
        """Take a response with the exchange's token; whoever calls has acknowledged it."""
        if now >= exchange.deadline:
            # It came late; only the timer has not been looked at yet.
            self._channel.counters.late_responses += 1
            self._end(exchange, EndReason.TIMED_OUT, now=now)
        elif find_unrecognised_critical(message.options) is not None:
            # DEVIATION: RFC 7252 section 5.4.1 wants a CON response reset. It has been acknowledged, because devices
            # restart on any reset; and waiting on would only make the device do it again.
            self._end(exchange, EndReason.RESPONSE_REJECTED, now=now)
        elif exchange.download is not None:
            self._on_further_block(exchange, exchange.download, message, now=now)
        else:
            self._on_first_response(exchange, message, now=now)

    def _on_first_response(self, exchange: Exchange, message: CoapMessage, *, now: float) -> None:
        step = self._on_upload_response(exchange, message)
        if step is Step.CONTINUE:
            self._send_current(exchange, now=now)
        elif step is Step.FAILED:
            self._end(exchange, EndReason.BLOCKWISE_FAILED, now=now)
        elif step is Step.COMPLETE:
            self._start_download(exchange, message, now=now)

    def _on_upload_response(self, exchange: Exchange, message: CoapMessage) -> Step:
        if exchange.upload is not None:
            return exchange.upload.on_response(message)
        if message.code != Code.REQUEST_ENTITY_TOO_LARGE or exchange.request is None or not exchange.may_retransmit:
            return Step.COMPLETE
        # RFC 7959 section 2.9.3: sent whole, refused, and told what block size would do.
        try:
            hint = message.block1
        except DecodeError:
            return Step.COMPLETE
        if hint is None or hint.block_bytes >= len(exchange.request.payload):
            return Step.COMPLETE
        exchange.upload = BlockUpload(exchange.request.payload, szx=hint.szx)
        return Step.CONTINUE

    def _start_download(self, exchange: Exchange, message: CoapMessage, *, now: float) -> None:
        limits = self._channel.limits
        started = start_download(message, body_bytes_max=limits.response_body_bytes_max)
        if started is Step.COMPLETE:
            self._complete(exchange, message, now=now)
            return
        if (
            isinstance(started, Step)
            or exchange.request is None
            or self._download_bytes + started.body_bytes > limits.response_bodies_bytes_max
        ):
            self._end(exchange, EndReason.BLOCKWISE_FAILED, now=now)
            return
        self._download_bytes += started.body_bytes
        exchange.download = started
        if exchange.has_observe:
            # RFC 7959 section 3.4: the token of an observation must not be used for its further blocks.
            exchange.fetch_token = self._channel.random.getrandbits(8 * TOKEN_BYTES_MAX).to_bytes(
                TOKEN_BYTES_MAX, "big"
            )
            self._by_token[exchange.peer, exchange.fetch_token] = exchange
            self._by_token.pop((exchange.peer, exchange.token), None)
        self._send_current(exchange, now=now)

    def _on_further_block(
        self, exchange: Exchange, download: BlockDownload, message: CoapMessage, *, now: float
    ) -> None:
        before = download.body_bytes
        step = download.on_response(message)
        self._download_bytes += download.body_bytes - before
        if step is Step.FAILED or self._download_bytes > self._channel.limits.response_bodies_bytes_max:
            self._end(exchange, EndReason.BLOCKWISE_FAILED, now=now)
        elif step is Step.COMPLETE:
            self._complete(exchange, download.whole(), now=now)
        elif step is Step.CONTINUE:
            self._send_current(exchange, now=now)

    def _send_current(self, exchange: Exchange, *, now: float) -> None:
        """Send the request, or the one for the block whose turn it is, under a new message id."""
        request = exchange.request
        assert request is not None, "an adopted exchange sends nothing"
        self._channel.close(exchange)
        message_id = self._channel.new_message_id(exchange.peer, now=now)
        if message_id is None:
            self._end(exchange, EndReason.OVERFLOW, now=now)
            return
        code, options, payload = _current_fields(exchange, request)
        datagram = encode_fields(MessageType.CON, code, message_id, exchange.fetch_token, options, payload)
        if not self._channel.begin(exchange, message_id=message_id, datagram=datagram, now=now):
            self._end(exchange, EndReason.OVERFLOW, now=now)
            return
        if not exchange.may_retransmit or self._channel.parameters.max_retransmit == 0:
            exchange.retransmit_at = None
        self._arm(exchange)

    def _arm(self, exchange: Exchange) -> None:
        retransmit_at = exchange.retransmit_at
        # A retransmission at the deadline could not be answered in time.
        wake_at = exchange.deadline if retransmit_at is None else min(retransmit_at, exchange.deadline)
        self._channel.deadlines.set(exchange, wake_at)

    def _admit(self, exchange: Exchange) -> bool:
        if exchange.exchange_id in self._by_id:
            raise ValueError(f"exchange {exchange.exchange_id} is open already")
        if (exchange.peer, exchange.token) in self._by_token:
            raise ValueError(f"token {exchange.token.hex()} is in use towards {exchange.peer!r}")
        if len(self._by_id) >= self._channel.limits.open_exchanges_max:
            self._channel.events.append(ExchangeEnded(exchange.exchange_id, EndReason.OVERFLOW))
            return False
        self._by_id[exchange.exchange_id] = exchange
        self._by_token[exchange.peer, exchange.token] = exchange
        self._ended_tokens.discard((exchange.peer, exchange.token))
        return True

    def _complete(self, exchange: Exchange, message: CoapMessage, *, now: float) -> None:
        self._close(exchange, now=now, is_observing=message.find_option(Option.OBSERVE) is not None)
        self._channel.events.append(ResponseReceived(exchange.exchange_id, exchange.peer, message))

    def _end(self, exchange: Exchange, reason: EndReason, *, now: float) -> None:
        self._close(exchange, now=now)
        self._channel.events.append(ExchangeEnded(exchange.exchange_id, reason))

    def _close(self, exchange: Exchange, *, now: float, is_observing: bool = False) -> None:
        self._channel.close(exchange)
        del self._by_id[exchange.exchange_id]
        if exchange.download is not None:
            self._download_bytes -= exchange.download.body_bytes
        for token in {exchange.token: None, exchange.fetch_token: None}:
            self._by_token.pop((exchange.peer, token), None)
            # The token of an observation lives on: what comes with it is for the owner.
            if not (is_observing and token == exchange.token):
                self._ended_tokens.put((exchange.peer, token), None, now=now)


def _current_fields(exchange: Exchange, request: Request) -> tuple[int, tuple[tuple[int, bytes], ...], bytes]:
    if exchange.download is not None:
        kept = tuple([option for option in request.options if option[0] not in _NOT_IN_FETCH])
        return Code.GET, (*kept, (Option.BLOCK2, exchange.download.wanted().encode())), b""
    if exchange.upload is not None:
        block, piece = exchange.upload.current()
        options = (*request.options, (int(Option.BLOCK1), block.encode()))
        if exchange.upload.is_first:
            options = (*options, (int(Option.SIZE1), encode_uint(exchange.upload.body_bytes)))
        return request.code, options, piece
    return request.code, request.options, request.payload
