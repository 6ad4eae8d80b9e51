"""Messages for a device: order, windows, acknowledgements, the next connection."""

import pytest

from commandpost.protocols.mqtt.events import (
    CloseReason,
    MessageDelivered,
    MessageExpired,
    MessageRefused,
    MessageSent,
)
from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.protocols.mqtt.packet_types import Version
from commandpost.protocols.mqtt.packets import Connack, Packet, Puback, Pubcomp, Publish, Pubrec, Pubrel
from commandpost.protocols.mqtt.properties import NO_PROPERTIES, Properties
from commandpost.protocols.mqtt.reason_codes import ReasonCode
from commandpost.protocols.mqtt.session import MqttSession
from tests.unit.protocols.mqtt.conversation import BOTH_VERSIONS, LIMITS, Conversation, opened, outbound

V5 = Version.V5


def payloads(packets: list[Packet]) -> list[bytes]:
    return [packet.payload for packet in packets if isinstance(packet, Publish)]


def ids(packets: list[Packet]) -> list[int | None]:
    return [packet.packet_id for packet in packets if isinstance(packet, Publish)]


def reconnected(
    version: Version, session: MqttSession, *, connect_properties: Properties = NO_PROPERTIES
) -> Conversation:
    """Let the device of a session come back."""
    return opened(version, session=session, is_present=True, clean_start=False, connect_properties=connect_properties)


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_qos_0_leaves_at_once_and_that_is_all_its_owner_hears(version: Version) -> None:
    """Nobody acknowledges it; without a tag nothing is said at all."""
    conversation = opened(version)

    assert conversation.publish(outbound(b"ping", topic="$creq/1", tag="c-1", retain=True))

    assert conversation.connection.sending_bytes > 0
    assert conversation.answers() == [Publish(topic="$creq/1", payload=b"ping", retain=True)]
    assert conversation.connection.sending_bytes == 0
    assert conversation.drain() == [MessageSent(tag="c-1")]
    assert conversation.publish(outbound())
    assert conversation.drain() == []


def test_qos_0_that_has_to_wait_is_sent_when_its_turn_has_come() -> None:
    """The owner does not take for sent what stands in a queue."""
    conversation = opened(limits=MqttLimits(inflight_max=1))
    conversation.publish(outbound(qos=1))
    conversation.publish(outbound(qos=1))
    conversation.publish(outbound(tag="c-1"))
    assert conversation.drain() == []

    assert conversation.send(Puback(packet_id=1)) == [MessageSent(tag="c-1")]


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_qos_1_is_delivered_with_its_puback(version: Version) -> None:
    """The tag is the owner's own."""
    conversation = opened(version)
    conversation.publish(outbound(qos=1, tag="c-1"))
    assert conversation.answers() == [Publish(topic="t", payload=b"x", qos=1, packet_id=1)]

    assert conversation.send(Puback(packet_id=1)) == [MessageDelivered(tag="c-1")]
    assert conversation.send(Puback(packet_id=1)) == []


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_qos_2_is_delivered_with_its_pubcomp(version: Version) -> None:
    """A PUBREC sent again is answered again."""
    conversation = opened(version)
    conversation.publish(outbound(qos=2, tag="c-1"))
    conversation.answers()

    assert conversation.send(Pubrec(packet_id=1), Pubrec(packet_id=1)) == []
    assert conversation.answers() == [Pubrel(packet_id=1), Pubrel(packet_id=1)]
    assert conversation.send(Pubcomp(packet_id=1)) == [MessageDelivered(tag="c-1")]


