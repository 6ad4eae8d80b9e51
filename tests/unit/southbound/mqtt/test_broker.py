"""Sessions, subscriptions, retained messages and wills between devices, over the reference store.

Source: OASIS MQTT 3.1.1 and 5.0, chapters 3 and 4; southbound reference 5.1, 5.4.
"""

import pytest

from commandpost.domain.errors import Invalid
from commandpost.domain.topic import QUEUED_MESSAGES_MAX, TopicMessage
from commandpost.domain.topic_facts import DropSubscriptions, DropTopicMessages, KeepTopicMessage
from commandpost.southbound.mqtt.messenger import Messenger
from tests.event_loop import on_event_loop
from tests.unit.southbound.mqtt.broker_bench import HOUR_S, BrokerBench, will

# --- what is kept ----------------------------------------------------------------------------------------------------


@on_event_loop
async def test_messages_for_a_device_that_is_away_wait_on_disk_in_their_order() -> None:
    """More than two pages of them; QoS 0 does not wait."""
    bench = BrokerBench()
    device = await bench.add_device("away")
    link, _ = await bench.attach(device, expiry_s=HOUR_S)
    await bench.subscribe(link, "a/#")
    await bench.detach(link)
    names = [b"%03d" % number for number in range(150)]
    for name in names:
        assert await bench.publish("a/b", name) == [True]
    await bench.publish("a/b", b"at most once", qos=0)
    link, is_present = await bench.attach(device, expiry_s=HOUR_S)

    assert is_present
    assert link.payloads == names


@on_event_loop
async def test_a_link_without_room_gets_the_rest_when_there_is_some() -> None:
    """In order, nothing twice, nothing lost: the disk is read again as messages are acknowledged."""
    bench = BrokerBench()
    device = await bench.add_device("slow")
    link, _ = await bench.attach(device, expiry_s=HOUR_S, room=10)
    await bench.subscribe(link, "a")
    names = [b"%02d" % number for number in range(40)]
    for name in names:
        await bench.publish("a", name)
    at_first = list(link.payloads)
    link.room = 1_000
    link.acknowledge(*at_first)
    await bench.house.settle()

    assert at_first == names[:10]
    assert link.payloads == names


@on_event_loop
async def test_a_message_that_comes_while_the_disk_is_read_does_not_overtake() -> None:
    bench = BrokerBench()
    device = await bench.add_device("busy")
    link, _ = await bench.attach(device, expiry_s=HOUR_S)
    await bench.subscribe(link, "a")
    await bench.detach(link)
    for name in (b"1", b"2"):
        await bench.publish("a", name)
    bench.house.writer.is_held = True
    message = TopicMessage(topic="a", payload=b"3", qos=1)
    bench.broker.route(bench.product_id, message, sender=None, then=lambda _is_safe: None)
    bench.house.writer.release()
    link, _ = await bench.attach(device, expiry_s=HOUR_S)
    await bench.publish("a", b"4")

    assert link.payloads == [b"1", b"2", b"3", b"4"]


@on_event_loop
async def test_what_was_acknowledged_does_not_come_again_after_a_restart() -> None:
    """What was sent and not acknowledged does; subscriptions are there."""
    bench = BrokerBench()
    device = await bench.add_device("durable")
    link, _ = await bench.attach(device, expiry_s=HOUR_S)
    await bench.subscribe(link, "a/+")
    for name in (b"1", b"2", b"3"):
        await bench.publish("a/b", name)
    link.acknowledge(b"1")
    await bench.house.settle()
    after = BrokerBench(before=bench)
    link, is_present = await after.attach(device, expiry_s=HOUR_S)
    await after.publish("a/c", b"4")

    assert is_present
    assert link.payloads == [b"2", b"3", b"4"]


@on_event_loop
async def test_a_message_is_safe_only_when_it_is_on_disk_for_everybody() -> None:
    """The sender is told that it is not: it sends it again."""
    bench = BrokerBench()
    device = await bench.add_device("durable")
    link, _ = await bench.attach(device, expiry_s=HOUR_S)
    await bench.subscribe(link, "a")
    bench.house.writer.failing.add(KeepTopicMessage)
    told = await bench.publish("a", b"lost")

    assert told == [False]
    assert link.payloads == []


