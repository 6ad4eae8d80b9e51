"""Messages a device has answered before it acknowledged them: others go in their place, their ids stay taken."""

import pytest

from commandpost.protocols.mqtt.events import MessageDelivered
from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.protocols.mqtt.packet_types import Version
from commandpost.protocols.mqtt.packets import Packet, Puback, Publish
from commandpost.protocols.mqtt.properties import Properties
from commandpost.protocols.mqtt.session import PACKET_ID_MAX, MqttSession
from tests.unit.protocols.mqtt.conversation import BOTH_VERSIONS, Conversation, opened, outbound

ONE_AT_A_TIME = MqttLimits(inflight_max=1)


def ids(packets: list[Packet]) -> list[int | None]:
    return [packet.packet_id for packet in packets if isinstance(packet, Publish)]


def settle(conversation: Conversation, tag: object) -> None:
    """The owner has seen the device's answer."""
    conversation.connection.settle(tag, now=conversation.now)


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_another_message_goes_in_place_of_one_that_is_settled(version: Version) -> None:
    """Its PUBACK may follow, and means nothing to anybody then."""
    conversation = opened(version, limits=ONE_AT_A_TIME)
    for tag in ("c-1", "c-2", "c-3"):
        conversation.publish(outbound(qos=1, tag=tag))
    assert ids(conversation.answers()) == [1]

    settle(conversation, "c-1")
    assert ids(conversation.answers()) == [2]
    assert conversation.send(Puback(packet_id=1)) == []
    assert conversation.answers() == []

    assert conversation.send(Puback(packet_id=2)) == [MessageDelivered(tag="c-2")]
    assert ids(conversation.answers()) == [3]


def test_only_a_qos_1_message_that_is_out_can_be_settled() -> None:
    """One that waits, one of QoS 2 and one that is unknown stay as they are."""
    conversation = opened(limits=ONE_AT_A_TIME)
    conversation.publish(outbound(qos=2, tag="c-1"))
    conversation.publish(outbound(qos=1, tag="c-2"))
    conversation.answers()

    for tag in ("c-1", "c-2", "c-9", None):
        settle(conversation, tag)

    assert conversation.answers() == []
    session = conversation.connection.session
    assert session is not None
    assert session.pending_count == 2


def test_a_settled_message_still_counts_in_the_receive_maximum_of_its_peer() -> None:
    """MQTT 5.0 section 4.9: until its PUBACK."""
    conversation = opened(Version.V5, connect_properties=Properties(receive_maximum=2))
    for tag in ("c-1", "c-2", "c-3"):
        conversation.publish(outbound(qos=1, tag=tag))
    assert ids(conversation.answers()) == [1, 2]

    settle(conversation, "c-1")
    assert conversation.answers() == []
    conversation.send(Puback(packet_id=1))

    assert ids(conversation.answers()) == [3]


def test_the_id_of_a_settled_message_is_not_given_again_before_its_puback() -> None:
    """Else a late PUBACK would be taken for another message's; the next connection knows nothing of it."""
    session = MqttSession("d", limits=ONE_AT_A_TIME)
    conversation = opened(limits=ONE_AT_A_TIME, session=session)
    conversation.publish(outbound(qos=1, tag="c-1"))
    settle(conversation, "c-1")

    given = {session.take_packet_id() for _ in range(PACKET_ID_MAX)}
    session.end_connection()
    given_later = {session.take_packet_id() for _ in range(PACKET_ID_MAX)}

    assert (1 in given, 1 in given_later) == (False, True)


def test_a_peer_that_acknowledges_nothing_is_not_believed_for_ever() -> None:
    """What is kept of it is bounded; from then on its answers free no place."""
    conversation = opened(limits=MqttLimits(inflight_max=1, settled_max=2))
    for number in range(4):
        conversation.publish(outbound(qos=1, tag=number))
    for number in range(4):
        settle(conversation, number)

    assert ids(conversation.answers()) == [1, 2, 3]
    conversation.send(Puback(packet_id=1))
    settle(conversation, 2)
    assert ids(conversation.answers()) == [4]