@pytest.mark.parametrize("qos", [1, 2])
def test_an_mqtt_5_device_may_refuse_a_message(qos: int) -> None:
    """A PUBACK or PUBREC of 0x80 and above ends it."""
    conversation = opened(V5)
    conversation.publish(outbound(qos=qos, tag="c-1"))
    conversation.answers()
    answer = Puback if qos == 1 else Pubrec

    events = conversation.send(answer(packet_id=1, reason=ReasonCode.QUOTA_EXCEEDED))

    assert events == [MessageRefused(tag="c-1", reason=ReasonCode.QUOTA_EXCEEDED)]
    assert conversation.answers() == []
    assert conversation.connection.session is not None
    assert conversation.connection.session.pending_count == 0


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_no_more_than_the_window_is_unacknowledged_and_the_order_is_kept(version: Version) -> None:
    """QoS 0 waits behind QoS 1: one order for all."""
    conversation = opened(version)
    for number in range(18):
        assert conversation.publish(outbound(b"%d" % number, qos=1, tag=number))
    conversation.publish(outbound(b"last"))
    assert payloads(conversation.answers()) == [b"%d" % number for number in range(LIMITS.inflight_max)]

    conversation.send(Puback(packet_id=2))
    conversation.send(Puback(packet_id=1))

    assert payloads(conversation.answers()) == [b"16", b"17", b"last"]


def test_the_receive_maximum_of_the_device_is_honoured() -> None:
    """MQTT 5.0 section 3.1.2.11.3: also while QoS 2 waits for its PUBCOMP."""
    conversation = opened(V5, connect_properties=Properties(receive_maximum=2))
    for number in range(4):
        conversation.publish(outbound(b"%d" % number, qos=2))
    assert payloads(conversation.answers()) == [b"0", b"1"]

    conversation.send(Pubrec(packet_id=1))
    assert payloads(conversation.answers()) == []
    conversation.send(Pubcomp(packet_id=1))

    assert payloads(conversation.answers()) == [b"2"]


def test_a_full_queue_refuses_and_changes_nothing() -> None:
    """By count, and by bytes; QoS 0 with nothing before it needs no queue."""
    by_count = opened(limits=MqttLimits(inflight_max=1, queued_max=1))
    by_bytes = opened(limits=MqttLimits(queued_bytes_max=1_000))

    assert [by_count.publish(outbound(qos=1)) for _ in range(3)] == [True, True, False]
    assert [by_bytes.publish(outbound(bytes(700), qos=1)) for _ in range(2)] == [True, False]
    assert by_bytes.publish(outbound(bytes(2_000)))
    for conversation in (by_count, by_bytes):
        conversation.answers()
        conversation.send(Puback(packet_id=1))
        assert conversation.publish(outbound(qos=1))


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_message_longer_than_the_device_takes_is_refused(qos: int) -> None:
    """MQTT 5.0 section 3.1.2.11.4: not sent, and its place is free."""
    conversation = opened(V5, connect_properties=Properties(maximum_packet_bytes=100))

    conversation.publish(outbound(bytes(100), qos=qos, tag="long"))
    conversation.publish(outbound(bytes(10), qos=qos))

    assert conversation.drain() == [MessageRefused(tag="long", reason=ReasonCode.PACKET_TOO_LARGE)]
    assert payloads(conversation.answers()[-1:]) == [bytes(10)]


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_what_was_unacknowledged_goes_out_again_on_the_next_connection(version: Version) -> None:
    """MQTT 3.1.1 section 4.4: in order, with DUP and the same packet ids; PUBREL where PUBREC had come."""
    session = MqttSession("d", limits=LIMITS)
    first = opened(version, session=session, clean_start=False)
    for number, qos in enumerate((1, 2, 2, 1)):
        first.publish(outbound(b"%d" % number, qos=qos, tag=number))
    first.send(Pubrec(packet_id=2), Puback(packet_id=1))
    first.connection.connection_lost()

    second = reconnected(version, session)

    assert second.answers() == [
        Connack(session_present=True, properties=Properties()) if version is not V5 else second_connack(),
        Pubrel(packet_id=2),
        Publish(topic="t", payload=b"2", qos=2, packet_id=3, is_duplicate=True),
        Publish(topic="t", payload=b"3", qos=1, packet_id=4, is_duplicate=True),
    ]
    assert second.send(Pubcomp(packet_id=2), Puback(packet_id=4)) == [
        MessageDelivered(tag=1),
        MessageDelivered(tag=3),
    ]