@on_event_loop
async def test_a_full_queue_drops_the_newest() -> None:
    """Nothing is evicted, and the sender is not held up."""
    bench = BrokerBench()
    device = await bench.add_device("away for long")
    link, _ = await bench.attach(device, expiry_s=HOUR_S)
    await bench.subscribe(link, "a")
    await bench.detach(link)
    for number in range(QUEUED_MESSAGES_MAX):
        await bench.publish("a", b"%d" % number)
    told = await bench.publish("a", b"one too many")
    link, _ = await bench.attach(device, expiry_s=HOUR_S, room=10_000)

    assert told == [True]
    assert len(link.payloads) == QUEUED_MESSAGES_MAX
    assert link.payloads[-1] == b"%d" % (QUEUED_MESSAGES_MAX - 1)
    assert link.topics.dropped == 1


@on_event_loop
async def test_a_session_of_a_clean_start_leaves_nothing_behind() -> None:
    """Neither in memory nor on disk, and it can subscribe although the one before it was on disk."""
    bench = BrokerBench()
    device = await bench.add_device("clean")
    link, _ = await bench.attach(device, expiry_s=HOUR_S)
    await bench.subscribe(link, "old")
    await bench.detach(link)
    link, is_present = await bench.attach(device, is_clean=True)
    is_kept = await bench.subscribe(link, "new")
    await bench.publish("old", b"unheard")
    await bench.publish("new", b"heard")
    heard = link.payloads
    await bench.detach(link)
    after = BrokerBench(before=bench)
    again, was_present_after_restart = await after.attach(device, expiry_s=HOUR_S)

    assert (is_present, is_kept, was_present_after_restart) == (False, True, False)
    assert (heard, again.payloads) == ([b"heard"], [])


@on_event_loop
async def test_a_session_expires_when_its_device_stays_away() -> None:
    """In memory at the sweep, and for a restart; not while the device is connected."""
    bench = BrokerBench()
    device, connected = await bench.add_device("away"), await bench.add_device("here")
    link, _ = await bench.attach(device, expiry_s=HOUR_S)
    await bench.subscribe(link, "a")
    await bench.detach(link)
    here, _ = await bench.attach(connected, expiry_s=HOUR_S)
    await bench.subscribe(here, "a")
    await bench.house.advance(HOUR_S - 1)
    bench.broker.sweep()
    before = list(await Messenger(bench.broker).list_subscribers(bench.product_id, "a"))
    await bench.house.advance(2)
    bench.broker.sweep()
    await bench.house.settle()
    after = list(await Messenger(bench.broker).list_subscribers(bench.product_id, "a"))
    restarted = BrokerBench(before=bench)
    left = list(await Messenger(restarted.broker).list_subscribers(bench.product_id, "a"))

    assert before == [device.id, connected.id]
    assert after == left == [connected.id]


@on_event_loop
async def test_no_session_is_kept_for_longer_than_the_house_allows() -> None:
    """And the device is told what it gets."""
    bench = BrokerBench(session_expiry_max_s=60)
    device = await bench.add_device("greedy")
    link, _ = await bench.attach(device, expiry_s=2**32 - 1)

    assert link.topics.expiry_s == 60


# --- subscriptions ---------------------------------------------------------------------------------------------------


@on_event_loop
async def test_overlapping_filters_bring_one_copy_with_the_highest_qos_and_all_identifiers() -> None:
    """MQTT 3.1.1 section 3.3.5; MQTT 5.0 section 3.3.4."""
    bench = BrokerBench()
    device = await bench.add_device("overlapping")
    link, _ = await bench.attach(device)
    for number, (topic_filter, qos) in enumerate((("a/#", 0), ("a/+", 2), ("a/b", 1)), start=1):
        await bench.subscribe(link, topic_filter, qos, identifier=number)
    await bench.publish("a/b", b"once", qos=2)

    (message,) = link.sent
    assert message.qos == 2
    assert sorted(message.properties.subscription_identifiers) == [1, 2, 3]


