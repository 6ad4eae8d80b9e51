"""Connections that come, take over and go, and what is on disk of them. Source: southbound reference 5.1, 6.8."""

import asyncio

import pytest

from commandpost.domain.command import CommandState
from commandpost.domain.errors import StoreUnavailable
from commandpost.domain.facts import Priority
from commandpost.domain.payload_facts import EndConnection, NoteHeard, StartConnection
from commandpost.services.connections import HEARD_EVERY_MS
from commandpost.services.devices import NewDevice
from commandpost.services.write_behind import AFTER_FAILURE_S, AGAIN_S
from tests.event_loop import on_event_loop
from tests.unit.services.payload_house import FakeChannel, PayloadHouse

HOUR_S = 3_600


@on_event_loop
async def test_a_connection_is_on_disk_before_it_is_let_in() -> None:
    house = PayloadHouse()
    _, device = await house.add_product_with_device()
    house.writer.is_held = True
    opening = house.open(device, FakeChannel())
    task = asyncio.ensure_future(opening)
    await house.settle()
    before = house.connections.find(device.id)
    house.writer.release()
    await house.settle()

    assert before is None
    assert house.connections.find(device.id) == task.result()


@on_event_loop
async def test_a_login_that_cannot_be_written_changes_nothing() -> None:
    """The connection before goes on."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    connection, channel = await house.connect(device)
    house.writer.failing.add(StartConnection)
    with pytest.raises(StoreUnavailable):
        await house.connect(device)
    await house.send(product, device, b"still here")

    assert house.connections.find(device.id) == connection
    assert (channel.is_taken_over, channel.payloads) == (False, [b"still here"])


@on_event_loop
async def test_the_newest_login_takes_over_and_gets_the_payloads() -> None:
    """The late end of the old connection does not end the new one."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    old, old_channel = await house.connect(device)
    new, new_channel = await house.connect(device)
    house.connections.close(old)
    await house.settle()
    await house.send(product, device, b"for the new one")

    assert (old_channel.is_taken_over, new_channel.is_taken_over) == (True, False)
    assert house.connections.find(device.id) == new
    assert (old_channel.payloads, new_channel.payloads) == ([], [b"for the new one"])


@on_event_loop
async def test_two_logins_in_one_commit_leave_the_later_one() -> None:
    """Whatever order their answers are looked at in."""
    house = PayloadHouse()
    _, device = await house.add_product_with_device()
    house.writer.is_held = True
    channels = [FakeChannel(), FakeChannel()]
    tasks = [asyncio.ensure_future(house.open(device, each)) for each in channels]
    await house.settle()
    house.writer.release()
    await house.settle()
    first, second = (task.result() for task in tasks)

    assert first is not None and second is not None
    assert second.epoch == first.epoch + 1
    assert house.connections.find(device.id) == second
    assert [each.is_taken_over for each in channels] == [True, False]


@on_event_loop
async def test_an_end_is_written_with_when_the_device_was_last_heard() -> None:
    house = PayloadHouse()
    _, device = await house.add_product_with_device()
    connection, _ = await house.connect(device)
    await house.advance(30)
    house.connections.heard(connection)
    heard_at = house.clock.wall_ms()
    await house.advance(45)
    house.connections.close(connection)
    await house.settle()
    (end,) = house.writer.of(EndConnection)

    assert (end.epoch, end.last_heard_at, end.at) == (connection.epoch, heard_at, house.clock.wall_ms())
    assert len(house.connections) == 0


@on_event_loop
async def test_being_heard_is_written_behind_once_in_a_while() -> None:
    """Not for every ping."""
    house = PayloadHouse()
    _, device = await house.add_product_with_device()
    connection, _ = await house.connect(device)
    for _ in range(60):
        await house.advance(HEARD_EVERY_MS / 1000 / 20)
        house.connections.heard(connection)
    await house.settle()

    assert len(house.writer.of(NoteHeard)) == 3
    assert house.connections.last_heard_at(device.id) == house.clock.wall_ms()


@on_event_loop
async def test_an_end_that_cannot_be_written_is_told_and_the_device_is_offline_for_payloads() -> None:
    """It is written when it can be: else everybody would take the device for online until its next login."""
    house = PayloadHouse()
    _, device = await house.add_product_with_device()
    connection, _ = await house.connect(device)
    house.writer.failing.add(EndConnection)
    house.connections.close(connection)
    await house.settle()

    assert house.events.count("write_behind_failed") == 1
    assert house.connections.find(device.id) is None
    house.writer.failing.clear()
    await house.advance(AFTER_FAILURE_S)
    assert await house.store.online_among([device.id]) == frozenset()
    assert len(house.writer.of(EndConnection)) == 1


@on_event_loop
async def test_an_end_that_the_writer_has_no_room_for_is_written_later() -> None:
    """Nor does it end the connection that the device has by then."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    other = await house.do(house.devices.create(product, NewDevice(protocol="MQTT", title="o", auth_info='"o"')))
    connections = [(await house.connect(each))[0] for each in (device, other)]
    house.writer.overloaded = {Priority.GATE}
    for each in connections:
        house.connections.close(each)
    await house.settle()
    before = await house.store.online_among([device.id, other.id])
    house.writer.overloaded = set()

    await house.connect(other)
    await house.advance(AGAIN_S)

    assert before == {device.id, other.id}
    assert await house.store.online_among([device.id, other.id]) == {other.id}


@on_event_loop
async def test_a_restart_ends_the_connections_of_the_run_before() -> None:
    """With their run they ended (P9); the next login sends qos 1 again."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    await house.connect(device)
    command = await house.send(product, device, b"again", qos=1, timeout_s=HOUR_S)
    after = house.after_crash()
    await after.do(after.connections.recover())
    _, channel = await after.connect(device)

    assert after.events.count("connections_recovered") == 1
    assert channel.payloads == [b"again"]
    assert await after.state(product, command) is CommandState.SENT


@on_event_loop
async def test_a_device_that_is_deleted_is_shown_out() -> None:
    house = PayloadHouse()
    _, device = await house.add_product_with_device()
    connection, channel = await house.connect(device)
    house.connections.forget_device(device.id)
    house.connections.close(connection)
    await house.settle()

    assert channel.is_removed
    assert house.payload_dispatcher.lanes_open == 0
    assert house.writer.of(EndConnection) == []


@on_event_loop
@pytest.mark.parametrize("is_broken", [False, True])
async def test_a_stop_waits_for_no_disk_that_hangs_or_is_broken(is_broken: bool) -> None:
    """What is not on disk is ended by the next start; everybody is let go all the same."""
    house = PayloadHouse()
    _, device = await house.add_product_with_device()
    _, channel = await house.connect(device)
    house.writer.is_held = not is_broken
    house.writer.is_stopped = is_broken

    await asyncio.wait_for(house.connections.drain(0.01), 5.0)

    assert channel.is_removed


@on_event_loop
async def test_a_stop_closes_everybody_and_lets_nobody_in() -> None:
    """On disk all are offline afterwards."""
    house = PayloadHouse()
    _, device = await house.add_product_with_device()
    connection, channel = await house.connect(device)
    await house.do(house.connections.drain(1.0))
    late = house.open(device, FakeChannel())
    is_let_in = await house.do(late) is not None
    house.connections.close(connection)
    after = house.after_crash()
    await after.do(after.connections.recover())

    assert (channel.is_removed, is_let_in) == (True, False)
