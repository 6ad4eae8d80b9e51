"""How a connection ends: who is told what, the will, and what is quiet afterwards."""

import pytest

from commandpost.protocols.mqtt.codec import encode
from commandpost.protocols.mqtt.connection import ConnectionState
from commandpost.protocols.mqtt.events import CloseReason
from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.protocols.mqtt.packet_types import Version
from commandpost.protocols.mqtt.packets import Auth, Connack, Disconnect, Packet, Pingreq, Pingresp, Suback, Will
from commandpost.protocols.mqtt.properties import Properties
from commandpost.protocols.mqtt.reason_codes import ReasonCode
from tests.unit.protocols.mqtt.conversation import (
    BOTH_VERSIONS,
    Conversation,
    connect_of,
    message,
    opened,
    outbound,
    received,
    subscribe,
)

V5 = Version.V5
WILL = Will(topic="gone", payload=b"x")


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_a_goodbye_takes_the_will_with_it(version: Version) -> None:
    """MQTT 3.1.1 section 3.14.4."""
    conversation = opened(version, will=WILL)

    conversation.send(Disconnect())

    assert conversation.closed.reason is CloseReason.PEER_DISCONNECTED
    assert conversation.closed.will is None
    assert conversation.closed.is_clean
    assert conversation.answers() == []


@pytest.mark.parametrize("reason", [ReasonCode.DISCONNECT_WITH_WILL, ReasonCode.UNSPECIFIED_ERROR])
def test_a_goodbye_of_mqtt_5_may_leave_the_will(reason: ReasonCode) -> None:
    """MQTT 5.0 section 3.14.4: only reason 0x00 takes it along."""
    conversation = opened(V5, will=WILL)

    conversation.send(Disconnect(reason=reason))

    assert conversation.closed.will == WILL
    assert conversation.closed.is_clean
    assert conversation.closed.code is reason


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_a_connection_lost_leaves_the_will(version: Version) -> None:
    """That is what it is for."""
    conversation = opened(version, will=WILL)

    conversation.connection.connection_lost()
    conversation.drain()

    assert conversation.closed.reason is CloseReason.PEER_LOST
    assert conversation.closed.will == WILL
    assert not conversation.closed.is_clean


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_the_owner_ends_the_connection(version: Version) -> None:
    """An MQTT 5 device is told why; a 3.1.1 device cannot be. The will is left."""
    conversation = opened(version, will=WILL)

    conversation.connection.disconnect(ReasonCode.SESSION_TAKEN_OVER)
    conversation.drain()

    told = [Disconnect(reason=ReasonCode.SESSION_TAKEN_OVER)] if version is V5 else []
    assert conversation.answers() == told
    assert conversation.closed.reason is CloseReason.LOCAL
    assert conversation.closed.code is ReasonCode.SESSION_TAKEN_OVER
    assert conversation.closed.will == WILL


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_a_reason_no_disconnect_has_is_the_owners_mistake(version: Version) -> None:
    """In both versions, though only one would have to write it."""
    conversation = opened(version)

    with pytest.raises(ValueError, match="SERVER_UNAVAILABLE"):
        conversation.connection.disconnect(ReasonCode.SERVER_UNAVAILABLE)
    assert conversation.drain() == []


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_an_owner_that_ends_before_the_decision_sends_nothing(version: Version) -> None:
    """MQTT 5.0 section 3.14: no DISCONNECT before a CONNACK."""
    conversation = Conversation(version)
    conversation.send(connect_of(version, will=WILL))

    conversation.connection.disconnect(ReasonCode.SERVER_SHUTTING_DOWN)
    conversation.drain()

    assert conversation.answers() == []
    assert conversation.closed.will is None


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_bytes_that_are_no_packet_end_the_connection(version: Version) -> None:
    """0x81 in MQTT 5. What came before them counts."""
    conversation = opened(version, will=WILL)

    events = conversation.send_bytes(encode(message(b"1"), version) + b"\0\0" + encode(message(b"2"), version))

    assert [event.payload for event in received(events)] == [b"1"]
    told = [Disconnect(reason=ReasonCode.MALFORMED_PACKET)] if version is V5 else []
    assert conversation.answers() == told
    assert conversation.closed.reason is CloseReason.MALFORMED
    assert conversation.closed.will == WILL
    assert conversation.closed.detail


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_a_packet_above_the_limit_ends_the_connection_at_its_length(version: Version) -> None:
    """0x95 in MQTT 5; nothing of it is held."""
    conversation = opened(version, limits=MqttLimits(packet_bytes_max=1_000))

    conversation.send_bytes(b"\x30\xe9\x07")

    told = [Disconnect(reason=ReasonCode.PACKET_TOO_LARGE)] if version is V5 else []
    assert conversation.answers() == told
    assert conversation.closed.reason is CloseReason.LIMIT_EXCEEDED
    assert conversation.connection.buffered_bytes == 0


