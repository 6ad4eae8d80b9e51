"""Any bytes to either end of an MQTT connection: no error, no growth, and nothing but CONNACK before a login."""

from hypothesis import given, settings
from hypothesis import strategies as st

from commandpost.protocols.mqtt.client_connection import MqttClientConnection
from commandpost.protocols.mqtt.codec import PacketReader, encode
from commandpost.protocols.mqtt.errors import PacketError
from commandpost.protocols.mqtt.events import (
    ClientEvent,
    ConnectionClosed,
    ConnectRequested,
    PublishReceived,
    ServerEvent,
    SubscribeReceived,
    UnsubscribeReceived,
)
from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.protocols.mqtt.packet_types import Version
from commandpost.protocols.mqtt.packets import Connack, Connect
from commandpost.protocols.mqtt.publish_handle import PublishHandle
from commandpost.protocols.mqtt.reason_codes import ReasonCode
from commandpost.protocols.mqtt.server_connection import MqttServerConnection
from commandpost.protocols.mqtt.session import MqttSession, OutboundMessage

LIMITS = MqttLimits(
    connect_bytes_max=200,
    packet_bytes_max=300,
    held_before_login_bytes_max=400,
    held_bytes_max=500,
    requests_unanswered_max=2,
    inbound_unacknowledged_max=3,
    unreleased_max=4,
    inflight_max=2,
    queued_max=3,
)
# Bytes that begin like a packet, with a length that fits, reach far deeper than bytes that do not.
FIRSTS = st.sampled_from([first << 4 | flags for first in range(16) for flags in (0, 2, 3, 13)]) | st.integers(0, 255)
SMALL = st.binary(max_size=4)
BODIES = st.one_of(
    st.binary(max_size=40),
    st.integers(0, 6).map(lambda packet_id: bytes((0, packet_id))),
    st.builds(lambda packet_id, tail: bytes((0, packet_id)) + tail, st.integers(0, 6), SMALL),
    st.builds(
        lambda topic, packet_id, tail: b"\0\x01" + topic + bytes((0, packet_id)) + tail,
        st.sampled_from([b"a", b"#", b"\xff", b"\0"]),
        st.integers(0, 6),
        SMALL,
    ),
    st.builds(
        lambda packet_id, properties, tail: bytes((0, packet_id)) + properties + tail,
        st.integers(0, 6),
        st.sampled_from([b"", b"\0", b"\x02\x01\0", b"\x03\x23\0\x01"]),
        st.sampled_from([b"\0\x01a\0", b"\0\x01a\x01\0\x01#\x02", b"\0\x01a"]),
    ),
)
PACKETS = st.builds(lambda first, body: bytes((first, len(body))) + body, FIRSTS, BODIES)
CONNECTS = st.sampled_from(
    [encode(Connect(version=version, client_id="d", clean_start=False), version) for version in Version]
)
STREAM = st.lists(st.one_of(PACKETS, PACKETS, CONNECTS, st.binary(max_size=60), st.just(bytes(200))), max_size=20)


@settings(max_examples=200)
@given(st.one_of(PACKETS, st.binary(max_size=80)), st.sampled_from(Version))
def test_the_codec_gives_a_packet_or_a_packet_error(data: bytes, version: Version) -> None:
    """And what it gives can be written and read again."""
    reader = PacketReader(version=version, packet_bytes_max=1_000)
    reader.feed(data)
    try:
        packet = reader.next_packet()
    except PacketError as error:
        assert 0 <= error.offset <= len(data)
        return
    if packet is not None:
        again = PacketReader(version=reader.version, packet_bytes_max=1_000)
        again.feed(encode(packet, reader.version))
        assert again.next_packet() == packet


