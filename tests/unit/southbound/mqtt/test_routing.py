"""In which order messages go where they go, and to which sessions.

Source: OASIS MQTT 3.1.1 and 5.0, sections 4.1 and 4.6.
"""

import asyncio

from commandpost.domain.ids import DeviceId
from commandpost.domain.topic import TopicMessage
from commandpost.domain.topic_facts import DropSubscriptions, KeepTopicMessage
from tests.event_loop import on_event_loop
from tests.unit.southbound.mqtt.broker_bench import HOUR_S, BrokerBench


def route(
    bench: BrokerBench, payload: bytes, *, sender: DeviceId | None, told: list[bytes], retain: bool = False
) -> None:
    """Route a message and go on; `told` gets its payload once it is safe."""
    message = TopicMessage(topic="a", payload=payload, qos=1, is_retained=retain)
    bench.broker.route(
        bench.product_id, message, sender=sender, then=lambda is_safe: told.append(payload if is_safe else b"lost")
    )


@on_event_loop
async def test_messages_of_one_sender_arrive_in_their_order_though_some_are_kept() -> None:
    """MQTT-4.6.0-6: those nobody has to keep do not overtake; those of others do not wait for them."""
    bench = BrokerBench()
    sender, other, device = [await bench.add_device(name) for name in ("sender", "other", "receiver")]
    link, _ = await bench.attach(device)
    await bench.subscribe(link, "a")
    bench.house.writer.is_held = True
    told: list[bytes] = []
    for payload in (b"1 kept", b"2", b"3", b"4 kept", b"5"):
        route(bench, payload, sender=sender.id, told=told, retain=payload.endswith(b"kept"))
    route(bench, b"other", sender=other.id, told=told)
    before = list(link.payloads)
    bench.house.writer.release()
    await bench.house.settle()
    route(bench, b"6", sender=sender.id, told=told)

    assert before == [b"other"]
    assert link.payloads == told == [b"other", b"1 kept", b"2", b"3", b"4 kept", b"5", b"6"]


@on_event_loop
async def test_what_comes_while_others_are_let_through_goes_behind_them() -> None:
    """An acknowledgement may bring the next message of the sender at once."""
    bench = BrokerBench()
    sender, device = await bench.add_device("sender"), await bench.add_device("receiver")
    link, _ = await bench.attach(device)
    await bench.subscribe(link, "a")
    told: list[bytes] = []
    bench.broker.route(
        bench.product_id,
        TopicMessage(topic="a", payload=b"1 kept", qos=1, is_retained=True),
        sender=sender.id,
        then=lambda _is_safe: route(bench, b"3", sender=sender.id, told=told),
    )
    route(bench, b"2", sender=sender.id, told=told)
    await bench.house.settle()

    assert link.payloads == [b"1 kept", b"2", b"3"]


@on_event_loop
async def test_what_could_not_be_kept_holds_nothing_up() -> None:
    """Its sender is told; what came behind it goes on."""
    bench = BrokerBench()
    sender, device = await bench.add_device("sender"), await bench.add_device("receiver")
    link, _ = await bench.attach(device)
    await bench.subscribe(link, "a")
    bench.house.writer.failing.add(KeepTopicMessage)
    told: list[bytes] = []
    route(bench, b"1 kept", sender=sender.id, told=told, retain=True)
    route(bench, b"2", sender=sender.id, told=told)
    await bench.house.settle()
    route(bench, b"3", sender=sender.id, told=told)

    assert told == [b"lost", b"2", b"3"]
    assert link.payloads == [b"2", b"3"]


@on_event_loop
async def test_a_session_that_has_expired_is_over_before_it_is_swept_up() -> None:
    """Nothing is kept for it, and its device begins anew (MQTT-4.1.0-2)."""
    bench = BrokerBench()
    device = await bench.add_device("away")
    link, _ = await bench.attach(device, expiry_s=5)
    await bench.subscribe(link, "a")
    await bench.detach(link)
    await bench.house.advance(4)
    await bench.publish("a", b"in time")
    await bench.house.advance(1)
    await bench.publish("a", b"late")
    kept = len(bench.house.writer.of(KeepTopicMessage))
    link, is_present = await bench.attach(device, expiry_s=5)
    await bench.publish("a", b"later still")

    assert (kept, is_present) == (1, False)
    assert link.payloads == []
    assert await bench.house.store.list_queued_messages(device.id, after=0, limit=10) == ()


@on_event_loop
async def test_a_session_does_not_expire_while_its_device_is_let_in() -> None:
    """The disk may be slow; the device came in time."""
    bench = BrokerBench()
    device = await bench.add_device("just in time")
    link, _ = await bench.attach(device, expiry_s=10)
    await bench.subscribe(link, "a")
    await bench.detach(link)
    await bench.house.advance(9)
    bench.house.writer.is_held = True
    attaching = asyncio.ensure_future(bench.let_in(device, expiry_s=10))
    await bench.house.settle()
    await bench.house.advance(2)
    bench.broker.sweep()
    bench.house.writer.release()
    await bench.house.settle()
    link, is_present = await attaching
    link.pump()
    await bench.house.settle()
    await bench.publish("a", b"heard")

    assert is_present
    assert link.payloads == [b"heard"]


@on_event_loop
async def test_a_stop_waits_for_an_unsubscription_on_its_way_to_the_disk() -> None:
    """As for everything else a device is told of."""
    bench = BrokerBench()
    device = await bench.add_device("leaving")
    link, _ = await bench.attach(device, expiry_s=HOUR_S)
    await bench.subscribe(link, "a")
    bench.house.writer.is_held = True
    removed: list[object] = []
    bench.broker.unsubscribe(link.connection, link.topics, ["a"], removed.append)
    draining = asyncio.ensure_future(bench.broker.drain(5.0))
    await bench.house.settle()
    before = draining.done()
    bench.house.writer.release()
    await bench.house.settle()

    assert (before, draining.done()) == (False, True)
    assert removed == [[True]]
    assert len(bench.house.writer.of(DropSubscriptions)) == 1
