"""What a connection tells its owner."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, TypeAlias

from commandpost.protocols.mqtt.packet_types import Version
from commandpost.protocols.mqtt.packets import SubscriptionEntry, Will
from commandpost.protocols.mqtt.properties import NO_PROPERTIES, Properties
from commandpost.protocols.mqtt.publish_handle import PublishHandle
from commandpost.protocols.mqtt.reason_codes import ReasonCode


class CloseReason(Enum):
    """Why a connection ended."""

    PEER_DISCONNECTED = "peer_disconnected"
    """The peer said so with a DISCONNECT."""
    PEER_LOST = "peer_lost"
    """The transport ended without one."""
    REFUSED = "refused"
    """Its CONNECT was refused, by the owner or by a rule."""
    LOCAL = "local"
    """The owner asked for it."""
    LOGIN_TIMED_OUT = "login_timed_out"
    """No whole CONNECT, or no answer of the owner, in time."""
    KEEPALIVE_TIMED_OUT = "keepalive_timed_out"
    """No whole packet within the keepalive time; for a client: no PINGRESP."""
    PACKET_TIMED_OUT = "packet_timed_out"
    """A packet was begun and not completed in time."""
    MALFORMED = "malformed"
    """Bytes that are no packet."""
    PROTOCOL_ERROR = "protocol_error"
    """A packet that may not come here, or not so."""
    LIMIT_EXCEEDED = "limit_exceeded"
    """A packet, or all that waits, is larger than allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectRequested:
    """A client wants in. Answer with `accept` or `refuse`; until then nothing more is read."""

    version: Version
    client_id: str
    clean_start: bool
    keepalive_s: int
    username: str | None
    password: bytes | None = field(repr=False)
    will: Will | None
    properties: Properties


class PublishReceived(NamedTuple):
    """A message of the peer. With QoS 1 and 2 its handle is given to `acknowledge` once the message is safe."""

    # A tuple, unlike the other records: it is made for every message, and a frozen dataclass would take a third of the
    # time of receiving one.

    handle: PublishHandle | None
    topic: str
    payload: bytes
    qos: int
    retain: bool
    is_duplicate: bool
    properties: Properties = NO_PROPERTIES


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeReceived:
    """A client wants messages. Answer with `grant`, one code for each entry."""

    packet_id: int
    entries: tuple[SubscriptionEntry, ...]
    properties: Properties


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsubscribeReceived:
    """A client wants some messages no more. Answer with `confirm_unsubscribe`, one code for each filter."""

    packet_id: int
    topic_filters: tuple[str, ...]
    properties: Properties


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDelivered:
    """The peer acknowledged a message of ours: PUBACK, or PUBCOMP."""

    tag: object


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRefused:
    """A message of ours will not arrive: the peer refused it, or it is too large for it."""

    tag: object
    reason: ReasonCode


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSent:
    """A QoS 0 message of ours with a tag is among the bytes to send: nobody will acknowledge it."""

    tag: object


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageExpired:
    """A message of ours waited until it was no longer wanted, and was not sent."""

    tag: object


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionClosed:
    """The end; exactly once, and the last event."""

    reason: CloseReason
    code: ReasonCode = ReasonCode.SUCCESS
    """The reason code the side that ended the connection gave, or would give in MQTT 5."""
    will: Will | None = None
    """A server's owner publishes it, after the delay in its properties."""
    is_clean: bool = False
    """The peer said goodbye."""
    session_expiry_s: int | None = None
    """What a DISCONNECT put in the place of the CONNECT's session expiry; None: that one holds."""
    detail: str = ""
    """For a log: which rule, or who, ended it; a server's is never empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """The server accepted a client of ours."""

    session_present: bool
    properties: Properties


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectRefused:
    """The server refused a client of ours; `ConnectionClosed` follows."""

    reason: ReasonCode
    properties: Properties


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeAnswered:
    """The server's codes for the filters of one SUBSCRIBE, in order."""

    packet_id: int
    reasons: tuple[ReasonCode, ...]
    properties: Properties


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsubscribeAnswered:
    """The server's codes for the filters of one UNSUBSCRIBE, in order; in 3.1.1 all are a success."""

    packet_id: int
    reasons: tuple[ReasonCode, ...]
    properties: Properties


MessageOutcome: TypeAlias = MessageDelivered | MessageRefused | MessageSent | MessageExpired
ServerEvent: TypeAlias = (
    ConnectRequested | PublishReceived | SubscribeReceived | UnsubscribeReceived | MessageOutcome | ConnectionClosed
)
ClientEvent: TypeAlias = (
    Connected
    | ConnectRefused
    | PublishReceived
    | SubscribeAnswered
    | UnsubscribeAnswered
    | MessageOutcome
    | ConnectionClosed
)