@pytest.mark.parametrize("version", BOTH_VERSIONS)
@pytest.mark.parametrize(
    "packet", [Pingresp(), Suback(packet_id=1, reasons=(ReasonCode.SUCCESS,)), Connack()], ids=["ping", "sub", "conn"]
)
def test_a_packet_only_servers_send_ends_the_connection(version: Version, packet: Packet) -> None:
    """0x82 in MQTT 5."""
    conversation = opened(version)

    conversation.send(packet)

    assert conversation.closed.code is ReasonCode.PROTOCOL_ERROR


def test_an_auth_without_an_authentication_ends_the_connection() -> None:
    """MQTT 5.0 section 4.12: none was begun."""
    conversation = opened(V5)

    conversation.send(Auth())

    assert conversation.answers() == [Disconnect(reason=ReasonCode.PROTOCOL_ERROR)]


@pytest.mark.parametrize("expiry_s", [0, 3_600])
def test_a_goodbye_may_change_how_long_the_session_is_kept(expiry_s: int) -> None:
    """MQTT 5.0 section 3.14.2.2.2."""
    conversation = opened(V5, connect_properties=Properties(session_expiry_s=60))

    conversation.send(Disconnect(properties=Properties(session_expiry_s=expiry_s)))

    assert conversation.closed.session_expiry_s == expiry_s


def test_a_session_that_ends_with_its_connection_cannot_be_kept_by_a_goodbye() -> None:
    """The same section: a protocol error, and the will is left."""
    conversation = opened(V5, will=WILL)

    conversation.send(Disconnect(properties=Properties(session_expiry_s=60)))

    assert conversation.answers() == [Disconnect(reason=ReasonCode.PROTOCOL_ERROR)]
    assert conversation.closed.session_expiry_s is None
    assert conversation.closed.will == WILL


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_a_connection_that_has_ended_is_quiet(version: Version) -> None:
    """The end comes once, and nothing after it, whatever is called."""
    conversation = opened(version, will=WILL)
    (event,) = received(conversation.send(message(qos=1)))
    assert event.handle is not None
    conversation.connection.connection_lost()
    conversation.drain()

    conversation.send(Pingreq(), message())
    conversation.connection.acknowledge(event.handle)
    conversation.connection.disconnect(ReasonCode.SERVER_SHUTTING_DOWN)
    conversation.connection.connection_lost()
    conversation.pass_time(10_000)

    assert conversation.closed.reason is CloseReason.PEER_LOST
    assert conversation.answers() == []
    assert not conversation.publish(outbound())
    assert conversation.connection.state is ConnectionState.CLOSED
    assert not conversation.connection.is_paused
    assert conversation.connection.next_deadline() is None


def test_a_client_that_takes_only_tiny_packets_is_sent_no_larger_one() -> None:
    """MQTT 5.0 section 3.1.2.11.4, a SUBACK as well; the connection cannot go on without it."""
    conversation = opened(V5, connect_properties=Properties(maximum_packet_bytes=30))
    conversation.send(subscribe(*(f"t/{number}" for number in range(40))))

    conversation.connection.grant(1, (ReasonCode.SUCCESS,) * 40)
    conversation.drain()

    assert conversation.answers() == []
    assert conversation.closed.reason is CloseReason.LIMIT_EXCEEDED
