"""A message on its way to many devices: what is alike is made once.

Source: OASIS MQTT 5.0 section 3.3.2.3.
"""

from commandpost.domain.instant import Instant
from commandpost.domain.topic import TopicMessage
from commandpost.protocols.mqtt.properties import NO_PROPERTIES, Properties, encode_properties
from commandpost.southbound.mqtt.messages import OutgoingMessage, QueuedTag
from tests.fakes.clock import ManualClock

PROPERTIES = Properties(content_type="text/plain", user_properties=(("room", "7"),))


def outgoing(*, properties: Properties = PROPERTIES, expires_in_ms: int | None = None) -> OutgoingMessage:
    """Give a message as it is routed."""
    clock = ManualClock()
    message = TopicMessage(
        topic="a",
        payload=b"x",
        qos=1,
        properties=encode_properties(properties),
        expires_at=None if expires_in_ms is None else Instant(clock.wall_ms() + expires_in_ms),
    )
    return OutgoingMessage(message, clock)


def test_devices_that_take_a_message_alike_share_it() -> None:
    """QoS, RETAIN and identifiers tell them apart."""
    message = outgoing()
    plain = message.copy(qos=1, retain=False, identifiers=(), number=None)
    again = message.copy(qos=1, retain=False, identifiers=(), number=None)
    others = [
        message.copy(qos=0, retain=False, identifiers=(), number=None),
        message.copy(qos=1, retain=True, identifiers=(), number=None),
        message.copy(qos=1, retain=False, identifiers=(7,), number=None),
    ]

    assert again is plain
    assert [(each.qos, each.retain, each.properties.subscription_identifiers) for each in (plain, *others)] == [
        (1, False, ()),
        (0, False, ()),
        (1, True, ()),
        (1, False, (7,)),
    ]


def test_copies_on_disk_have_their_own_numbers_and_the_properties_in_common() -> None:
    """They are read from their bytes once."""
    message = outgoing()
    first, second = [message.copy(qos=1, retain=False, identifiers=(), number=number) for number in (1, 2)]

    assert (first.tag, second.tag) == (QueuedTag(1), QueuedTag(2))
    assert first.properties == PROPERTIES
    assert first.properties is second.properties


def test_a_message_that_expires_says_in_how_many_seconds() -> None:
    """Begun ones count; a message without properties and expiry has none."""
    expiring = outgoing(expires_in_ms=9_001).copy(qos=1, retain=False, identifiers=(), number=None)
    lasting = outgoing(properties=NO_PROPERTIES).copy(qos=1, retain=False, identifiers=(), number=None)

    assert expiring.expires_at == ManualClock().monotonic() + 9.001
    assert (expiring.properties.message_expiry_s, expiring.properties.content_type) == (10, "text/plain")
    assert lasting.properties is NO_PROPERTIES
