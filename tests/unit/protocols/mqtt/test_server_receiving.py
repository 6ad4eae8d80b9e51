"""Messages of a device: QoS 0 to 2, their acknowledgements, aliases, and what waits for the owner."""

import pytest

from commandpost.protocols.mqtt.events import CloseReason, PublishReceived
from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.protocols.mqtt.packet_types import Version
from commandpost.protocols.mqtt.packets import Disconnect, Pingreq, Pingresp, Puback, Pubcomp, Pubrec, Pubrel
from commandpost.protocols.mqtt.properties import Properties
from commandpost.protocols.mqtt.reason_codes import ReasonCode
from commandpost.protocols.mqtt.session import MqttSession
from tests.unit.protocols.mqtt.conversation import BOTH_VERSIONS, LIMITS, Conversation, message, opened, received

V5 = Version.V5
TWO = MqttLimits(inbound_unacknowledged_max=2)


def acknowledge(conversation: Conversation, *events: PublishReceived, reason: ReasonCode = ReasonCode.SUCCESS) -> None:
    for event in events:
        assert event.handle is not None
        conversation.connection.acknowledge(event.handle, reason)


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_qos_0_is_handed_on_and_not_acknowledged(version: Version) -> None:
    """There is nothing to acknowledge, and so no handle."""
    conversation = opened(version)

    (event,) = received(conversation.send(message(b"hello", topic="$dp", retain=True)))

    assert event == PublishReceived(
        handle=None, topic="$dp", payload=b"hello", qos=0, retain=True, is_duplicate=False, properties=event.properties
    )
    assert conversation.answers() == []


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_qos_1_is_acknowledged_when_the_owner_says_so(version: Version) -> None:
    """Not before: the message may not be on disk yet."""
    conversation = opened(version)
    (event,) = received(conversation.send(message(qos=1, packet_id=7, is_duplicate=True)))
    assert conversation.answers() == []
    assert event.is_duplicate

    acknowledge(conversation, event)

    assert conversation.answers() == [Puback(packet_id=7)]


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_qos_2_takes_four_packets(version: Version) -> None:
    """MQTT 3.1.1 section 4.3.3."""
    conversation = opened(version)
    (event,) = received(conversation.send(message(qos=2, packet_id=7)))
    acknowledge(conversation, event)
    assert conversation.answers() == [Pubrec(packet_id=7)]

    events = conversation.send(Pubrel(packet_id=7))

    assert events == []
    assert conversation.answers() == [Pubcomp(packet_id=7)]


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_acknowledgements_leave_in_the_order_of_the_messages(version: Version) -> None:
    """MQTT 3.1.1 section 4.6, whatever the order of the owner's calls."""
    conversation = opened(version)
    first, second, third = received(
        conversation.send(*(message(qos=qos, packet_id=number) for number, qos in ((1, 1), (2, 2), (3, 1))))
    )

    acknowledge(conversation, third, second)
    before = conversation.answers()
    acknowledge(conversation, first)

    assert before == []
    assert conversation.answers() == [Puback(packet_id=1), Pubrec(packet_id=2), Puback(packet_id=3)]


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_a_qos_2_message_sent_again_is_not_handed_on_again(version: Version) -> None:
    """Until its PUBREL; then the packet id stands for another message."""
    conversation = opened(version)
    again = message(qos=2, packet_id=7, is_duplicate=True)
    (event,) = received(conversation.send(again))
    assert conversation.send(again) == []
    assert conversation.answers() == []
    acknowledge(conversation, event)
    assert conversation.answers() == [Pubrec(packet_id=7)]

    assert conversation.send(again) == []
    assert conversation.answers() == [Pubrec(packet_id=7)]
    conversation.send(Pubrel(packet_id=7))

    assert len(conversation.send(message(qos=2, packet_id=7))) == 1


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_a_qos_2_message_sent_again_on_the_next_connection_is_not_handed_on_again(version: Version) -> None:
    """Exactly once by packet id, across the connections of a session."""
    session = MqttSession("d", limits=LIMITS)
    first = opened(version, session=session, clean_start=False)
    (event,) = received(first.send(message(qos=2, packet_id=7)))
    acknowledge(first, event)
    first.connection.connection_lost()

    second = opened(version, session=session, is_present=True, clean_start=False)
    events = second.send(message(qos=2, packet_id=7, is_duplicate=True), Pubrel(packet_id=7))

    assert events == []
    assert second.answers()[1:] == [Pubrec(packet_id=7), Pubcomp(packet_id=7)]


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_a_message_the_owner_still_writes_is_acknowledged_on_the_next_connection(version: Version) -> None:
    """The device came back before the store had answered: one message, one acknowledgement."""
    session = MqttSession("d", limits=LIMITS)
    first = opened(version, session=session, clean_start=False)
    (event,) = received(first.send(message(qos=2, packet_id=7)))
    first.connection.connection_lost()
    second = opened(version, session=session, is_present=True, clean_start=False)
    assert second.send(message(qos=2, packet_id=7, is_duplicate=True)) == []
    assert len(second.answers()) == 1

    acknowledge(first, event)

    assert second.answers() == [Pubrec(packet_id=7)]
    assert first.answers()[1:] == []


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_a_message_whose_write_failed_after_the_end_is_taken_again(version: Version) -> None:
    """A refusal is not remembered as a success."""
    session = MqttSession("d", limits=LIMITS)
    first = opened(version, session=session, clean_start=False)
    (event,) = received(first.send(message(qos=2, packet_id=7)))
    first.connection.connection_lost()

    acknowledge(first, event, reason=ReasonCode.UNSPECIFIED_ERROR)

    second = opened(version, session=session, is_present=True, clean_start=False)
    assert len(second.send(message(qos=2, packet_id=7, is_duplicate=True))) == 1