def second_connack() -> Connack:
    """Give the CONNACK of an MQTT 5 session that was present."""
    return Connack(
        session_present=True,
        properties=Properties(
            receive_maximum=LIMITS.inbound_unacknowledged_max,
            topic_alias_maximum=LIMITS.topic_aliases_max,
            maximum_packet_bytes=LIMITS.packet_bytes_max,
        ),
    )


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_what_was_queued_follows_what_goes_out_again(version: Version) -> None:
    """Messages put into the session between connections are the last."""
    session = MqttSession("d", limits=MqttLimits(inflight_max=2))
    first = opened(version, limits=MqttLimits(inflight_max=2), session=session)
    for number in range(3):
        first.publish(outbound(b"%d" % number, qos=1))
    first.connection.connection_lost()
    assert session.enqueue(outbound(b"3", qos=1))

    second = opened(version, limits=MqttLimits(inflight_max=2), session=session, is_present=True)

    assert payloads(second.answers()) == [b"0", b"1"]
    second.send(Puback(packet_id=1), Puback(packet_id=2))
    assert payloads(second.answers()) == [b"2", b"3"]


def test_a_smaller_receive_maximum_on_the_next_connection_is_honoured() -> None:
    """What goes out again counts against it like everything else."""
    session = MqttSession("d", limits=LIMITS)
    first = opened(V5, session=session)
    for number in range(3):
        first.publish(outbound(b"%d" % number, qos=1))
    first.connection.connection_lost()

    second = reconnected(V5, session, connect_properties=Properties(receive_maximum=1))
    second.publish(outbound(b"3", qos=1))

    sent = [payloads(second.answers())]
    for number in range(1, 4):
        second.send(Puback(packet_id=number))
        sent.append(payloads(second.answers()))
    assert sent == [[b"0"], [b"1"], [b"2"], [b"3"]]


def test_a_message_too_long_for_the_next_connection_is_refused_there() -> None:
    """The device may come back with less memory; what follows is not held up."""
    session = MqttSession("d", limits=LIMITS)
    first = opened(V5, session=session)
    first.publish(outbound(bytes(100), qos=1, tag="long"))
    first.publish(outbound(b"1", qos=1))
    first.connection.connection_lost()

    second = reconnected(V5, session, connect_properties=Properties(maximum_packet_bytes=100))

    assert MessageRefused(tag="long", reason=ReasonCode.PACKET_TOO_LARGE) in second.drain()
    assert payloads(second.answers()) == [b"1"]


def test_a_message_acknowledged_before_it_went_out_again_stays_at_home() -> None:
    """The device had it, and its PUBACK came with the first bytes of the next connection."""
    session = MqttSession("d", limits=LIMITS)
    first = opened(V5, session=session)
    for number in range(3):
        first.publish(outbound(b"%d" % number, qos=1, tag=number))
    first.connection.connection_lost()
    second = reconnected(V5, session, connect_properties=Properties(receive_maximum=1))
    assert payloads(second.answers()) == [b"0"]

    events = second.send(Puback(packet_id=2), Puback(packet_id=1))

    assert events == [MessageDelivered(tag=1), MessageDelivered(tag=0)]
    assert payloads(second.answers()) == [b"2"]


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_messages_that_do_not_survive_are_forgotten_with_the_connection(version: Version) -> None:
    """They are somebody else's to send again; nothing is said of them."""
    limits = MqttLimits(inflight_max=2)
    session = MqttSession("d", limits=limits)
    first = opened(version, limits=limits, session=session)
    for number in range(4):
        first.publish(outbound(b"%d" % number, qos=1, tag=number, survives=number % 2 == 1))
    first.connection.connection_lost()
    assert len(first.drain()) == 1  # the end

    second = opened(version, limits=limits, session=session, is_present=True)

    assert payloads(second.answers()) == [b"1", b"3"]
    assert second.send(Puback(packet_id=1), Puback(packet_id=2), Puback(packet_id=3)) == [
        MessageDelivered(tag=1),
        MessageDelivered(tag=3),
    ]
    assert session.queued_bytes == 0


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_the_packet_id_of_a_forgotten_qos_2_message_is_still_released(version: Version) -> None:
    """Else the device would take the next message with this id for the old one."""
    session = MqttSession("d", limits=LIMITS)
    first = opened(version, session=session)
    first.publish(outbound(qos=2, tag="c-1", survives=False))
    first.send(Pubrec(packet_id=1))
    first.connection.connection_lost()

    second = reconnected(version, session)

    assert second.answers()[1:] == [Pubrel(packet_id=1)]
    assert second.send(Pubcomp(packet_id=1)) == []
    assert session.pending_count == 0


