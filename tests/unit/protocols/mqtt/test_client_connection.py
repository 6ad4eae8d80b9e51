"""The client's end: what a simulated device sends, and how it takes what comes."""

import pytest

from commandpost.protocols.mqtt.client_connection import MqttClientConnection
from commandpost.protocols.mqtt.codec import PacketReader, encode
from commandpost.protocols.mqtt.connection import ConnectionState
from commandpost.protocols.mqtt.events import (
    ClientEvent,
    CloseReason,
    Connected,
    ConnectionClosed,
    ConnectRefused,
    MessageDelivered,
    MessageRefused,
    PublishReceived,
    SubscribeAnswered,
    UnsubscribeAnswered,
)
from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.protocols.mqtt.packet_types import Version
from commandpost.protocols.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Suback,
    Subscribe,
    SubscriptionEntry,
    SubscriptionOptions,
    Unsuback,
    Unsubscribe,
)
from commandpost.protocols.mqtt.properties import NO_PROPERTIES, Properties
from commandpost.protocols.mqtt.reason_codes import ReasonCode
from commandpost.protocols.mqtt.session import MqttSession
from tests.unit.protocols.mqtt.conversation import BOTH_VERSIONS, KEEPALIVE_S, LIMITS, connect_of, message, outbound

V5 = Version.V5
ENTRY = SubscriptionEntry(topic_filter="a/+", options=SubscriptionOptions(qos=1))


class DeviceBench:
    """A client connection and a server that does as the test says."""

    def __init__(self, version: Version = Version.V3_1_1, *, limits: MqttLimits = LIMITS) -> None:
        self.version = version
        self.now = 10.0
        self.session = MqttSession("d", limits=limits)
        self.connection = MqttClientConnection(limits=limits, now=self.now)
        self._sent = PacketReader(version=version, packet_bytes_max=1 << 20)

    def answer(self, *packets: Packet) -> list[ClientEvent]:
        """Let the server send packets in one piece; give what the owner is told."""
        data = b"".join(encode(packet, self.version) for packet in packets)
        self.connection.receive_bytes(data, now=self.now)
        return self.drain()

    def drain(self) -> list[ClientEvent]:
        events = []
        while (event := self.connection.next_event()) is not None:
            events.append(event)
        return events

    def sent(self) -> list[Packet]:
        """Give what the client has sent since the last call."""
        for chunk in self.connection.bytes_to_send():
            self._sent.feed(chunk)
        packets = []
        while (packet := self._sent.next_packet()) is not None:
            packets.append(packet)
        return packets

    def pass_time(self, seconds: float) -> list[ClientEvent]:
        self.now += seconds
        self.connection.handle_deadline(now=self.now)
        return self.drain()


def connected(
    version: Version = Version.V3_1_1, *, limits: MqttLimits = LIMITS, properties: Properties = NO_PROPERTIES
) -> DeviceBench:
    """Give a bench whose client was let in."""
    bench = DeviceBench(version, limits=limits)
    bench.connection.connect(connect_of(version), bench.session, now=bench.now)
    bench.sent()
    assert bench.answer(Connack(properties=properties)) == [Connected(session_present=False, properties=properties)]
    return bench


def end(events: list[ClientEvent]) -> ConnectionClosed:
    """Give the end, which is the last event."""
    assert isinstance(events[-1], ConnectionClosed)
    return events[-1]


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_the_connect_leaves_first(version: Version) -> None:
    """An MQTT 5 server is told what this end takes."""
    bench = DeviceBench(version)

    bench.connection.connect(connect_of(version), bench.session, now=bench.now)

    (connect,) = bench.sent()
    assert isinstance(connect, Connect)
    assert connect.properties == (
        NO_PROPERTIES
        if version is not V5
        else Properties(
            receive_maximum=LIMITS.inbound_unacknowledged_max,
            topic_alias_maximum=LIMITS.topic_aliases_max,
            maximum_packet_bytes=LIMITS.packet_bytes_max,
        )
    )
    with pytest.raises(ValueError, match="cannot begin"):
        bench.connection.connect(connect_of(version), bench.session, now=bench.now)


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_a_client_refused_hears_why(version: Version) -> None:
    """And the connection ends."""
    bench = DeviceBench(version)
    bench.connection.connect(connect_of(version), bench.session, now=bench.now)

    events = bench.answer(Connack(reason=ReasonCode.NOT_AUTHORIZED))

    assert events[0] == ConnectRefused(reason=ReasonCode.NOT_AUTHORIZED, properties=NO_PROPERTIES)
    assert end(events).reason is CloseReason.REFUSED