@pytest.mark.parametrize("qos", [1, 2])
def test_mqtt_5_is_told_of_a_refused_message(qos: int) -> None:
    """With PUBACK or PUBREC; the packet id is free at once (MQTT 5.0 section 4.3.3)."""
    conversation = opened(V5)
    (event,) = received(conversation.send(message(qos=qos, packet_id=7)))
    assert event.handle is not None

    conversation.connection.acknowledge(event.handle, ReasonCode.QUOTA_EXCEEDED, reason_string="full")

    answer = Puback if qos == 1 else Pubrec
    properties = Properties(reason_string="full")
    assert conversation.answers() == [answer(packet_id=7, reason=ReasonCode.QUOTA_EXCEEDED, properties=properties)]
    assert len(conversation.send(message(qos=qos, packet_id=7))) == 1


@pytest.mark.parametrize(
    "properties",
    [Properties(request_problem_information=False), Properties(maximum_packet_bytes=100)],
    ids=["not wanted", "too long"],
)
def test_a_reason_string_is_left_out_where_it_may_not_be(properties: Properties) -> None:
    """MQTT 5.0 sections 3.1.2.11.7 and 3.4.2.2.2."""
    conversation = opened(V5, connect_properties=properties)
    (event,) = received(conversation.send(message(qos=1, packet_id=7)))
    assert event.handle is not None

    conversation.connection.acknowledge(event.handle, ReasonCode.QUOTA_EXCEEDED, reason_string="n" * 200)

    assert conversation.answers() == [Puback(packet_id=7, reason=ReasonCode.QUOTA_EXCEEDED)]


@pytest.mark.parametrize("qos", [1, 2])
def test_the_connection_of_a_3_1_1_device_ends_with_a_refused_message(qos: int) -> None:
    """MQTT 3.1.1 section 3.3.5: acknowledge, or close."""
    conversation = opened()
    first, second = received(conversation.send(message(qos=qos), message(qos=qos, packet_id=2)))

    acknowledge(conversation, first, reason=ReasonCode.UNSPECIFIED_ERROR)
    acknowledge(conversation, second)
    conversation.drain()

    assert conversation.answers() == []
    assert conversation.closed.reason is CloseReason.LOCAL


def test_a_message_is_acknowledged_once_and_with_its_own_reasons() -> None:
    """Anything else is the owner's mistake."""
    conversation = opened()
    (event,) = received(conversation.send(message(qos=1)))
    assert event.handle is not None

    with pytest.raises(ValueError, match="PUBACK"):
        conversation.connection.acknowledge(event.handle, ReasonCode.GRANTED_QOS_1)
    acknowledge(conversation, event)
    with pytest.raises(ValueError, match="once"):
        conversation.connection.acknowledge(event.handle)


def test_a_3_1_1_device_waits_while_too_much_is_unacknowledged() -> None:
    """Nothing more is decoded until the owner has caught up."""
    conversation = opened(limits=TWO)
    events = received(conversation.send(*(message(qos=1, packet_id=number) for number in range(1, 6)), Pingreq()))
    assert [event.handle.packet_id for event in events if event.handle] == [1, 2]
    assert conversation.is_waiting()
    assert conversation.answers() == []

    acknowledge(conversation, *events)
    more = received(conversation.drain())
    acknowledge(conversation, *more)
    last = received(conversation.drain())

    assert len(more) == 2
    assert len(last) == 1
    assert not conversation.is_waiting()
    assert conversation.answers()[-1] == Pingresp()


def test_too_many_bytes_unacknowledged_pause_both_versions() -> None:
    """A hundred messages of 256 KiB would be 25 MiB."""
    for version in BOTH_VERSIONS:
        conversation = opened(version, limits=MqttLimits(inbound_unacknowledged_bytes_max=1_000))
        events = received(conversation.send(message(bytes(1_000), qos=1), message(bytes(10), qos=1, packet_id=2)))
        assert len(events) == 1
        assert conversation.connection.is_paused

        acknowledge(conversation, *events)

        assert len(conversation.drain()) == 1


def test_what_comes_while_paused_is_bounded() -> None:
    """A driver that goes on reading does not fill the memory."""
    conversation = opened(limits=MqttLimits(inbound_unacknowledged_max=1, held_bytes_max=100_000))
    conversation.send(message(qos=1))

    conversation.send_bytes(bytes(100_000))
    assert conversation.connection.is_paused
    conversation.send_bytes(b"\0")

    assert conversation.closed.reason is CloseReason.LIMIT_EXCEEDED
    assert conversation.connection.buffered_bytes == 0


