"""From the first byte to the CONNACK."""

import pytest

from commandpost.protocols.mqtt.codec import encode
from commandpost.protocols.mqtt.connection import ConnectionState
from commandpost.protocols.mqtt.events import CloseReason, ConnectRequested
from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.protocols.mqtt.packet_types import Version
from commandpost.protocols.mqtt.packets import Connack, Pingreq, Pingresp, Will
from commandpost.protocols.mqtt.properties import NO_PROPERTIES, Properties
from commandpost.protocols.mqtt.reason_codes import ReasonCode
from commandpost.protocols.mqtt.session import MqttSession
from tests.unit.protocols.mqtt.conversation import (
    BOTH_VERSIONS,
    KEEPALIVE_S,
    LIMITS,
    Conversation,
    connect_of,
    message,
    opened,
    received,
)

CONNACK_1 = b"\x20\x02\x00\x01"
UNKNOWN_VERSIONS = [
    bytes.fromhex("10 0F 00 06 4D 51 49 73 64 70 03 02 00 00 00 01 61"),
    bytes.fromhex("10 0D 00 04 4D 51 54 54 06 02 00 00 00 01 61"),
    bytes.fromhex("10 0D 00 04 4D 51 54 54 03 02 00 00 00 01 61"),
]


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_the_owner_is_asked_with_all_the_connect_says(version: Version) -> None:
    """Nothing is decided by the engine that the owner could decide."""
    will = Will(topic="gone", payload=b"x", qos=2, retain=True)
    properties = Properties(session_expiry_s=7) if version is Version.V5 else NO_PROPERTIES
    conversation = Conversation(version)

    events = conversation.send(
        connect_of(version, clean_start=False, username="u", password=b"p", will=will, properties=properties)
    )

    assert events == [
        ConnectRequested(
            version=version,
            client_id="d",
            clean_start=False,
            keepalive_s=KEEPALIVE_S,
            username="u",
            password=b"p",
            will=will,
            properties=properties,
        )
    ]
    assert conversation.connection.state is ConnectionState.AWAITING_DECISION
    assert conversation.answers() == []


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_a_connect_without_user_name_and_client_id_is_the_owners_matter(version: Version) -> None:
    """OneNET closes; another owner may assign an id."""
    conversation = Conversation(version)

    (event,) = conversation.send(connect_of(version, client_id=""))

    assert isinstance(event, ConnectRequested)
    assert (event.client_id, event.username, event.password) == ("", None, None)


@pytest.mark.parametrize("is_present", [False, True])
def test_a_3_1_1_client_let_in_gets_two_bytes(is_present: bool) -> None:
    """MQTT 3.1.1 section 3.2."""
    conversation = Conversation(Version.V3_1_1)
    conversation.send(connect_of(Version.V3_1_1))

    is_accepted = conversation.connection.accept(
        MqttSession("d", limits=LIMITS), session_present=is_present, keepalive_s=60, now=100.0
    )

    assert is_accepted
    assert conversation.answers() == [Connack(session_present=is_present)]


def test_an_mqtt_5_client_let_in_is_told_the_limits() -> None:
    """And what the owner wants it to know; the keepalive only where it differs."""
    conversation = Conversation(Version.V5)
    conversation.send(connect_of(Version.V5, client_id=""))

    conversation.connection.accept(
        MqttSession("made-up", limits=LIMITS),
        session_present=False,
        keepalive_s=30,
        properties=Properties(assigned_client_identifier="made-up", session_expiry_s=0),
        now=100.0,
    )

    (connack,) = conversation.answers()
    assert connack == Connack(
        properties=Properties(
            assigned_client_identifier="made-up",
            session_expiry_s=0,
            server_keepalive_s=30,
            receive_maximum=LIMITS.inbound_unacknowledged_max,
            topic_alias_maximum=LIMITS.topic_aliases_max,
            maximum_packet_bytes=LIMITS.packet_bytes_max,
        )
    )


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_a_client_refused_is_told_why_and_the_connection_ends(version: Version) -> None:
    """CONNACK 4 of 3.1.1 is 0x86 of MQTT 5. A will is not published for a stranger."""
    conversation = Conversation(version)
    conversation.send(connect_of(version, will=Will(topic="gone", payload=b"")))

    conversation.connection.refuse(ReasonCode.BAD_USER_NAME_OR_PASSWORD)
    conversation.drain()

    assert conversation.answers() == [Connack(reason=ReasonCode.BAD_USER_NAME_OR_PASSWORD)]
    assert conversation.closed.reason is CloseReason.REFUSED
    assert conversation.closed.will is None


