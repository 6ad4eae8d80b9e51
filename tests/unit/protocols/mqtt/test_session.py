"""What a session holds between connections, and how much."""

from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.protocols.mqtt.packets import SubscriptionOptions
from commandpost.protocols.mqtt.session import MqttSession
from tests.unit.protocols.mqtt.conversation import LIMITS, opened, outbound

OPTIONS = SubscriptionOptions(qos=1)


def test_messages_wait_in_a_session_without_a_connection_up_to_its_bounds() -> None:
    """By count and by bytes; what is refused changes nothing."""
    by_count = MqttSession("d", limits=MqttLimits(queued_max=2))
    by_bytes = MqttSession("d", limits=MqttLimits(queued_bytes_max=1_000))

    assert [by_count.enqueue(outbound(b"%d" % number)) for number in range(3)] == [True, True, False]
    assert [by_bytes.enqueue(outbound(bytes(size))) for size in (500, 500, 100)] == [True, False, True]
    assert by_count.pending_count == 2
    assert 600 < by_bytes.queued_bytes <= 1_000


def test_taking_what_was_queued_gives_all_the_room_back() -> None:
    """Oldest first, and nothing is left of the queue."""
    session = MqttSession("d", limits=LIMITS)
    for number in range(3):
        session.enqueue(outbound(b"%d" % number))

    taken = [session.take_queued().payload for _ in range(3)]

    assert taken == [b"0", b"1", b"2"]
    assert session.next_queued() is None
    assert session.queued_bytes == 0
    assert session.queue is None


def test_subscriptions_are_bounded_and_changed_in_their_place() -> None:
    """A filter that is held may always get other options."""
    session = MqttSession("d", limits=MqttLimits(subscriptions_max=2))
    assert session.subscriptions == {}

    assert [session.subscribe(name, OPTIONS) for name in ("a", "b", "c", "a")] == [True, True, False, True]
    assert list(session.subscriptions) == ["a", "b"]
    assert session.unsubscribe("a")
    assert not session.unsubscribe("a")
    assert session.subscribe("c", OPTIONS)


def test_an_idle_session_has_no_containers() -> None:
    """A million of them are mostly idle."""
    session = MqttSession("d", limits=LIMITS)
    conversation = opened(session=session)
    conversation.connection.connection_lost()

    assert (session.queue, session.deliveries, session.inbound_ids) == (None, None, None)
