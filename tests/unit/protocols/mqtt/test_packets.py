"""What can be constructed can be encoded: records refuse the rest."""

from collections.abc import Callable

import pytest

from commandpost.protocols.errors import EncodeError
from commandpost.protocols.mqtt.packet_types import Version
from commandpost.protocols.mqtt.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    SubscriptionEntry,
    SubscriptionOptions,
    Unsuback,
    Unsubscribe,
    Will,
)
from commandpost.protocols.mqtt.properties import PAIRS_MAX, Properties
from commandpost.protocols.mqtt.reason_codes import ReasonCode
from commandpost.protocols.mqtt.session import OutboundMessage

ENTRY = SubscriptionEntry(topic_filter="a", options=SubscriptionOptions())
TWO_IDENTIFIERS = Properties(subscription_identifiers=(1, 2))
NO_RECORDS: dict[str, Callable[[], object]] = {
    "a keepalive beyond 16 bits": lambda: Connect(version=Version.V5, client_id="", keepalive_s=65_536),
    "a client id with NUL": lambda: Connect(version=Version.V5, client_id="\0"),
    "a password beyond 16 bits": lambda: Connect(version=Version.V5, client_id="", password=bytes(65_536)),
    "a 3.1.1 password alone": lambda: Connect(version=Version.V3_1_1, client_id="", password=b""),
    "a will to a wildcard": lambda: Will(topic="#", payload=b""),
    "a will with QoS 3": lambda: Will(topic="a", payload=b"", qos=3),
    "a will beyond 16 bits": lambda: Will(topic="a", payload=bytes(65_536)),
    "a refusal with a session": lambda: Connack(reason=ReasonCode.BANNED, session_present=True),
    "a connack of another packet's reason": lambda: Connack(reason=ReasonCode.PACKET_IDENTIFIER_IN_USE),
    "a publish without a topic": lambda: Publish(topic=""),
    "a publish to a wildcard": lambda: Publish(topic="a/+"),
    "QoS 0 with a packet id": lambda: Publish(topic="a", packet_id=1),
    "QoS 0 again": lambda: Publish(topic="a", is_duplicate=True),
    "QoS 1 without a packet id": lambda: Publish(topic="a", qos=1),
    "QoS 3": lambda: Publish(topic="a", qos=3, packet_id=1),
    "packet id 0": lambda: Publish(topic="a", qos=1, packet_id=0),
    "packet id 65,536": lambda: Puback(packet_id=65_536),
    "a puback of another packet's reason": lambda: Puback(packet_id=1, reason=ReasonCode.GRANTED_QOS_1),
    "a pubrec of another packet's reason": lambda: Pubrec(packet_id=1, reason=ReasonCode.BANNED),
    "a pubrel of another packet's reason": lambda: Pubrel(packet_id=1, reason=ReasonCode.QUOTA_EXCEEDED),
    "a pubcomp of another packet's reason": lambda: Pubcomp(packet_id=1, reason=ReasonCode.QUOTA_EXCEEDED),
    "subscription QoS 3": lambda: SubscriptionOptions(qos=3),
    "retain handling 3": lambda: SubscriptionOptions(retain_handling=3),
    "an invalid filter": lambda: SubscriptionEntry(topic_filter="a#", options=SubscriptionOptions()),
    "no local and shared": lambda: SubscriptionEntry(
        topic_filter="$share/g/a", options=SubscriptionOptions(no_local=True)
    ),
    "a subscribe of nothing": lambda: Subscribe(packet_id=1, entries=()),
    "a subscribe with two identifiers": lambda: Subscribe(packet_id=1, entries=(ENTRY,), properties=TWO_IDENTIFIERS),
    "a suback of nothing": lambda: Suback(packet_id=1, reasons=()),
    "a suback of another packet's reason": lambda: Suback(packet_id=1, reasons=(ReasonCode.BANNED,)),
    "an unsubscribe of nothing": lambda: Unsubscribe(packet_id=1, topic_filters=()),
    "an unsubscribe of an invalid filter": lambda: Unsubscribe(packet_id=1, topic_filters=("",)),
    "an unsuback of another packet's reason": lambda: Unsuback(packet_id=1, reasons=(ReasonCode.GRANTED_QOS_1,)),
    "a disconnect of another packet's reason": lambda: Disconnect(reason=ReasonCode.BANNED),
    "an auth of another packet's reason": lambda: Auth(reason=ReasonCode.BANNED),
    "a property of another packet": lambda: Puback(packet_id=1, properties=Properties(topic_alias=1)),
    "a property out of range": lambda: Properties(receive_maximum=0),
    "an expiry beyond 32 bits": lambda: Properties(message_expiry_s=1 << 32),
    "a text with NUL": lambda: Properties(reason_string="\0"),
    "a pair with a surrogate": lambda: Properties(user_properties=(("k", "\ud800"),)),
    "data beyond 16 bits": lambda: Properties(correlation_data=bytes(65_536)),
    "a response topic with a wildcard": lambda: Properties(response_topic="a/+"),
    "authentication data without a method": lambda: Properties(authentication_data=b"x"),
    "too many pairs": lambda: Properties(user_properties=(("k", "v"),) * (PAIRS_MAX + 1)),
    "an outbound message to a wildcard": lambda: OutboundMessage(topic="#"),
    "an outbound message with QoS 3": lambda: OutboundMessage(topic="a", qos=3),
    "an outbound message with another packet's property": lambda: OutboundMessage(
        topic="a", properties=Properties(receive_maximum=1)
    ),
}


@pytest.mark.parametrize("make", NO_RECORDS.values(), ids=NO_RECORDS.keys())
def test_a_record_without_a_form_on_the_wire_is_refused(make: Callable[[], object]) -> None:
    """Where it is made, not where it is sent."""
    with pytest.raises(EncodeError):
        make()


def test_secrets_and_payloads_are_not_in_the_text_of_a_record() -> None:
    """Records find their way into logs."""
    will = Will(topic="a", payload=b"private")
    text = repr(Connect(version=Version.V5, client_id="d", username="u", password=b"hidden", will=will))

    assert "hidden" not in text
    assert "private" not in text
    assert "private" not in repr(OutboundMessage(topic="a", payload=b"private"))


def test_the_text_of_properties_names_what_is_there() -> None:
    """Of the 27 a packet has a few."""
    assert repr(Properties(topic_alias=3, content_type="x")) == "Properties(content_type='x', topic_alias=3)"