@pytest.mark.parametrize("data", UNKNOWN_VERSIONS, ids=["MQIsdp", "level 6", "level 3"])
def test_another_version_gets_connack_1(data: bytes) -> None:
    """MQTT 3.1.1 section 3.1.2.2."""
    conversation = Conversation()

    conversation.send_bytes(data)

    assert conversation.connection.bytes_to_send() == [CONNACK_1]
    assert conversation.closed.reason is CloseReason.REFUSED


def test_a_malformed_connect_of_3_1_1_is_closed_without_an_answer() -> None:
    """MQTT 3.1.1 section 3.1.4."""
    conversation = Conversation()

    conversation.send_bytes(bytes.fromhex("10 0D 00 04 4D 51 54 54 04 03 00 00 00 01 61"))

    assert conversation.connection.bytes_to_send() == []
    assert conversation.closed.reason is CloseReason.MALFORMED


def test_a_malformed_connect_of_mqtt_5_is_told_so() -> None:
    """MQTT 5.0 section 4.13.1: a CONNACK before the connection, never a DISCONNECT."""
    conversation = Conversation(Version.V5)

    conversation.send_bytes(bytes.fromhex("10 0E 00 04 4D 51 54 54 05 03 00 00 00 00 01 61"))

    assert conversation.answers() == [Connack(reason=ReasonCode.MALFORMED_PACKET)]
    assert conversation.closed.reason is CloseReason.MALFORMED


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_another_packet_first_is_closed_without_an_answer(version: Version) -> None:
    """MQTT 3.1.1 section 3.1: nothing but a CONNACK leaves before a login."""
    conversation = Conversation(version)

    conversation.send(Pingreq())

    assert conversation.answers() == []
    assert conversation.closed.reason is CloseReason.PROTOCOL_ERROR


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_a_client_id_too_long_is_refused(version: Version) -> None:
    """CONNACK 2; the bound counts bytes."""
    allowed, too_long = Conversation(version), Conversation(version)

    allowed.send(connect_of(version, client_id="中" * 42))
    too_long.send(connect_of(version, client_id="中" * 43))

    assert isinstance(allowed.events[0], ConnectRequested)
    assert too_long.answers() == [Connack(reason=ReasonCode.CLIENT_IDENTIFIER_NOT_VALID)]
    assert too_long.closed.reason is CloseReason.REFUSED


def test_enhanced_authentication_is_refused() -> None:
    """MQTT 5.0 section 4.12: none is supported, 0x8C."""
    conversation = Conversation(Version.V5)

    conversation.send(connect_of(Version.V5, properties=Properties(authentication_method="SCRAM-SHA-1")))

    assert conversation.answers() == [Connack(reason=ReasonCode.BAD_AUTHENTICATION_METHOD)]
    assert conversation.closed.reason is CloseReason.REFUSED


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_what_comes_before_the_decision_is_held_and_then_read(version: Version) -> None:
    """MQTT 3.1.1 section 3.1.4: a client need not wait for its CONNACK."""
    conversation = Conversation(version)
    conversation.send(connect_of(version), message(b"1"))
    conversation.send(message(b"2"), Pingreq())
    assert len(conversation.events) == 1
    assert conversation.connection.is_paused

    conversation.connection.accept(MqttSession("d", limits=LIMITS), session_present=False, keepalive_s=60, now=100.0)
    events = conversation.drain()

    assert [event.payload for event in received(events)] == [b"1", b"2"]
    assert [type(packet) for packet in conversation.answers()] == [Connack, Pingresp]
    assert not conversation.connection.is_paused