def test_an_assigned_client_id_is_the_sessions() -> None:
    """MQTT 5.0 section 3.2.2.3.7."""
    bench = connected(V5, properties=Properties(assigned_client_identifier="made-up"))

    assert bench.session.client_id == "made-up"


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_a_session_that_was_not_wanted_ends_the_connection(version: Version) -> None:
    """MQTT 3.1.1 section 3.2.2.2."""
    bench = DeviceBench(version)
    bench.connection.connect(connect_of(version, clean_start=True), bench.session, now=bench.now)

    assert end(bench.answer(Connack(session_present=True))).reason is CloseReason.PROTOCOL_ERROR


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_another_packet_than_connack_first_ends_the_connection(version: Version) -> None:
    """MQTT 3.1.1 section 3.2."""
    bench = DeviceBench(version)
    bench.connection.connect(connect_of(version), bench.session, now=bench.now)

    assert end(bench.answer(message())).reason is CloseReason.PROTOCOL_ERROR


def test_a_server_that_does_not_answer_the_connect_is_given_up() -> None:
    """Within `login_s`."""
    bench = DeviceBench()
    assert bench.connection.next_deadline() is None
    bench.connection.connect(connect_of(Version.V3_1_1), bench.session, now=bench.now)
    assert bench.connection.next_deadline() == bench.now + LIMITS.login_s

    assert end(bench.pass_time(LIMITS.login_s)).reason is CloseReason.LOGIN_TIMED_OUT


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_messages_go_both_ways(version: Version) -> None:
    """The same flows as on the server's end."""
    bench = connected(version)

    bench.connection.publish(outbound(b"up", qos=1, tag="u"), now=bench.now)
    assert bench.sent() == [Publish(topic="t", payload=b"up", qos=1, packet_id=1)]
    delivered, event = bench.answer(Puback(packet_id=1), message(b"down", qos=1, packet_id=5))

    assert delivered == MessageDelivered(tag="u")
    assert isinstance(event, PublishReceived)
    assert event.handle is not None
    bench.connection.acknowledge(event.handle)
    assert bench.sent() == [Puback(packet_id=5)]


def test_a_client_pauses_while_its_owner_does_not_acknowledge() -> None:
    """And goes on afterwards; the server's PINGRESP may be among what was not read."""
    bench = connected(limits=MqttLimits(inbound_unacknowledged_max=1))
    (event,) = bench.answer(message(qos=1), message(qos=1, packet_id=2))
    assert isinstance(event, PublishReceived)
    assert event.handle is not None
    assert bench.connection.next_deadline() is None

    bench.connection.acknowledge(event.handle)

    assert len(bench.drain()) == 1


def test_a_server_heard_late_has_its_time_from_then_on() -> None:
    """A PINGRESP may have been among what the owner did not let the client read."""
    bench = connected(limits=MqttLimits(inbound_unacknowledged_max=1))
    bench.pass_time(KEEPALIVE_S)
    (event,) = bench.answer(message(qos=1))
    assert isinstance(event, PublishReceived)
    assert event.handle is not None
    bench.answer(message(qos=1, packet_id=2))
    bench.now += 10 * LIMITS.ping_s
    bench.connection.acknowledge(event.handle)
    (second,) = bench.drain()
    assert isinstance(second, PublishReceived)
    assert second.handle is not None
    bench.connection.acknowledge(second.handle)

    assert bench.pass_time(0) == []
    assert bench.connection.next_deadline() == bench.now + LIMITS.ping_s
    assert end(bench.pass_time(LIMITS.ping_s)).reason is CloseReason.KEEPALIVE_TIMED_OUT


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_subscriptions_are_kept_as_they_were_granted(version: Version) -> None:
    """And leave the session when the server says so."""
    bench = connected(version)
    first = bench.connection.subscribe(ENTRY, SubscriptionEntry(topic_filter="$x", options=SubscriptionOptions()))
    reasons = (ReasonCode.SUCCESS, ReasonCode.UNSPECIFIED_ERROR)
    granted = bench.answer(Suback(packet_id=first, reasons=reasons))
    assert bench.session.subscriptions == {"a/+": SubscriptionOptions(qos=0)}

    second = bench.connection.unsubscribe("a/+")
    confirmed = bench.answer(Unsuback(packet_id=second, reasons=(ReasonCode.SUCCESS,)))

    assert [type(packet) for packet in bench.sent()] == [Subscribe, Unsubscribe]
    assert granted == [SubscribeAnswered(packet_id=first, reasons=reasons, properties=NO_PROPERTIES)]
    assert confirmed == [UnsubscribeAnswered(packet_id=second, reasons=(ReasonCode.SUCCESS,), properties=NO_PROPERTIES)]
    assert bench.session.subscriptions == {}


@pytest.mark.parametrize(
    "packet",
    [
        Suback(packet_id=9, reasons=(ReasonCode.SUCCESS,)),
        Suback(packet_id=1, reasons=(ReasonCode.SUCCESS, ReasonCode.SUCCESS)),
        Unsuback(packet_id=1, reasons=(ReasonCode.SUCCESS,)),
        Pingreq(),
        Connack(),
    ],
    ids=["unknown", "two codes", "of another kind", "ping", "second connack"],
)
def test_an_answer_to_nothing_ends_the_connection(packet: Packet) -> None:
    """So does a packet that only clients send."""
    bench = connected(V5)
    bench.connection.subscribe(ENTRY)

    closed = end(bench.answer(packet))

    assert closed.reason is CloseReason.PROTOCOL_ERROR
    assert bench.sent()[-1] == Disconnect(reason=ReasonCode.PROTOCOL_ERROR)


