"""What an endpoint tells its owner, and the handles by which the owner answers.

Handles are opaque: keep them, give them back once.
"""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from commandpost.protocols.coap.blockwise import is_partial
from commandpost.protocols.coap.message import CoapMessage
from commandpost.protocols.coap.options import Block
from commandpost.protocols.coap.peer import Peer


class ReplyHandle:
    """One request that wants a response."""

    __slots__ = ("block1", "is_acknowledged", "is_answered", "key", "message", "peer")

    def __init__(self, *, peer: Peer, message: CoapMessage, key: bytes, block1: Block | None = None) -> None:
        self.peer = peer
        self.message = message
        self.key = key
        self.block1 = block1
        self.is_acknowledged = False
        self.is_answered = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseHandle:
    """One response nobody asked for, which may be acknowledged or reset."""

    peer: Peer
    key: bytes
    message_id: int
    is_confirmable: bool


class EndReason(Enum):
    """Why an exchange ended without a response."""

    TIMED_OUT = "timed_out"
    """No usable response before the deadline."""
    RESET = "reset"
    """The peer sent RST for the request."""
    OVERFLOW = "overflow"
    """A limit was reached before anything was sent; or, in a block-wise transfer, before the next block was."""
    BLOCKWISE_FAILED = "blockwise_failed"
    """A response came in blocks that do not fit together, or is too large."""
    RESPONSE_REJECTED = "response_rejected"
    """A response came with a critical option the engine does not know (RFC 7252 section 5.4.1)."""


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A new request, never a duplicate; its body is whole. Answer with `respond`."""

    peer: Peer
    message: CoapMessage
    reply_to: ReplyHandle


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """The end of an exchange: its response. A body in blocks has been put together."""

    exchange_id: int
    peer: Peer
    message: CoapMessage

    @property
    def code(self) -> int:
        """Give the response code."""
        return self.message.code

    @property
    def options(self) -> tuple[tuple[int, bytes], ...]:
        """Give the options, of the first block if there were several."""
        return self.message.options

    @property
    def payload(self) -> bytes:
        """Give the whole payload."""
        return self.message.payload


@dataclass(frozen=True, slots=True)
class ExchangeEnded:
    """The end of an exchange: no response."""

    exchange_id: int
    reason: EndReason


@dataclass(frozen=True, slots=True)
class ExchangeAcknowledged:
    """The peer has the request and will answer later. At most once an exchange, and not its end."""

    exchange_id: int


@dataclass(frozen=True, slots=True)
class UnmatchedResponse:
    """A CON or NON response that belongs to no exchange: a notification, or an unknown token.

    The owner calls `acknowledge`, `reset` or `decline` with the handle, or nothing: then repetitions stay duplicates.
    """

    peer: Peer
    message: CoapMessage
    handle: ResponseHandle

    @property
    def is_partial(self) -> bool:
        """Tell whether this is only one block; the owner fetches the rest with `fetch_rest`."""
        return is_partial(self.message)


@dataclass(frozen=True, slots=True)
class MessageDelivered:
    """The peer acknowledged a confirmable message sent with `send_message`."""

    delivery_id: int


@dataclass(frozen=True, slots=True)
class MessageReset:
    """The peer refused a message sent with `send_message`, confirmable or not."""

    delivery_id: int


@dataclass(frozen=True, slots=True)
class MessageUndelivered:
    """A confirmable message was never acknowledged, or could not be sent for a limit."""

    delivery_id: int


Event: TypeAlias = (
    RequestReceived
    | ResponseReceived
    | ExchangeEnded
    | ExchangeAcknowledged
    | UnmatchedResponse
    | MessageDelivered
    | MessageReset
    | MessageUndelivered
)
