"""SUBSCRIBE and UNSUBSCRIBE, and the subscriptions of a session."""

import pytest

from commandpost.protocols.mqtt.events import CloseReason, SubscribeReceived, UnsubscribeReceived
from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.protocols.mqtt.packet_types import Version
from commandpost.protocols.mqtt.packets import (
    Disconnect,
    Pingreq,
    Pingresp,
    Suback,
    Subscribe,
    SubscriptionEntry,
    SubscriptionOptions,
    Unsuback,
    Unsubscribe,
)
from commandpost.protocols.mqtt.properties import NO_PROPERTIES, Properties
from commandpost.protocols.mqtt.reason_codes import ReasonCode
from tests.unit.protocols.mqtt.conversation import BOTH_VERSIONS, opened, subscribe

V5 = Version.V5
GRANTED_0, GRANTED_1, REFUSED = ReasonCode.SUCCESS, ReasonCode.GRANTED_QOS_1, ReasonCode.NOT_AUTHORIZED


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_a_subscribe_is_answered_with_a_code_for_each_filter(version: Version) -> None:
    """In 3.1.1 every refusal is 0x80."""
    conversation = opened(version)
    packet = subscribe("a/+", "$creq/#", "b", packet_id=9)

    events = conversation.send(packet)
    codes = conversation.connection.grant(9, (GRANTED_1, REFUSED, GRANTED_0))

    assert events == [SubscribeReceived(packet_id=9, entries=packet.entries, properties=NO_PROPERTIES)]
    assert codes == (GRANTED_1, REFUSED, GRANTED_0)
    refused = REFUSED if version is V5 else ReasonCode.UNSPECIFIED_ERROR
    assert conversation.answers() == [Suback(packet_id=9, reasons=(GRANTED_1, refused, GRANTED_0))]


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_what_is_granted_is_kept_in_the_session(version: Version) -> None:
    """With the QoS granted, and what was refused is not."""
    conversation = opened(version)
    conversation.send(subscribe("a", "b", "c"))
    conversation.connection.grant(1, (GRANTED_1, REFUSED, GRANTED_0))
    session = conversation.connection.session
    assert session is not None

    assert session.subscriptions == {"a": SubscriptionOptions(qos=1), "c": SubscriptionOptions(qos=0)}


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_an_unsubscribe_takes_filters_out_of_the_session(version: Version) -> None:
    """Only MQTT 5 has a code for each."""
    conversation = opened(version)
    conversation.send(subscribe("a", "b"))
    conversation.connection.grant(1, (GRANTED_1, GRANTED_1))
    conversation.answers()

    events = conversation.send(Unsubscribe(packet_id=2, topic_filters=("a", "x")))
    conversation.connection.confirm_unsubscribe(2, (ReasonCode.SUCCESS, ReasonCode.NO_SUBSCRIPTION_EXISTED))

    assert events == [UnsubscribeReceived(packet_id=2, topic_filters=("a", "x"), properties=NO_PROPERTIES)]
    reasons = (ReasonCode.SUCCESS, ReasonCode.NO_SUBSCRIPTION_EXISTED) if version is V5 else ()
    assert conversation.answers() == [Unsuback(packet_id=2, reasons=reasons)]
    assert conversation.connection.session is not None
    assert list(conversation.connection.session.subscriptions) == ["b"]


def test_options_identifier_and_shared_filters_of_mqtt_5_reach_the_owner() -> None:
    """Shared subscriptions are the owner's to refuse."""
    options = SubscriptionOptions(qos=2, retain_as_published=True, retain_handling=1)
    packet = Subscribe(
        packet_id=1,
        entries=(SubscriptionEntry(topic_filter="$share/g/a", options=options),),
        properties=Properties(subscription_identifiers=(321,)),
    )
    conversation = opened(V5)

    (event,) = conversation.send(packet)
    conversation.connection.grant(1, (ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,), reason_string="no")

    assert event == SubscribeReceived(packet_id=1, entries=packet.entries, properties=packet.properties)
    assert conversation.answers() == [
        Suback(
            packet_id=1,
            reasons=(ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,),
            properties=Properties(reason_string="no"),
        )
    ]