@on_event_loop
async def test_no_local_spares_the_sender_only() -> None:
    """MQTT 5.0 section 3.8.3.1."""
    bench = BrokerBench()
    mine, other = await bench.add_device("mine"), await bench.add_device("other")
    my_link, _ = await bench.attach(mine)
    its_link, _ = await bench.attach(other)
    for link in (my_link, its_link):
        await bench.subscribe(link, "a", no_local=True)
    await bench.publish("a", b"hello", sender=mine.id)

    assert (my_link.payloads, its_link.payloads) == ([], [b"hello"])


@on_event_loop
async def test_subscribing_anew_changes_the_qos_and_brings_no_second_copy() -> None:
    bench = BrokerBench()
    device = await bench.add_device("again")
    link, _ = await bench.attach(device, expiry_s=HOUR_S)
    await bench.subscribe(link, "a", 0)
    await bench.subscribe(link, "a", 2)
    await bench.publish("a", b"x", qos=2)

    assert [message.qos for message in link.sent] == [2]


@on_event_loop
async def test_a_subscription_right_after_its_removal_stays() -> None:
    """Both are decided in one commit; what came last counts, in memory as on disk."""
    bench = BrokerBench()
    device = await bench.add_device("fickle")
    link, _ = await bench.attach(device, expiry_s=HOUR_S)
    await bench.subscribe(link, "a")
    removed: list[object] = []
    bench.broker.unsubscribe(link.connection, link.topics, ["a", "never"], removed.append)
    await bench.subscribe(link, "a")
    await bench.publish("a", b"heard")

    assert removed == [[True, False]]
    assert link.payloads == [b"heard"]


@on_event_loop
async def test_an_unsubscription_that_is_not_on_disk_is_refused_and_changes_nothing() -> None:
    bench = BrokerBench()
    device = await bench.add_device("stuck")
    link, _ = await bench.attach(device, expiry_s=HOUR_S)
    await bench.subscribe(link, "a")
    bench.house.writer.failing.add(DropSubscriptions)
    removed: list[object] = []
    bench.broker.unsubscribe(link.connection, link.topics, ["a"], removed.append)
    await bench.house.settle()
    await bench.publish("a", b"still here")

    assert removed == [None]
    assert link.payloads == [b"still here"]


# --- retained --------------------------------------------------------------------------------------------------------


@on_event_loop
async def test_retained_messages_meet_a_new_subscription_as_its_options_say() -> None:
    """0 always, 1 for a new one, 2 never (MQTT 5.0 section 3.8.3.1)."""
    bench = BrokerBench()
    device = await bench.add_device("late")
    link, _ = await bench.attach(device)
    await bench.publish("a/1", b"kept", retain=True)
    got = []
    for retain_handling in (2, 1, 0, 0):
        before = len(link.sent)
        await bench.subscribe(link, "a/+", retain_handling=retain_handling)
        got.append(len(link.sent) - before)

    assert got == [0, 0, 1, 1]
    assert link.sent[0].retain


@on_event_loop
async def test_a_live_message_is_marked_retained_only_for_those_who_want_to_know() -> None:
    """MQTT 5.0 section 3.3.1.3: Retain As Published."""
    bench = BrokerBench()
    plain, curious = await bench.add_device("plain"), await bench.add_device("curious")
    plain_link, _ = await bench.attach(plain)
    curious_link, _ = await bench.attach(curious)
    await bench.subscribe(plain_link, "a")
    await bench.subscribe(curious_link, "a", retain_as_published=True)
    await bench.publish("a", b"x", retain=True)

    assert [plain_link.sent[0].retain, curious_link.sent[0].retain] == [False, True]


