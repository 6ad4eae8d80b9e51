"""What waits until a device has room: it follows by itself, in order, and nothing of it is lost.

Source: OASIS MQTT 3.1.1 sections 3.3.1.3 and 4.6, MQTT 5.0 section 3.8.4.
"""

import asyncio
from collections.abc import Sequence

import pytest

from commandpost.domain.command import CommandState
from commandpost.domain.device import Product
from commandpost.domain.ids import DeviceId
from commandpost.domain.topic import QueuedMessage, TopicMessage
from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.southbound.mqtt.device_topics import AHEAD_MAX, PAGE_SIZE
from tests.event_loop import on_event_loop
from tests.unit.southbound.mqtt.broker_bench import HOUR_S, BrokerBench
from tests.unit.southbound.mqtt.talking_device import TalkingDevice
from tests.unit.southbound.stream_house import Streams

LIMITS = MqttLimits()
ROOM = LIMITS.inflight_max + LIMITS.queued_max  # of a device that acknowledges nothing


async def furnished(*, is_clean: bool, takes_all: bool = True) -> tuple[Streams, Product, TalkingDevice]:
    """Give a device that is connected, and what surrounds it."""
    streams = Streams()
    product, device = await streams.furnish()
    talking = TalkingDevice(streams, device, takes_all=takes_all)
    await talking.connect(is_clean=is_clean)
    return streams, product, talking


async def publish(
    streams: Streams, product: Product, payloads: Sequence[bytes], *, qos: int = 1, retains_below: str = ""
) -> None:
    """Have an application publish; retained, each on a topic of its own."""
    for number, payload in enumerate(payloads):
        topic = f"{retains_below}/{number}" if retains_below else "live"
        message = TopicMessage(topic=topic, payload=payload, qos=qos, is_retained=bool(retains_below))
        streams.mqtt.broker.route(product.id, message, sender=None, then=lambda _is_safe: None)
    await streams.house.settle()


def numbered(count: int, *, size: int = 4) -> list[bytes]:
    """So many payloads."""
    return [b"%0*d" % (size, number) for number in range(count)]


# --- room that acknowledgements make ---------------------------------------------------------------------------------


@on_event_loop
async def test_messages_on_disk_follow_retained_ones_that_filled_the_queue() -> None:
    """Acknowledgements of retained messages make room too, though no event of the engine says so."""
    streams, product, device = await furnished(is_clean=False)
    retained = numbered(ROOM + 100)
    await publish(streams, product, retained, retains_below="kept")
    await device.subscribe("kept/#", "live", qos=1)
    await publish(streams, product, [b"first", b"second"])
    await device.acknowledge_all()
    await publish(streams, product, [b"third"])
    await device.exchange()

    assert device.payloads == [*retained, b"first", b"second", b"third"]


@on_event_loop
async def test_a_command_follows_messages_that_filled_the_queue() -> None:
    """As soon as the device acknowledges them; of qos 0 it is confirmed when it has left."""
    streams, product, device = await furnished(is_clean=True)
    await device.subscribe("live", qos=1)
    await publish(streams, product, numbered(ROOM))
    command = await streams.house.send(product, device.device, b"switch on", timeout_s=HOUR_S)
    before = await streams.house.state(product, command)
    await device.acknowledge_all()

    assert device.payloads == [*numbered(ROOM), b"switch on"]
    assert (before, await streams.house.state(product, command)) == (CommandState.SENT, CommandState.DELIVERED)


@on_event_loop
async def test_a_command_that_had_to_wait_is_confirmed_when_it_has_left() -> None:
    """Also where the last acknowledgement made so much room that it went out without a queue."""
    streams, product, device = await furnished(is_clean=True)
    await device.subscribe("live", qos=1)
    count = LIMITS.inflight_max + 4
    size = LIMITS.queued_bytes_max // (count + 1)
    await publish(streams, product, numbered(count, size=size))
    command = await streams.house.send(product, device.device, bytes(size), timeout_s=HOUR_S)
    await device.acknowledge()

    assert device.payloads == [*numbered(count, size=size), bytes(size)]
    assert await streams.house.state(product, command) is CommandState.DELIVERED