def test_requests_without_an_answer_are_bounded_and_their_ids_reserved() -> None:
    """No message gets the packet id of a SUBSCRIBE that waits; after the end all are free."""
    bench = connected(limits=MqttLimits(requests_unanswered_max=2))
    assert [bench.connection.subscribe(ENTRY), bench.connection.unsubscribe("a")] == [1, 2]
    with pytest.raises(ValueError, match="2 requests"):
        bench.connection.subscribe(ENTRY)
    for _ in range(65_533):
        bench.session.take_packet_id()

    assert bench.session.take_packet_id() == 3
    bench.connection.connection_lost()
    for _ in range(65_532):
        bench.session.take_packet_id()
    assert bench.session.take_packet_id() == 1


def test_no_requests_before_the_connection() -> None:
    """They would have no session."""
    with pytest.raises(ValueError, match="no subscriptions"):
        DeviceBench().connection.subscribe(ENTRY)


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_a_client_with_nothing_to_say_pings(version: Version) -> None:
    """One keepalive time after its last packet; PINGRESP ends the wait (MQTT 3.1.1 section 3.1.2.10)."""
    bench = connected(version)
    bench.now += 20
    bench.connection.publish(outbound(), now=bench.now)
    bench.sent()
    assert bench.connection.next_deadline() == bench.now + KEEPALIVE_S

    assert bench.pass_time(KEEPALIVE_S) == []
    assert bench.sent() == [Pingreq()]
    assert bench.connection.next_deadline() == bench.now + LIMITS.ping_s
    assert bench.answer(Pingresp()) == []

    assert bench.connection.next_deadline() == bench.now + KEEPALIVE_S


def test_a_server_that_does_not_answer_a_ping_is_given_up() -> None:
    """Within `ping_s`."""
    bench = connected()
    bench.pass_time(KEEPALIVE_S)

    assert end(bench.pass_time(LIMITS.ping_s)).reason is CloseReason.KEEPALIVE_TIMED_OUT


def test_the_servers_keepalive_is_the_one_that_counts() -> None:
    """MQTT 5.0 section 3.2.2.3.14; 0 turns it off."""
    assert connected(V5, properties=Properties(server_keepalive_s=7)).connection.next_deadline() == 17.0
    assert connected(V5, properties=Properties(server_keepalive_s=0)).connection.next_deadline() is None


def test_a_packet_of_the_server_takes_no_longer_than_its_time() -> None:
    """A server that stops in the middle is given up."""
    bench = connected(V5, properties=Properties(server_keepalive_s=0))
    bench.connection.receive_bytes(b"\x30\x10", now=bench.now)
    bench.drain()

    assert end(bench.pass_time(LIMITS.packet_s)).reason is CloseReason.PACKET_TIMED_OUT


def test_the_limits_of_the_server_are_honoured() -> None:
    """Receive Maximum and Maximum Packet Size of its CONNACK."""
    bench = connected(V5, properties=Properties(receive_maximum=1, maximum_packet_bytes=100))

    bench.connection.publish(outbound(bytes(100), tag="long"), now=bench.now)
    bench.connection.publish(outbound(b"1", qos=1), now=bench.now)
    bench.connection.publish(outbound(b"2", qos=1), now=bench.now)

    assert bench.drain() == [MessageRefused(tag="long", reason=ReasonCode.PACKET_TOO_LARGE)]
    assert len(bench.sent()) == 1


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_a_goodbye_is_said_and_ends_the_connection(version: Version) -> None:
    """With its reason in MQTT 5."""
    bench = connected(version)

    bench.connection.disconnect(ReasonCode.DISCONNECT_WITH_WILL)

    reason = ReasonCode.DISCONNECT_WITH_WILL if version is V5 else ReasonCode.SUCCESS
    assert bench.sent() == [Disconnect(reason=reason)]
    assert end(bench.drain()).reason is CloseReason.LOCAL
    assert bench.connection.state is ConnectionState.CLOSED
    assert bench.answer(message()) == []


def test_the_goodbye_of_an_mqtt_5_server_ends_the_connection() -> None:
    """A 3.1.1 server has none."""
    closed = end(connected(V5).answer(Disconnect(reason=ReasonCode.SESSION_TAKEN_OVER)))

    assert (closed.reason, closed.code) == (CloseReason.PEER_DISCONNECTED, ReasonCode.SESSION_TAKEN_OVER)
    assert end(connected().answer(Disconnect())).reason is CloseReason.PROTOCOL_ERROR


def test_a_refused_message_ends_a_3_1_1_connection() -> None:
    """A client cannot say no either."""
    bench = connected()
    (event,) = bench.answer(message(qos=1))
    assert isinstance(event, PublishReceived)
    assert event.handle is not None

    bench.connection.acknowledge(event.handle, ReasonCode.UNSPECIFIED_ERROR)

    assert end(bench.drain()).reason is CloseReason.LOCAL