def test_packet_ids_go_round_and_leave_out_those_in_use() -> None:
    """1 to 65,535, never 0."""
    session = MqttSession("d", limits=LIMITS)
    conversation = opened(session=session)
    conversation.publish(outbound(qos=1))
    for _ in range(65_534):
        session.take_packet_id()

    conversation.publish(outbound(qos=1))

    assert ids(conversation.answers()) == [1, 2]


def test_a_message_too_old_is_not_sent() -> None:
    """And the owner hears of it; one in time says how much is left (MQTT 5.0 section 3.3.2.3.3)."""
    conversation = opened(V5, connect_properties=Properties(receive_maximum=1))
    conversation.publish(outbound(b"0", qos=1, expires_at=conversation.now + 60))
    conversation.publish(outbound(b"1", qos=1, expires_at=conversation.now + 60, tag="old"))
    conversation.publish(outbound(b"2", qos=1, expires_at=conversation.now + 100))
    (first,) = conversation.answers()

    conversation.now += 60
    events = conversation.send(Puback(packet_id=1))

    (second,) = conversation.answers()
    assert events == [MessageExpired(tag="old")]
    assert isinstance(first, Publish)
    assert isinstance(second, Publish)
    assert first.properties == Properties(message_expiry_s=60)
    assert second.payload == b"2"
    assert second.properties == Properties(message_expiry_s=40)


@pytest.mark.parametrize("version", BOTH_VERSIONS)
@pytest.mark.parametrize(
    ("qos", "answer"), [(2, Puback(packet_id=1)), (1, Pubrec(packet_id=1)), (2, Pubcomp(packet_id=1))]
)
def test_an_acknowledgement_of_another_qos_ends_the_connection(version: Version, qos: int, answer: Packet) -> None:
    """A PUBACK for QoS 2, a PUBREC for QoS 1, a PUBCOMP before its PUBREC."""
    conversation = opened(version)
    conversation.publish(outbound(qos=qos))

    conversation.send(answer)

    assert conversation.closed.reason is CloseReason.PROTOCOL_ERROR


@pytest.mark.parametrize(("version", "reason"), [(V5, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND), (Version.V3_1_1, None)])
def test_acknowledgements_nobody_waits_for_are_harmless(version: Version, reason: ReasonCode | None) -> None:
    """They may be of a session that is gone; a PUBREC gets its PUBREL, so that it comes to an end."""
    conversation = opened(version)

    events = conversation.send(Puback(packet_id=9), Pubcomp(packet_id=9), Pubrec(packet_id=9))

    assert events == []
    assert conversation.answers() == [Pubrel(packet_id=9, reason=reason or ReasonCode.SUCCESS)]


def test_nothing_is_published_before_and_after_the_connection() -> None:
    """The owner is told, and may keep the message in the session."""
    before, after = Conversation(), opened()
    after.connection.connection_lost()

    assert not before.publish(outbound())
    assert not after.publish(outbound())
    assert before.answers() + after.answers() == []