@on_event_loop
async def test_a_silent_device_has_no_page_read_that_it_has_no_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few messages may be many bytes; a page that is not all handed over is no reason to read the next one."""
    streams, product, device = await furnished(is_clean=False)
    await device.subscribe("live", qos=1)
    names = numbered(40, size=64 * 1024)
    reads: list[int] = []
    read = streams.house.store.list_queued_messages

    async def counted(device_id: DeviceId, *, after: int, limit: int) -> tuple[QueuedMessage, ...]:
        reads.append(after)
        assert len(reads) < 100, "it reads for ever"
        return await read(device_id, after=after, limit=limit)

    monkeypatch.setattr(streams.house.store, "list_queued_messages", counted)
    await publish(streams, product, names)
    for _ in range(20):
        await device.ping()
    while_silent = len(reads)
    await device.acknowledge_all()

    assert while_silent == 0
    assert device.payloads == names
    assert len(reads) < len(names) / 4


# --- retained messages -----------------------------------------------------------------------------------------------


@on_event_loop
async def test_retained_messages_of_qos_0_wait_for_a_slow_device() -> None:
    """Twice what a peer may let pile up before it is dropped: none is lost, and it stays connected."""
    streams, product, device = await furnished(is_clean=True)
    retained = numbered(40, size=200_000)
    await publish(streams, product, retained, qos=0, retains_below="kept")
    device.transport.takes_all = False
    await device.subscribe("kept/#", qos=0)
    at_first = len(device.payloads)
    most_bytes = 0
    while device.transport.unread_bytes:
        most_bytes = max(most_bytes, device.transport.unread_bytes)
        device.transport.drain()
        await device.exchange()

    assert not device.transport.is_aborted
    assert (at_first < 5, most_bytes < 600_000) == (True, True)
    assert device.payloads == retained


@on_event_loop
async def test_retained_messages_leave_room_for_live_ones_and_commands() -> None:
    """A clean session has no disk on which they could wait."""
    streams, product, device = await furnished(is_clean=True)
    await publish(streams, product, numbered(ROOM + 100), retains_below="kept")
    await device.subscribe("kept/#", "live", qos=1)
    await publish(streams, product, [b"alarm"])
    for _ in range(2 * AHEAD_MAX // LIMITS.inflight_max):
        await device.acknowledge()

    assert b"alarm" in device.payloads[: 2 * AHEAD_MAX]
    assert device.peer.topics is not None and device.peer.topics.dropped == 0


@on_event_loop
async def test_what_waits_is_what_a_topic_has_then() -> None:
    """One replaced meanwhile comes new, one removed does not come."""
    bench = BrokerBench()
    device = await bench.add_device("slow")
    link, _ = await bench.attach(device)
    for name in (b"0", b"1", b"2"):
        await bench.publish(f"a/{name.decode()}", name, retain=True)
    link.is_full = True
    await bench.subscribe(link, "a/+", no_local=True)
    await bench.publish("a/1", b"new", retain=True, sender=device.id)
    await bench.publish("a/2", b"", retain=True, sender=device.id)
    at_first = list(link.payloads)
    link.is_full = False
    link.pump()
    await bench.house.settle()

    assert at_first == []
    assert link.payloads == [b"0", b"new"]


@on_event_loop
async def test_a_refused_retained_message_waits_for_a_sign_of_room() -> None:
    """It is tried again then and not before, so nothing turns in circles; none counts as dropped."""
    bench = BrokerBench()
    device = await bench.add_device("slow")
    link, _ = await bench.attach(device, room=10)
    for number in range(40):
        await bench.publish(f"a/{number}", b"%02d" % number, retain=True)
    await bench.subscribe(link, "a/+")
    at_first = len(link.sent)
    link.room = 1_000
    await bench.house.settle()
    without_a_sign = len(link.sent)
    link.pump()
    await bench.house.settle()

    assert (at_first, without_a_sign, link.topics.dropped) == (10, 10, 0)
    assert link.payloads == [b"%02d" % number for number in range(40)]


@on_event_loop
async def test_more_retained_messages_than_a_slice_come_to_a_device_that_takes_them() -> None:
    """Each exactly once, whatever else happens on the connection between two slices."""
    bench = BrokerBench()
    device = await bench.add_device("quick")
    link, _ = await bench.attach(device, expiry_s=HOUR_S, room=10_000)
    for number in range(1_200):
        await bench.publish(f"a/{number}", b"%04d" % number, retain=True)
    link.is_noisy = True
    await bench.subscribe(link, "a/+")

    assert link.payloads == numbered(1_200)
    assert not link.topics.waits


@on_event_loop
async def test_a_filter_subscribed_anew_begins_anew_and_one_unsubscribed_stops() -> None:
    """So no device makes more of them wait than it has subscriptions."""
    bench = BrokerBench()
    device = await bench.add_device("restless")
    link, _ = await bench.attach(device)
    for name in ("a", "b"):
        await bench.publish(name, name.encode(), retain=True)
    link.is_full = True
    for _ in range(10):
        await bench.subscribe(link, "a")
        await bench.subscribe(link, "b")
    waiting = len(link.topics.searches or ())
    bench.broker.unsubscribe(link.connection, link.topics, ["a"], lambda _existed: None)
    await bench.house.settle()
    link.is_full = False
    link.pump()
    await bench.house.settle()

    assert waiting == 2
    assert link.payloads == [b"b"]


@on_event_loop
async def test_what_waits_is_gone_with_the_connection() -> None:
    """Retained messages are for the subscription that asked; the next connection waits for nothing."""
    bench = BrokerBench()
    device = await bench.add_device("brief")
    link, _ = await bench.attach(device, expiry_s=HOUR_S)
    await bench.publish("a", b"kept", retain=True)
    link.is_full = True
    await bench.subscribe(link, "a")
    await bench.detach(link)
    link, is_present = await bench.attach(device, expiry_s=HOUR_S)
    await bench.publish("a", b"live")

    assert is_present
    assert link.payloads == [b"live"]


# --- reading the disk ------------------------------------------------------------------------------------------------


@on_event_loop
async def test_a_page_refused_in_part_is_read_again_at_a_sign_of_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not before: whoever reads on has nowhere to put it."""
    bench = BrokerBench()
    device = await bench.add_device("full")
    link, _ = await bench.attach(device, expiry_s=HOUR_S)
    await bench.subscribe(link, "a")
    await bench.detach(link)
    names = numbered(20)
    for name in names:
        await bench.publish("a", name)
    reads: list[int] = []
    read = bench.house.store.list_queued_messages

    async def counted(device_id: DeviceId, *, after: int, limit: int) -> tuple[QueuedMessage, ...]:
        reads.append(after)
        return await read(device_id, after=after, limit=limit)

    monkeypatch.setattr(bench.house.store, "list_queued_messages", counted)
    link, _ = await bench.attach(device, expiry_s=HOUR_S, room=10)
    before = len(reads)
    link.room = 1_000
    link.pump()
    await bench.house.settle()

    assert before == 1
    assert link.payloads == names


@on_event_loop
async def test_a_page_read_for_an_earlier_connection_is_not_handed_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the earlier one held and had not sent lies before that page, and would be left out."""
    streams, product, first = await furnished(is_clean=False)
    await first.subscribe("live", qos=1)
    first.transport.break_off()
    await streams.house.settle()
    names = numbered(2 * PAGE_SIZE)
    await publish(streams, product, names)
    read, gate = streams.house.store.list_queued_messages, asyncio.Event()

    async def held(device_id: DeviceId, *, after: int, limit: int) -> tuple[QueuedMessage, ...]:
        page = await read(device_id, after=after, limit=limit)
        if after == PAGE_SIZE:
            await gate.wait()
        return page

    monkeypatch.setattr(streams.house.store, "list_queued_messages", held)
    second = TalkingDevice(streams, first.device)
    await second.connect(is_clean=False)
    taken = 0
    while PAGE_SIZE - taken >= AHEAD_MAX:
        taken += await second.acknowledge(10)  # no whole window: some of the page was not sent yet
    second.transport.break_off()
    await streams.house.settle()
    third = TalkingDevice(streams, first.device)
    await third.connect(is_clean=False)
    gate.set()
    await third.acknowledge_all()

    assert third.payloads == names[taken:]