@pytest.mark.parametrize("qos", [1, 2])
def test_more_than_the_receive_maximum_ends_an_mqtt_5_connection(qos: int) -> None:
    """MQTT 5.0 section 3.3.4: 0x93. QoS 2 counts until its PUBREL."""
    conversation = opened(V5, limits=TWO)
    events = received(conversation.send(message(qos=qos), message(qos=qos, packet_id=2)))
    if qos == 2:
        acknowledge(conversation, *events)
        conversation.answers()

    conversation.send(message(qos=qos, packet_id=3))

    assert conversation.answers() == [Disconnect(reason=ReasonCode.RECEIVE_MAXIMUM_EXCEEDED)]
    assert conversation.closed.reason is CloseReason.LIMIT_EXCEEDED


def test_acknowledged_and_released_messages_give_their_places_back() -> None:
    """The quota of a device that behaves is never used up."""
    conversation = opened(V5, limits=TWO)
    for number in range(1, 10):
        (event,) = received(conversation.send(message(qos=1 + number % 2, packet_id=number)))
        acknowledge(conversation, event)
        conversation.send(Pubrel(packet_id=number))

    assert conversation.connection.bytes_to_send()
    assert len(received(conversation.events)) == 9


def test_more_unreleased_messages_than_allowed_end_a_3_1_1_connection() -> None:
    """It has no Receive Maximum; the table of packet ids is bounded all the same."""
    conversation = opened(limits=MqttLimits(unreleased_max=2))
    for number in (1, 2):
        acknowledge(conversation, *received(conversation.send(message(qos=2, packet_id=number))))

    conversation.send(message(qos=2, packet_id=3))

    assert conversation.closed.reason is CloseReason.LIMIT_EXCEEDED


def test_packet_ids_abandoned_on_earlier_connections_make_room() -> None:
    """A device that forgets what it began is not locked out for good."""
    limits = MqttLimits(unreleased_max=2)
    session = MqttSession("d", limits=limits)
    for number in (1, 2, 3, 4):
        conversation = opened(limits=limits, session=session, is_present=True)
        (event,) = received(conversation.send(message(qos=2, packet_id=number)))
        acknowledge(conversation, event)
        conversation.connection.connection_lost()

    assert list(session.inbound_ids or ()) == [3, 4]


@pytest.mark.parametrize(("version", "reason"), [(V5, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND), (Version.V3_1_1, None)])
def test_a_pubrel_of_an_unknown_message_is_answered(version: Version, reason: ReasonCode | None) -> None:
    """Its PUBCOMP may have been lost with a connection."""
    conversation = opened(version)

    conversation.send(Pubrel(packet_id=9))

    assert conversation.answers() == [Pubcomp(packet_id=9, reason=reason or ReasonCode.SUCCESS)]


def test_a_topic_alias_stands_for_its_topic() -> None:
    """MQTT 5.0 section 3.3.2.3.4; the owner sees the topic and no alias, which means nothing elsewhere."""
    conversation = opened(V5)
    alias = Properties(topic_alias=1)

    first, second, third = received(
        conversation.send(
            message(topic="a/b", properties=alias),
            message(topic="", properties=alias),
            message(topic="c", properties=Properties(topic_alias=1, content_type="x")),
        )
    )

    assert [first.topic, second.topic, third.topic] == ["a/b", "a/b", "c"]
    assert second.properties == Properties()
    assert third.properties == Properties(content_type="x")
    assert received(conversation.send(message(topic="", properties=alias)))[0].topic == "c"


@pytest.mark.parametrize(
    ("topic", "alias"), [("a", 0), ("a", LIMITS.topic_aliases_max + 1), ("", 1)], ids=["zero", "too large", "not set"]
)
def test_a_topic_alias_that_cannot_be_is_told_so(topic: str, alias: int) -> None:
    """0x94."""
    conversation = opened(V5)

    conversation.send(message(topic=topic, properties=Properties(topic_alias=alias)))

    assert conversation.answers() == [Disconnect(reason=ReasonCode.TOPIC_ALIAS_INVALID)]
    assert conversation.closed.code is ReasonCode.TOPIC_ALIAS_INVALID


def test_a_device_sends_no_subscription_identifiers() -> None:
    """MQTT 5.0 section 3.3.4: they are the server's to send."""
    conversation = opened(V5)

    conversation.send(message(properties=Properties(subscription_identifiers=(1,))))

    assert conversation.answers() == [Disconnect(reason=ReasonCode.PROTOCOL_ERROR)]


def test_properties_of_a_message_are_carried() -> None:
    """Whether a payload is the text it says it is, is not looked at."""
    conversation = opened(V5)
    properties = Properties(
        payload_format_indicator=1,
        message_expiry_s=60,
        response_topic="r",
        correlation_data=b"\xff",
        user_properties=(("k", "v"), ("k", "w")),
    )

    (event,) = received(conversation.send(message(b"\xff", properties=properties)))

    assert event.properties == properties
