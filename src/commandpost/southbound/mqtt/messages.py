"""Topic messages as the engine has them and as the house keeps them, and back.

Source: OASIS MQTT 5.0 section 3.3.2.3: which properties a server passes on unaltered.
"""

from dataclasses import dataclass, replace
from math import ceil
from typing import Final

from commandpost.domain.ids import AttemptId
from commandpost.domain.instant import SECOND_MS, Instant, after
from commandpost.domain.ports import Clock
from commandpost.domain.topic import TopicMessage, TopicSubscription
from commandpost.protocols.mqtt.packet_types import PacketType
from commandpost.protocols.mqtt.packets import SubscriptionOptions
from commandpost.protocols.mqtt.properties import NO_PROPERTIES, Properties, decode_properties, encode_properties
from commandpost.protocols.mqtt.session import OutboundMessage
from commandpost.protocols.mqtt.wire import Cursor

_QOS_MASK: Final = 0b11
_NO_LOCAL: Final = 0b100
_RETAIN_AS_PUBLISHED: Final = 0b1000
_RETAIN_HANDLING_SHIFT: Final = 4


@dataclass(frozen=True, slots=True)
class QueuedTag:
    """Marks a message that lies on disk until its device has acknowledged it."""

    number: int


@dataclass(frozen=True, slots=True)
class AttemptTag:
    """Marks a `/cmds` payload on its way."""

    attempt_id: AttemptId


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribed:
    """How one device has subscribed one filter."""

    options: SubscriptionOptions
    identifier: int | None = None


def to_topic_message(
    *, topic: str, payload: bytes, qos: int, retain: bool, properties: Properties, now: Instant
) -> TopicMessage:
    """Give a message as it is kept: the properties that are passed on, and when it is no longer wanted."""
    expiry_s = properties.message_expiry_s
    return TopicMessage(
        topic=topic,
        payload=payload,
        qos=qos,
        is_retained=retain,
        properties=b"" if properties is NO_PROPERTIES else encode_properties(_passed_on(properties)),
        expires_at=None if expiry_s is None else after(now, duration_ms=expiry_s * SECOND_MS),
    )


class OutgoingMessage:
    """A message on its way to any number of devices: what is alike for all of them is read and checked once."""

    __slots__ = ("_copies", "_expires_at", "_properties", "message")

    def __init__(self, message: TopicMessage, clock: Clock) -> None:
        self.message = message
        self._copies: dict[tuple[int, bool, tuple[int, ...]], OutboundMessage] = {}
        raw = message.properties
        self._properties = decode_properties(Cursor(raw), PacketType.PUBLISH) if len(raw) > 1 else NO_PROPERTIES
        self._expires_at: float | None = None
        if message.expires_at is not None:
            left_s = (message.expires_at - clock.wall_ms()) / SECOND_MS
            self._expires_at = clock.monotonic() + left_s
            # Then an engine need not put it in for each device, unless the message has to wait.
            self._properties = replace(self._properties, message_expiry_s=max(ceil(left_s), 0))

    def copy(self, *, qos: int, retain: bool, identifiers: tuple[int, ...], number: int | None) -> OutboundMessage:
        """Give the message as the engine of one device takes it.

        Args:
            number: under which it lies on disk for this device; None: nowhere.
        """
        kind = qos, retain, identifiers
        if number is None and (known := self._copies.get(kind)) is not None:
            return known
        message, properties = self.message, self._properties
        copy = OutboundMessage(
            topic=message.topic,
            payload=message.payload,
            qos=qos,
            retain=retain,
            properties=replace(properties, subscription_identifiers=identifiers) if identifiers else properties,
            tag=None if number is None else QueuedTag(number),
            expires_at=self._expires_at,
        )
        if number is None:
            self._copies[kind] = copy
        return copy


def _passed_on(properties: Properties) -> Properties:
    return Properties(
        payload_format_indicator=properties.payload_format_indicator,
        content_type=properties.content_type,
        response_topic=properties.response_topic,
        correlation_data=properties.correlation_data,
        user_properties=properties.user_properties,
    )


def to_kept(topic_filter: str, subscribed: Subscribed) -> TopicSubscription:
    """Give a subscription as it is kept: the options byte of MQTT 5.0 section 3.8.3.1."""
    options = subscribed.options
    byte = options.qos | options.retain_handling << _RETAIN_HANDLING_SHIFT
    byte |= _NO_LOCAL if options.no_local else 0
    byte |= _RETAIN_AS_PUBLISHED if options.retain_as_published else 0
    return TopicSubscription(topic_filter=topic_filter, options=byte, identifier=subscribed.identifier)


def from_kept(subscription: TopicSubscription) -> Subscribed:
    """Read a subscription that was kept."""
    byte = subscription.options
    options = SubscriptionOptions(
        qos=byte & _QOS_MASK,
        no_local=bool(byte & _NO_LOCAL),
        retain_as_published=bool(byte & _RETAIN_AS_PUBLISHED),
        retain_handling=byte >> _RETAIN_HANDLING_SHIFT,
    )
    return Subscribed(options=options, identifier=subscription.identifier)
