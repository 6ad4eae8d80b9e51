"""A device on the wire: it writes packets to a server connection and reads what comes back."""

from typing import Any

from commandpost.protocols.mqtt.codec import PacketReader, encode
from commandpost.protocols.mqtt.events import ConnectionClosed, ConnectRequested, PublishReceived, ServerEvent
from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.protocols.mqtt.packet_types import Version
from commandpost.protocols.mqtt.packets import (
    Connack,
    Connect,
    Packet,
    Publish,
    Subscribe,
    SubscriptionEntry,
    SubscriptionOptions,
)
from commandpost.protocols.mqtt.properties import NO_PROPERTIES, Properties
from commandpost.protocols.mqtt.server_connection import MqttServerConnection
from commandpost.protocols.mqtt.session import MqttSession, OutboundMessage

LIMITS = MqttLimits()
BOTH_VERSIONS = (Version.V3_1_1, Version.V5)
KEEPALIVE_S = 60


class Conversation:
    """One device and the server's end of its connection, at a time that stands still unless it is moved."""

    def __init__(self, version: Version = Version.V3_1_1, *, limits: MqttLimits = LIMITS) -> None:
        self.version = version
        self.limits = limits
        self.now = 100.0
        self.connection = MqttServerConnection(limits=limits, now=self.now)
        self.events: list[ServerEvent] = []
        self._answers = PacketReader(version=version, packet_bytes_max=1 << 20)

    def send(self, *packets: Packet) -> list[ServerEvent]:
        """Let the device send packets in one piece; give what the owner is told."""
        return self.send_bytes(b"".join(encode(packet, self.version) for packet in packets))

    def send_bytes(self, data: bytes) -> list[ServerEvent]:
        self.connection.receive_bytes(data, now=self.now)
        return self.drain()

    def drain(self) -> list[ServerEvent]:
        """Give the events that are there."""
        events = []
        while (event := self.connection.next_event()) is not None:
            events.append(event)
        self.events += events
        return events

    def answers(self) -> list[Packet]:
        """Give what the server has sent since the last call."""
        for chunk in self.connection.bytes_to_send():
            self._answers.feed(chunk)
        packets = []
        while (packet := self._answers.next_packet()) is not None:
            packets.append(packet)
        return packets

    def pass_time(self, seconds: float) -> list[ServerEvent]:
        """Let time go by, and the driver look at its deadline."""
        self.now += seconds
        self.connection.handle_deadline(now=self.now)
        return self.drain()

    def publish(self, message: OutboundMessage) -> bool:
        return self.connection.publish(message, now=self.now)

    def is_waiting(self) -> bool:
        """Tell whether bytes are held until the owner has answered."""
        return self.connection.is_paused and self.connection.buffered_bytes > 0

    @property
    def closed(self) -> ConnectionClosed:
        """Give the end of the connection, which came exactly once and last, and says why."""
        ends = [event for event in self.events if isinstance(event, ConnectionClosed)]
        assert len(ends) == 1
        assert self.events[-1] is ends[0]
        assert ends[0].detail
        return ends[0]


def connect_of(version: Version, **fields: Any) -> Connect:  # Any: fields of different types
    # Any: what fields have in common is that a test names them.
    values: dict[str, Any] = {"version": version, "client_id": "d", "keepalive_s": KEEPALIVE_S}
    return Connect(**(values | fields))


def opened(
    version: Version = Version.V3_1_1,
    *,
    limits: MqttLimits = LIMITS,
    session: MqttSession | None = None,
    is_present: bool = False,
    keepalive_s: int = KEEPALIVE_S,
    connect_properties: Properties = NO_PROPERTIES,
    **fields: Any,  # of the CONNECT
) -> Conversation:
    """Give a conversation whose device was let in."""
    conversation = Conversation(version, limits=limits)
    (event,) = conversation.send(connect_of(version, properties=connect_properties, **fields))
    assert isinstance(event, ConnectRequested)
    conversation.connection.accept(
        session or MqttSession("d", limits=limits),
        session_present=is_present,
        keepalive_s=keepalive_s,
        now=conversation.now,
    )
    if session is None:
        (connack,) = conversation.answers()
        assert isinstance(connack, Connack)
    conversation.events.clear()
    return conversation


def message(
    payload: bytes = b"x", *, qos: int = 0, packet_id: int | None = None, topic: str = "t", **fields: Any
) -> Publish:
    """Give a PUBLISH; QoS 1 and 2 have packet id 1 unless told otherwise."""
    return Publish(topic=topic, payload=payload, qos=qos, packet_id=packet_id or (1 if qos else None), **fields)


def outbound(payload: bytes = b"x", *, qos: int = 0, topic: str = "t", **fields: Any) -> OutboundMessage:
    return OutboundMessage(topic=topic, payload=payload, qos=qos, **fields)


def subscribe(*topic_filters: str, packet_id: int = 1, qos: int = 1) -> Subscribe:
    options = SubscriptionOptions(qos=qos)
    entries = tuple(SubscriptionEntry(topic_filter=name, options=options) for name in topic_filters)
    return Subscribe(packet_id=packet_id, entries=entries)


def received(events: list[ServerEvent]) -> list[PublishReceived]:
    """Give the messages among the events."""
    return [event for event in events if isinstance(event, PublishReceived)]