@pytest.mark.parametrize("is_with_connect", [False, True])
def test_too_much_before_the_decision_ends_the_connection(is_with_connect: bool) -> None:
    """A stranger is not given memory."""
    conversation = Conversation()
    connect = encode(connect_of(Version.V3_1_1), Version.V3_1_1)
    flood = bytes(LIMITS.held_before_login_bytes_max + 1)

    conversation.send_bytes(connect + flood if is_with_connect else connect)
    if not is_with_connect:
        conversation.send_bytes(flood)

    assert conversation.closed.reason is CloseReason.LIMIT_EXCEEDED
    assert conversation.connection.buffered_bytes == 0
    assert conversation.answers() == []


def test_a_connect_above_its_limit_is_refused_at_its_length() -> None:
    """The rest never comes into memory."""
    conversation = Conversation(limits=MqttLimits(connect_bytes_max=1_000))

    conversation.send_bytes(b"\x10\xe9\x07")

    assert conversation.closed.reason is CloseReason.LIMIT_EXCEEDED


def test_silence_before_the_connect_ends_the_connection() -> None:
    """Within `login_s`, also if half a CONNECT has come."""
    conversation = Conversation()
    conversation.send_bytes(encode(connect_of(Version.V3_1_1), Version.V3_1_1)[:-1])
    assert conversation.connection.next_deadline() == 100.0 + LIMITS.login_s

    assert conversation.pass_time(LIMITS.login_s - 0.1) == []
    conversation.pass_time(0.1)

    assert conversation.closed.reason is CloseReason.LOGIN_TIMED_OUT
    assert conversation.answers() == []
    assert conversation.connection.next_deadline() is None


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_an_owner_that_does_not_decide_refuses(version: Version) -> None:
    """A login that waits for a store which is not there is not held for ever."""
    conversation = Conversation(version)
    conversation.send(connect_of(version))

    conversation.pass_time(LIMITS.decision_s)

    assert conversation.answers() == [Connack(reason=ReasonCode.SERVER_UNAVAILABLE)]
    assert conversation.closed.reason is CloseReason.LOGIN_TIMED_OUT


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_a_decision_after_the_end_changes_nothing(version: Version) -> None:
    """The owner's store may be slower than the client's patience."""
    session = MqttSession("d", limits=LIMITS)
    conversation = Conversation(version)
    conversation.send(connect_of(version))
    conversation.connection.connection_lost()
    conversation.drain()

    is_accepted = conversation.connection.accept(session, session_present=False, keepalive_s=60, now=101.0)
    conversation.connection.refuse(ReasonCode.NOT_AUTHORIZED)

    assert not is_accepted
    assert conversation.drain() == []
    assert conversation.answers() == []
    assert conversation.closed.reason is CloseReason.PEER_LOST


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_a_second_connect_ends_the_connection(version: Version) -> None:
    """MQTT 3.1.1 section 3.1: a protocol violation."""
    conversation = opened(version)

    conversation.send(connect_of(version))

    assert conversation.closed.reason is CloseReason.PROTOCOL_ERROR


def test_a_decision_that_nobody_waits_for_is_the_owners_mistake() -> None:
    """Of which it hears at once."""
    conversation = Conversation()
    with pytest.raises(ValueError, match="cannot be accepted"):
        conversation.connection.accept(MqttSession("d", limits=LIMITS), session_present=False, keepalive_s=0, now=0.0)
    with pytest.raises(ValueError, match="cannot be refused"):
        conversation.connection.refuse(ReasonCode.NOT_AUTHORIZED)


def test_a_connack_longer_than_the_client_takes_ends_the_connection() -> None:
    """MQTT 5.0 section 3.1.2.11.4: it must not be sent."""
    conversation = Conversation(Version.V5)
    conversation.send(connect_of(Version.V5, properties=Properties(maximum_packet_bytes=10)))

    is_accepted = conversation.connection.accept(
        MqttSession("d", limits=LIMITS), session_present=False, keepalive_s=60, now=100.0
    )
    conversation.drain()

    assert not is_accepted
    assert conversation.answers() == []
    assert conversation.closed.reason is CloseReason.LIMIT_EXCEEDED