@on_event_loop
async def test_retained_messages_are_read_from_disk_and_go_when_they_expire() -> None:
    bench = BrokerBench()
    device = await bench.add_device("late")
    await bench.attach(device)
    await bench.publish("short", b"short", retain=True, expires_in_s=10)
    await bench.publish("long", b"long", retain=True)
    await bench.publish("gone", b"gone", retain=True)
    await bench.publish("gone", b"", retain=True)
    after = BrokerBench(before=bench)
    await after.house.advance(11)
    link, _ = await after.attach(device)
    await after.subscribe(link, "#")

    assert link.payloads == [b"long"]


# --- wills -----------------------------------------------------------------------------------------------------------


@on_event_loop
async def test_a_will_waits_for_its_delay_and_is_void_when_the_session_goes_on() -> None:
    """MQTT 5.0 section 3.1.3.2.2."""
    bench = BrokerBench()
    mortal, heir = await bench.add_device("mortal"), await bench.add_device("heir")
    ears, _ = await bench.attach(heir)
    await bench.subscribe(ears, "wills")
    link, _ = await bench.attach(mortal, expiry_s=HOUR_S)
    await bench.detach(link, will=will("wills", b"first", delay_s=30))
    await bench.house.advance(29)
    link, _ = await bench.attach(mortal, expiry_s=HOUR_S)
    await bench.house.advance(60)
    void = list(ears.payloads)
    await bench.detach(link, will=will("wills", b"second", delay_s=30))
    await bench.house.advance(31)

    assert void == []
    assert ears.payloads == [b"second"]


@on_event_loop
async def test_a_will_is_published_with_the_end_of_its_session_whatever_its_delay() -> None:
    """At once if the session ends with the connection; when the device begins anew, too."""
    bench = BrokerBench()
    mortal, heir = await bench.add_device("mortal"), await bench.add_device("heir")
    ears, _ = await bench.attach(heir)
    await bench.subscribe(ears, "wills")
    link, _ = await bench.attach(mortal, expiry_s=0)
    await bench.detach(link, will=will("wills", b"with the connection", delay_s=30))
    link, _ = await bench.attach(mortal, expiry_s=HOUR_S)
    await bench.detach(link, will=will("wills", b"with a clean start", delay_s=30))
    await bench.attach(mortal, expiry_s=HOUR_S, is_clean=True)
    await bench.house.settle()

    assert ears.payloads == [b"with the connection", b"with a clean start"]


@on_event_loop
async def test_a_will_of_a_deleted_device_is_never_published() -> None:
    bench = BrokerBench()
    mortal, heir = await bench.add_device("mortal"), await bench.add_device("heir")
    ears, _ = await bench.attach(heir)
    await bench.subscribe(ears, "wills")
    link, _ = await bench.attach(mortal, expiry_s=HOUR_S)
    await bench.detach(link, will=will("wills", b"never", delay_s=30))
    bench.broker.forget_device(mortal.id)
    await bench.house.advance(31)

    assert ears.payloads == []


# --- applications ----------------------------------------------------------------------------------------------------


@on_event_loop
@pytest.mark.parametrize("topic", ["", "a/+", "#", "$creq/x", "$dp", "a\x00b"])
async def test_an_application_cannot_publish_to_what_is_no_topic(topic: str) -> None:
    """Least of all to the topics of commands."""
    bench = BrokerBench()
    await bench.add_device("any")

    with pytest.raises(Invalid):
        await Messenger(bench.broker).publish(bench.product_id, TopicMessage(topic=topic, payload=b"x", qos=0))


@on_event_loop
async def test_an_acknowledged_message_is_taken_from_the_disk_once() -> None:
    bench = BrokerBench()
    device = await bench.add_device("tidy")
    link, _ = await bench.attach(device, expiry_s=HOUR_S)
    await bench.subscribe(link, "a")
    await bench.publish("a", b"x")
    link.acknowledge(b"x")
    await bench.house.settle()

    assert len(bench.house.writer.of(DropTopicMessages)) == 1
    assert await bench.house.store.list_queued_messages(device.id, after=0, limit=10) == ()
