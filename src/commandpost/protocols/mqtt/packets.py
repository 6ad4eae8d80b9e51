"""The records of MQTT's control packets, for both versions.

Bytes are in `codec`. What can be constructed can be encoded; what only MQTT 5 has (reason codes, properties) is left
out on a 3.1.1 connection.
Source: MQTT 5.0 and MQTT 3.1.1, chapter 3.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from commandpost.protocols.errors import DecodeError, EncodeError
from commandpost.protocols.mqtt.packet_types import PacketType, Version
from commandpost.protocols.mqtt.properties import NO_PROPERTIES, Properties, check_properties
from commandpost.protocols.mqtt.reason_codes import (
    AUTH_REASONS,
    CONNACK_REASONS,
    DISCONNECT_REASONS,
    PUBLISH_REASONS,
    RELEASE_REASONS,
    SUBACK_REASONS,
    UNSUBACK_REASONS,
    ReasonCode,
)
from commandpost.protocols.mqtt.topics import check_topic_filter, check_topic_name
from commandpost.protocols.mqtt.wire import check_text, encode_binary


def _check_packet_id(packet_id: int) -> None:
    if not 1 <= packet_id <= 0xFFFF:
        raise EncodeError(f"a packet id is 1 to 65535, not {packet_id}")


def _check_reason(reason: ReasonCode, allowed: frozenset[ReasonCode], packet: str) -> None:
    if reason not in allowed:
        raise EncodeError(f"{packet} has no reason {reason.name}")


def _check_topic(topic: str) -> None:
    try:
        check_topic_name(topic)
    except DecodeError as error:
        raise EncodeError(str(error.args[0])) from error


def _check_filter(topic_filter: str) -> None:
    try:
        check_topic_filter(topic_filter)
    except DecodeError as error:
        raise EncodeError(str(error.args[0])) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """What the server publishes for a client that goes without saying so."""

    topic: str
    payload: bytes = field(repr=False)
    qos: int = 0
    retain: bool = False
    properties: Properties = NO_PROPERTIES

    def __post_init__(self) -> None:
        """Refuse what could not be encoded."""
        _check_topic(self.topic)
        encode_binary(self.payload)
        if not 0 <= self.qos <= 2:
            raise EncodeError(f"QoS is 0, 1 or 2, not {self.qos}")
        check_properties(self.properties, PacketType.WILL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """A client's first packet."""

    version: Version
    client_id: str
    clean_start: bool = True  # 3.1.1: Clean Session
    keepalive_s: int = 0
    will: Will | None = None
    username: str | None = None
    password: bytes | None = field(default=None, repr=False)
    properties: Properties = NO_PROPERTIES

    def __post_init__(self) -> None:
        """Refuse what could not be encoded."""
        check_text(self.client_id, name="client id")
        if self.username is not None:
            check_text(self.username, name="user name")
        elif self.password is not None and self.version is Version.V3_1_1:
            raise EncodeError("MQTT 3.1.1 has no password without a user name")  # section 3.1.2.9
        if self.password is not None:
            encode_binary(self.password)
        if not 0 <= self.keepalive_s <= 0xFFFF:
            raise EncodeError(f"keepalive is 0 to 65535 s, not {self.keepalive_s}")
        check_properties(self.properties, PacketType.CONNECT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connack:
    """The server's answer to a CONNECT."""

    reason: ReasonCode = ReasonCode.SUCCESS
    session_present: bool = False
    properties: Properties = NO_PROPERTIES

    def __post_init__(self) -> None:
        """Refuse what could not be encoded."""
        _check_reason(self.reason, CONNACK_REASONS, "CONNACK")
        if self.session_present and self.reason:
            raise EncodeError("a refused CONNECT has no session")  # MQTT 5.0 section 3.2.2.1.1
        check_properties(self.properties, PacketType.CONNACK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """A message, either way. The topic may be empty only where MQTT 5 gives an alias in its place."""

    topic: str
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    is_duplicate: bool = False
    packet_id: int | None = None
    properties: Properties = NO_PROPERTIES

    def __post_init__(self) -> None:
        """Refuse what could not be encoded."""
        if self.topic or self.properties.topic_alias is None:
            _check_topic(self.topic)
        if self.qos == 0:
            if self.packet_id is not None or self.is_duplicate:
                raise EncodeError("with QoS 0 there is no packet id and no duplicate")
        elif self.packet_id is None or not 1 <= self.qos <= 2:
            raise EncodeError(f"QoS {self.qos} with packet id {self.packet_id} is no PUBLISH")
        else:
            _check_packet_id(self.packet_id)
        check_properties(self.properties, PacketType.PUBLISH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Puback:
    """The end of a QoS 1 message."""

    packet_id: int
    reason: ReasonCode = ReasonCode.SUCCESS
    properties: Properties = NO_PROPERTIES

    def __post_init__(self) -> None:
        """Refuse what could not be encoded."""
        _check_packet_id(self.packet_id)
        _check_reason(self.reason, PUBLISH_REASONS, "PUBACK")
        check_properties(self.properties, PacketType.PUBACK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pubrec:
    """A QoS 2 message has arrived."""

    packet_id: int
    reason: ReasonCode = ReasonCode.SUCCESS
    properties: Properties = NO_PROPERTIES

    def __post_init__(self) -> None:
        """Refuse what could not be encoded."""
        _check_packet_id(self.packet_id)
        _check_reason(self.reason, PUBLISH_REASONS, "PUBREC")
        check_properties(self.properties, PacketType.PUBREC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pubrel:
    """The sender of a QoS 2 message knows that it has arrived."""

    packet_id: int
    reason: ReasonCode = ReasonCode.SUCCESS
    properties: Properties = NO_PROPERTIES

    def __post_init__(self) -> None:
        """Refuse what could not be encoded."""
        _check_packet_id(self.packet_id)
        _check_reason(self.reason, RELEASE_REASONS, "PUBREL")
        check_properties(self.properties, PacketType.PUBREL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pubcomp:
    """The end of a QoS 2 message."""

    packet_id: int
    reason: ReasonCode = ReasonCode.SUCCESS
    properties: Properties = NO_PROPERTIES

    def __post_init__(self) -> None:
        """Refuse what could not be encoded."""
        _check_packet_id(self.packet_id)
        _check_reason(self.reason, RELEASE_REASONS, "PUBCOMP")
        check_properties(self.properties, PacketType.PUBCOMP)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionOptions:
    """How a subscriber wants its messages; all but the QoS is MQTT 5 (section 3.8.3.1)."""

    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0
    """0: send retained messages; 1: only for a new subscription; 2: none."""

    def __post_init__(self) -> None:
        """Refuse what could not be encoded."""
        if not 0 <= self.qos <= 2 or not 0 <= self.retain_handling <= 2:
            raise EncodeError(f"QoS and retain handling are 0, 1 or 2: {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionEntry:
    """One filter of a SUBSCRIBE; see `topics.split_shared` for a shared subscription."""

    topic_filter: str
    options: SubscriptionOptions

    def __post_init__(self) -> None:
        """Refuse what could not be encoded."""
        _check_filter(self.topic_filter)
        if self.options.no_local and self.topic_filter.startswith("$share/"):
            raise EncodeError("a shared subscription has no No Local option")  # MQTT 5.0 section 3.8.3.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribe:
    """A client wants messages."""

    packet_id: int
    entries: tuple[SubscriptionEntry, ...]
    properties: Properties = NO_PROPERTIES

    def __post_init__(self) -> None:
        """Refuse what could not be encoded."""
        _check_packet_id(self.packet_id)
        if not self.entries:
            raise EncodeError("a SUBSCRIBE has at least one filter")
        check_properties(self.properties, PacketType.SUBSCRIBE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suback:
    """The answer to a SUBSCRIBE: one code for each filter, in order."""

    packet_id: int
    reasons: tuple[ReasonCode, ...]
    properties: Properties = NO_PROPERTIES

    def __post_init__(self) -> None:
        """Refuse what could not be encoded."""
        _check_packet_id(self.packet_id)
        if not self.reasons:
            raise EncodeError("a SUBACK has at least one reason")
        for reason in self.reasons:
            _check_reason(reason, SUBACK_REASONS, "SUBACK")
        check_properties(self.properties, PacketType.SUBACK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribe:
    """A client wants some messages no more."""

    packet_id: int
    topic_filters: tuple[str, ...]
    properties: Properties = NO_PROPERTIES

    def __post_init__(self) -> None:
        """Refuse what could not be encoded."""
        _check_packet_id(self.packet_id)
        if not self.topic_filters:
            raise EncodeError("an UNSUBSCRIBE has at least one filter")
        for topic_filter in self.topic_filters:
            _check_filter(topic_filter)
        check_properties(self.properties, PacketType.UNSUBSCRIBE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsuback:
    """The answer to an UNSUBSCRIBE; only MQTT 5 has a code for each filter."""

    packet_id: int
    reasons: tuple[ReasonCode, ...] = ()
    properties: Properties = NO_PROPERTIES

    def __post_init__(self) -> None:
        """Refuse what could not be encoded."""
        _check_packet_id(self.packet_id)
        for reason in self.reasons:
            _check_reason(reason, UNSUBACK_REASONS, "UNSUBACK")
        check_properties(self.properties, PacketType.UNSUBACK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pingreq:
    """A client with nothing to say is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pingresp:
    """So is the server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnect:
    """The last packet of a connection; in 3.1.1 only a client's, and without a reason."""

    reason: ReasonCode = ReasonCode.SUCCESS
    properties: Properties = NO_PROPERTIES

    def __post_init__(self) -> None:
        """Refuse what could not be encoded."""
        _check_reason(self.reason, DISCONNECT_REASONS, "DISCONNECT")
        check_properties(self.properties, PacketType.DISCONNECT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """One step of an enhanced authentication, MQTT 5 only."""

    reason: ReasonCode = ReasonCode.SUCCESS
    properties: Properties = NO_PROPERTIES

    def __post_init__(self) -> None:
        """Refuse what could not be encoded."""
        _check_reason(self.reason, AUTH_REASONS, "AUTH")
        check_properties(self.properties, PacketType.AUTH)


Acknowledgement: TypeAlias = Puback | Pubrec | Pubrel | Pubcomp
Packet: TypeAlias = (
    Connect
    | Connack
    | Publish
    | Acknowledgement
    | Subscribe
    | Suback
    | Unsubscribe
    | Unsuback
    | Pingreq
    | Pingresp
    | Disconnect
    | Auth
)