class ServerOwner:
    """An owner that answers some things at once, some later and some never."""

    def __init__(self, choices: list[int]) -> None:
        self.connection = MqttServerConnection(limits=LIMITS, now=0.0)
        self.session = MqttSession("d", limits=LIMITS)
        self.events: list[ServerEvent] = []
        self.is_decided = False
        self._choices = choices
        self._handles: list[PublishHandle] = []

    def choose(self) -> int:
        return self._choices.pop() if self._choices else 0

    def drain(self) -> None:
        while (event := self.connection.next_event()) is not None:
            self.events.append(event)
            self._answer(event)
        while self._handles and self.choose() % 3 == 1:
            self.connection.acknowledge(self._handles.pop(self.choose() % len(self._handles)))

    def _answer(self, event: ServerEvent) -> None:
        if isinstance(event, ConnectRequested):
            self.is_decided = True
            if self.choose() % 4 == 3:
                self.connection.refuse(ReasonCode.NOT_AUTHORIZED)
            else:
                self.connection.accept(self.session, session_present=True, keepalive_s=60, now=1.0)
        elif isinstance(event, PublishReceived) and event.handle is not None:
            self._handles.append(event.handle)
        elif isinstance(event, SubscribeReceived) and self.choose() % 2 == 0:
            self.connection.grant(event.packet_id, [ReasonCode.GRANTED_QOS_1] * len(event.entries))
        elif isinstance(event, UnsubscribeReceived) and self.choose() % 2 == 0:
            self.connection.confirm_unsubscribe(event.packet_id, [ReasonCode.SUCCESS] * len(event.topic_filters))

    def check_bounds(self) -> None:
        session = self.session
        assert self.connection.buffered_bytes <= LIMITS.held_bytes_max
        assert len(session.inbound_ids or ()) <= LIMITS.unreleased_max
        assert len(session.deliveries or ()) <= LIMITS.inflight_max
        assert len(session.queue or ()) <= LIMITS.queued_max
        assert len(session.subscriptions) <= LIMITS.subscriptions_max


@settings(max_examples=200)
@given(STREAM, st.lists(st.integers(0, 11), max_size=40), st.booleans())
def test_a_server_connection_never_raises(stream: list[bytes], choices: list[int], is_let_in: bool) -> None:
    """Whatever comes, in any state, with an owner of any mood."""
    owner = ServerOwner(choices)
    now = 0.0
    if is_let_in:
        stream = [encode(Connect(version=Version.V3_1_1, client_id="d"), Version.V3_1_1), *stream]
    for data in stream:
        now += 1.0
        owner.connection.receive_bytes(data, now=now)
        owner.drain()
        sent = owner.connection.bytes_to_send()
        if not owner.is_decided:
            assert len(sent) <= 1
            assert all(chunk[0] == 0x20 for chunk in sent)
        owner.check_bounds()
        owner.connection.publish(OutboundMessage(topic="t", qos=owner.choose() % 3, tag=1), now=now)
        owner.connection.handle_deadline(now=now)
    owner.connection.connection_lost()
    owner.drain()

    ends = [event for event in owner.events if isinstance(event, ConnectionClosed)]
    assert len(ends) == 1
    assert owner.events[-1] is ends[0]
    assert owner.connection.buffered_bytes == 0


@settings(max_examples=150)
@given(STREAM, st.sampled_from(Version), st.booleans())
def test_a_client_connection_never_raises(stream: list[bytes], version: Version, is_let_in: bool) -> None:
    """A server may be as broken as a device."""
    connection = MqttClientConnection(limits=LIMITS, now=0.0)
    session = MqttSession("d", limits=LIMITS)
    connection.connect(Connect(version=version, client_id="d", keepalive_s=60), session, now=0.0)
    if is_let_in:
        connection.receive_bytes(encode(Connack(), version), now=0.0)
    events: list[ClientEvent] = []
    now = 0.0
    for data in stream:
        now += 1.0
        connection.receive_bytes(data, now=now)
        while (event := connection.next_event()) is not None:
            events.append(event)
            if isinstance(event, PublishReceived) and event.handle is not None:
                connection.acknowledge(event.handle)
        connection.publish(OutboundMessage(topic="t", qos=2, tag=1), now=now)
        connection.handle_deadline(now=now)
        assert connection.buffered_bytes <= LIMITS.packet_bytes_max + 5
        assert len(session.inbound_ids or ()) <= LIMITS.unreleased_max
    connection.connection_lost()
    while (event := connection.next_event()) is not None:
        events.append(event)

    assert sum(isinstance(event, ConnectionClosed) for event in events) == 1
    assert isinstance(events[-1], ConnectionClosed)
