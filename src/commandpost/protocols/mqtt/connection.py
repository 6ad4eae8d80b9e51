"""What both ends of an MQTT connection have in common: the stream, the messages either way, the end.

`server_connection` and `client_connection` add what only one end does.
Source: MQTT 3.1.1 and MQTT 5.0, chapter 4.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import TYPE_CHECKING, Generic, TypeVar

from commandpost.protocols.mqtt.channel import Channel
from commandpost.protocols.mqtt.errors import PacketError
from commandpost.protocols.mqtt.events import CloseReason, PublishReceived
from commandpost.protocols.mqtt.inbound import InboundFlow
from commandpost.protocols.mqtt.outbound import OutboundFlow
from commandpost.protocols.mqtt.packet_reader import FrameReader
from commandpost.protocols.mqtt.packet_types import PacketType, Version
from commandpost.protocols.mqtt.properties import NO_PROPERTIES, Properties
from commandpost.protocols.mqtt.publish_codec import read_acknowledgement, read_publish
from commandpost.protocols.mqtt.publish_handle import PublishHandle
from commandpost.protocols.mqtt.reason_codes import PUBLISH_REASONS, RELEASE_REASONS, ReasonCode
from commandpost.protocols.mqtt.topic_aliases import TopicAliases

if TYPE_CHECKING:
    from commandpost.protocols.mqtt.limits import MqttLimits
    from commandpost.protocols.mqtt.session import MqttSession, OutboundMessage

RECEIVE_MAXIMUM_DEFAULT = 0xFFFF  # MQTT 5.0 section 3.1.2.11.3
# Packets without an event that one call takes: a read of 256 KiB may hold 130,000 PINGREQ, a tenth of a second.
SILENT_PACKETS_MAX = 1_000

_PUBACK_FIRST = PacketType.PUBACK << 4
_PUBREC_FIRST = PacketType.PUBREC << 4
_PUBREL_FIRST = PacketType.PUBREL << 4 | 2  # MQTT 3.1.1 table 2.2
_PUBCOMP_FIRST = PacketType.PUBCOMP << 4
ACKNOWLEDGEMENT_FIRSTS = frozenset({_PUBACK_FIRST, _PUBREC_FIRST, _PUBREL_FIRST, _PUBCOMP_FIRST})
"""The first bytes of the packets `_receive_acknowledgement` takes."""

_CLOSE_REASONS = {
    ReasonCode.MALFORMED_PACKET: CloseReason.MALFORMED,
    ReasonCode.PACKET_TOO_LARGE: CloseReason.LIMIT_EXCEEDED,
    ReasonCode.QUOTA_EXCEEDED: CloseReason.LIMIT_EXCEEDED,
    ReasonCode.RECEIVE_MAXIMUM_EXCEEDED: CloseReason.LIMIT_EXCEEDED,
}

EventType = TypeVar("EventType")


class ConnectionState(Enum):
    """How far a connection has come."""

    AWAITING_CONNECT = "awaiting_connect"
    """Server: nothing but a CONNECT is read. Client: `connect` is to be called."""
    AWAITING_DECISION = "awaiting_decision"
    """The CONNECT has not been answered. Server: what comes meanwhile is held as bytes."""
    OPEN = "open"
    """The CONNECT was accepted."""
    CLOSED = "closed"
    """Nothing is read or sent any more."""


_CLOSED = ConnectionState.CLOSED  # a name of its own, for the hot path


class MqttConnection(ABC, Generic[EventType]):
    """One end of a connection.

    Feed it what comes and, when `next_deadline` has come, the time; after each call, an answer of the owner included,
    drain `next_event` and `bytes_to_send`. Packets are decoded as events are asked for, so nothing piles up. No peer
    can make a method raise; only wrong use by the owner does.
    """

    __slots__ = (
        "_aliases",
        "_channel",
        "_frames",
        "_has_more",
        "_inbound",
        "_last_packet_at",
        "_outbound",
        "_packet_begun_at",
        "_session",
        "_state",
        "_was_paused",
    )

    def __init__(self, *, limits: MqttLimits, now: float, body_bytes_max: int) -> None:
        self._channel: Channel[EventType | PublishReceived] = Channel(limits=limits, now=now)
        self._frames = FrameReader(body_bytes_max=body_bytes_max)
        self._state = ConnectionState.AWAITING_CONNECT
        self._session: MqttSession | None = None
        self._inbound: InboundFlow | None = None
        self._outbound: OutboundFlow | None = None
        self._aliases: TopicAliases | None = None
        self._last_packet_at = now
        self._packet_begun_at: float | None = None
        self._has_more = False  # packets may be there that were not decoded yet
        self._was_paused = False  # the owner kept the peer waiting since the deadline was looked at

    @property
    def state(self) -> ConnectionState:
        """Tell how far the connection has come."""
        return self._state

    @property
    def version(self) -> Version:
        """Give the version of the CONNECT."""
        return self._channel.version

    @property
    def session(self) -> MqttSession | None:
        """Give the session, once the CONNECT was accepted."""
        return self._session

    @property
    @abstractmethod
    def is_paused(self) -> bool:
        """Tell whether the owner should stop reading, because too much waits for its answers."""

    @property
    def buffered_bytes(self) -> int:
        """Count the bytes held: what is not decoded, and what was decoded of the same read while that is not over."""
        return len(self._frames.held)

    @property
    def sending_bytes(self) -> int:
        """Count the bytes `bytes_to_send` would give."""
        return self._channel.chunk_bytes

    def receive_bytes(self, data: bytes, *, now: float) -> None:
        """Take what came; whatever it is, nothing is raised."""
        channel = self._channel
        channel.now = now
        if self._state is _CLOSED:
            return
        frames = self._frames
        frames.feed(data)
        if len(frames.held) > channel.limits.held_before_login_bytes_max and self.is_paused:
            self._check_held()

    def next_event(self) -> EventType | PublishReceived | None:
        """Give the next event, decoding as far as it takes; None if there is no more for now."""
        channel, frames = self._channel, self._frames
        events = channel.events
        silent_packets = 0
        while silent_packets < SILENT_PACKETS_MAX:
            if events:
                return events.pop(0)
            if channel.refusal is not None:
                self._end_refused(channel.refusal)
                channel.refusal = None
                continue
            if not frames.held:
                return None
            if self.is_paused:
                self._was_paused = True
                return None
            try:
                body = frames.next_body()
                if body is None:
                    self._note_incomplete()
                    return None
                self._last_packet_at = channel.now
                self._packet_begun_at = None
                first = frames.first
                if 0x30 <= first <= 0x3F and self._inbound is not None:
                    event = self._receive_publish(first & 0x0F, body, self._inbound)
                    if event is not None:
                        return event
                else:
                    self._receive_packet(first, body)
                silent_packets += 1
            except PacketError as error:
                self._fail(error)
        self._has_more = True
        return None

    def bytes_to_send(self) -> list[bytes]:
        """Give the packets to send, in order, and forget them."""
        return self._channel.take_chunks()

    @abstractmethod
    def next_deadline(self) -> float | None:
        """Give the time at which `handle_deadline` wants to be called; None if nothing waits."""

    @abstractmethod
    def handle_deadline(self, *, now: float) -> None:
        """Do what is due."""

    @abstractmethod
    def connection_lost(self, detail: str = "the stream has ended") -> None:
        """Note that the transport has ended; `detail` says how, for a log."""

    def acknowledge(
        self, handle: PublishHandle, reason: ReasonCode = ReasonCode.SUCCESS, *, reason_string: str | None = None
    ) -> None:
        """Tell the peer that its message is safe, or refused; acknowledgements leave in the order of the messages.

        Every handle is acknowledged in the end, also when the connection has closed: only so does the session know what
        became of a QoS 2 message. If its sender has come back meanwhile, the acknowledgement leaves on the new
        connection of the session. A 3.1.1 peer cannot be told of a refusal: its connection ends.
        """
        if handle.is_acknowledged or reason not in PUBLISH_REASONS:
            raise ValueError(f"a message is acknowledged once, and with a reason of PUBACK, not {reason.name}")
        handle.flow.acknowledge(handle, reason, reason_string)

    def publish(self, message: OutboundMessage, *, now: float) -> bool:
        """Send a message, after those that wait; False, and nothing changed, if too many wait or it is not open."""
        if self._state is not ConnectionState.OPEN or self._outbound is None:
            return False
        self._channel.now = now
        return self._outbound.publish(message)

    def settle(self, tag: object, *, now: float) -> None:
        """Note that the peer has a QoS 1 message of ours, of which it has shown it otherwise than by its PUBACK."""
        if self._state is ConnectionState.OPEN and self._outbound is not None:
            self._channel.now = now
            self._outbound.settle(tag)

    # What comes.

    @abstractmethod
    def _receive_packet(self, first: int, body: bytes) -> None:
        """Take a packet that is no PUBLISH of an open connection."""

    @abstractmethod
    def _fail(self, error: PacketError) -> None:
        """End the connection for what the peer sent."""

    @abstractmethod
    def _end_refused(self, reason: ReasonCode) -> None:
        """End the connection since the owner refused a message of a 3.1.1 peer."""

    def _check_held(self) -> None:
        limits, held = self._channel.limits, len(self._frames.held)
        is_open = self._state is ConnectionState.OPEN
        if held > (limits.held_bytes_max if is_open else limits.held_before_login_bytes_max):
            self._fail(PacketError("too much came while answers were awaited", reason=ReasonCode.QUOTA_EXCEEDED))

    def _note_incomplete(self) -> None:
        if self._packet_begun_at is None and self._frames.held:
            self._packet_begun_at = self._channel.now

    def _receive_publish(self, flags: int, body: bytes, inbound: InboundFlow) -> PublishReceived | None:
        topic, packet_id, properties, payload = read_publish(flags, body, self._channel.version)
        if properties is not NO_PROPERTIES:
            topic, properties = self._resolve_properties(topic, properties)
        handle = None
        qos = flags >> 1 & 3
        if qos:
            handle = inbound.receive(packet_id, qos, len(payload))
            if handle is None:
                return None
        return PublishReceived(handle, topic, payload, qos, flags & 1 == 1, flags & 8 == 8, properties)

    def _resolve_properties(self, topic: str, properties: Properties) -> tuple[str, Properties]:
        """Put the topic in the place of its alias."""
        assert self._aliases is not None  # properties are only read in MQTT 5
        return self._aliases.resolve(topic, properties)

    def _receive_acknowledgement(self, first: int, body: bytes) -> None:
        inbound, outbound = self._inbound, self._outbound
        assert inbound is not None and outbound is not None  # there is one from the moment the connection is open
        kind, version = PacketType(first >> 4), self._channel.version
        reasons = RELEASE_REASONS if first in (_PUBREL_FIRST, _PUBCOMP_FIRST) else PUBLISH_REASONS
        packet_id, reason, _ = read_acknowledgement(kind, body, version, reasons)
        if first == _PUBACK_FIRST:
            outbound.receive_puback(packet_id, reason)
        elif first == _PUBREC_FIRST:
            outbound.receive_pubrec(packet_id, reason)
        elif first == _PUBCOMP_FIRST:
            outbound.receive_pubcomp(packet_id)
        else:
            is_known = inbound.release(packet_id)
            answer = ReasonCode.SUCCESS if is_known else ReasonCode.PACKET_IDENTIFIER_NOT_FOUND
            self._channel.send_acknowledgement(PacketType.PUBCOMP, packet_id, answer)

    # The beginning and the end.

    def _open(self, session: MqttSession, *, receive_maximum: int | None) -> None:
        """Begin to send and receive messages; what the session holds for the peer goes out."""
        channel = self._channel
        self._state = ConnectionState.OPEN
        self._session = session
        self._last_packet_at = channel.now
        self._frames.body_bytes_max = channel.limits.packet_bytes_max
        if channel.version is Version.V5:
            self._aliases = TopicAliases(aliases_max=channel.limits.topic_aliases_max)
        self._inbound = InboundFlow(session, channel)
        maximum = RECEIVE_MAXIMUM_DEFAULT if receive_maximum is None else receive_maximum
        self._outbound = OutboundFlow(session, channel, receive_maximum=maximum)
        self._outbound.resume()

    def _end(self) -> None:
        """Stop sending and receiving; the session keeps what survives."""
        self._state = ConnectionState.CLOSED
        self._has_more = False
        self._frames.clear()
        self._aliases = None
        if self._inbound is not None:
            self._inbound.close()
        if self._session is not None:
            self._session.end_connection()

    @staticmethod
    def _close_reason(error: PacketError) -> CloseReason:
        return _CLOSE_REASONS.get(error.reason, CloseReason.PROTOCOL_ERROR)