def test_a_session_takes_no_more_subscriptions_than_its_limit() -> None:
    """The engine refuses what the owner would have granted; a filter held already may change."""
    conversation = opened(V5, limits=MqttLimits(subscriptions_max=2))
    conversation.send(subscribe("a", "b", "c"))

    first = conversation.connection.grant(1, (GRANTED_1,) * 3)
    conversation.send(subscribe("a", packet_id=2))
    second = conversation.connection.grant(2, (GRANTED_0,))

    assert first == (GRANTED_1, GRANTED_1, ReasonCode.QUOTA_EXCEEDED)
    assert second == (GRANTED_0,)


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_more_filters_in_one_packet_than_allowed_end_the_connection(version: Version) -> None:
    """0x97 in MQTT 5."""
    conversation = opened(version, limits=MqttLimits(subscribe_entries_max=2))

    conversation.send(subscribe("a", "b", "c"))

    assert conversation.closed.reason is CloseReason.LIMIT_EXCEEDED
    assert conversation.closed.code is ReasonCode.QUOTA_EXCEEDED


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_nothing_is_read_behind_a_subscription_until_it_is_answered(version: Version) -> None:
    """What follows it is to find it in effect; so with an UNSUBSCRIBE, even of the same packet id."""
    conversation = opened(version)
    unsubscribe = Unsubscribe(packet_id=1, topic_filters=("a",))

    first = conversation.send(subscribe("a"), unsubscribe, Pingreq(), subscribe("b", packet_id=3))
    was_paused = conversation.connection.is_paused
    conversation.connection.grant(1, (GRANTED_0,))
    second = conversation.drain()
    between = conversation.answers()
    conversation.connection.confirm_unsubscribe(1, (ReasonCode.SUCCESS,))
    third = conversation.drain()

    assert [type(event) for event in (*first, *second, *third)] == [
        SubscribeReceived,
        UnsubscribeReceived,
        SubscribeReceived,
    ]
    assert (len(first), was_paused) == (1, True)
    assert [type(packet) for packet in between] == [Suback]
    assert [type(packet) for packet in conversation.answers()] == [Unsuback, Pingresp]


def test_an_invalid_filter_ends_an_mqtt_5_connection_with_its_reason() -> None:
    """0x8F."""
    conversation = opened(V5)

    conversation.send_bytes(bytes.fromhex("82 08 00 01 00 00 02 61 23 00"))

    assert conversation.answers() == [Disconnect(reason=ReasonCode.TOPIC_FILTER_INVALID)]


def test_an_answer_after_the_end_is_kept_but_not_sent() -> None:
    """The session is what the owner believes it to be."""
    conversation = opened()
    conversation.send(subscribe("a"))
    session = conversation.connection.session
    conversation.connection.connection_lost()

    conversation.connection.grant(1, (GRANTED_1,))

    assert conversation.answers() == []
    assert session is not None
    assert list(session.subscriptions) == ["a"]


def test_a_removal_that_is_confirmed_after_the_end_is_kept_but_not_sent() -> None:
    """As what was granted is."""
    conversation = opened()
    conversation.send(subscribe("a"))
    conversation.connection.grant(1, (GRANTED_1,))
    conversation.answers()
    conversation.send(Unsubscribe(packet_id=2, topic_filters=("a",)))
    session = conversation.connection.session
    conversation.connection.connection_lost()

    conversation.connection.confirm_unsubscribe(2, (ReasonCode.SUCCESS,))

    assert conversation.answers() == []
    assert session is not None
    assert list(session.subscriptions) == []


def test_an_answer_that_nobody_waits_for_is_the_owners_mistake() -> None:
    """Of which it hears at once; so with a wrong number of codes, and an answer given twice."""
    conversation = opened()
    conversation.send(subscribe("a"))

    with pytest.raises(ValueError, match="packet id 2"):
        conversation.connection.grant(2, (GRANTED_1,))
    with pytest.raises(ValueError, match="2 filters"):
        conversation.connection.grant(1, (GRANTED_1, GRANTED_1))
    conversation.connection.grant(1, (GRANTED_1,))
    with pytest.raises(ValueError, match="packet id 1"):
        conversation.connection.grant(1, (GRANTED_1,))
    with pytest.raises(ValueError, match="packet id 1"):
        conversation.connection.confirm_unsubscribe(1, (GRANTED_0,))
