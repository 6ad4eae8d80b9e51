"""`/cmds` payloads from acceptance to their end: order, windows, qos, replies, connections that come and go.

Source: design section 2 (P3, P4, P5, P7), 10.2; northbound reference 6; southbound reference 5.2.
"""

import asyncio

import pytest

from commandpost.domain.command import PAYLOAD_WINDOW_MAX, CommandState, Outcome
from commandpost.domain.errors import DeviceOffline, QueueFull, WrongProtocol
from commandpost.domain.facts import AcceptCommand, Claim, FinishAndClaim
from commandpost.domain.payload_facts import ConfirmDelivery, EndFormerAttempts, ReplyToPayload
from commandpost.services.devices import NewDevice
from commandpost.services.maintenance import Expirer, Rescuer
from commandpost.services.payloads import PayloadRequest, PayloadSettings
from tests.event_loop import on_event_loop
from tests.unit.services.payload_house import PayloadHouse

HOUR_S = 3_600


@on_event_loop
async def test_an_online_payload_goes_out_at_once_and_is_delivered_when_the_transport_says_so() -> None:
    """States waiting, sent, delivered; nothing is delivered before the confirmation."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    connection, channel = await house.connect(device)
    command = await house.send(product, device, b"ping")

    assert channel.payloads == [b"ping"]
    assert await house.state(product, command) is CommandState.SENT
    house.payload_dispatcher.payload_confirmed(connection, channel.attempt(b"ping"))
    await house.settle()
    assert await house.state(product, command) is CommandState.DELIVERED


@on_event_loop
async def test_a_reply_makes_it_succeed_and_keeps_the_bytes() -> None:
    """The first reply wins; a second one is counted only."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    connection, channel = await house.connect(device)
    command = await house.send(product, device, b"ping")
    house.payload_dispatcher.payload_confirmed(connection, channel.attempt(b"ping"))
    await house.reply(device, command.id, b"pong")
    await house.reply(device, command.id, b"pong again")

    record = await house.record(product, command)
    assert record.command.state is CommandState.SUCCEEDED
    (attempt,) = record.attempts
    assert attempt.end is not None
    assert attempt.end.answer is not None
    assert attempt.end.answer.payload == b"pong"
    assert attempt.late_answers == 1


@on_event_loop
async def test_a_reply_before_the_confirmation_counts_and_implies_it() -> None:
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    connection, channel = await house.connect(device)
    command = await house.send(product, device, b"ping", qos=1)
    await house.reply(device, command.id, b"pong")
    house.payload_dispatcher.payload_confirmed(connection, channel.attempt(b"ping"))
    await house.settle()

    assert await house.state(product, command) is CommandState.SUCCEEDED


@on_event_loop
async def test_replies_without_confirmations_let_the_next_payloads_go() -> None:
    """Design 10.2: a reply implies the confirmation, which may come all the same and changes nothing then."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    connection, channel = await house.connect(device)
    commands = [
        await house.send(product, device, b"%d" % number, qos=1, timeout_s=HOUR_S)
        for number in range(PAYLOAD_WINDOW_MAX + 2)
    ]
    assert len(channel.sent) == PAYLOAD_WINDOW_MAX
    safe: list[bool] = []

    for command in commands[:2]:
        house.payload_dispatcher.reply(device.id, command.id, b"ok", safe.append)
    await house.settle()

    assert (safe, len(channel.sent)) == ([True, True], PAYLOAD_WINDOW_MAX + 2)
    assert channel.settled == [channel.attempt(b"0"), channel.attempt(b"1")]
    house.payload_dispatcher.reply(device.id, commands[0].id, b"again", safe.append)
    house.payload_dispatcher.payload_confirmed(connection, channel.attempt(b"0"))
    await house.settle()
    assert await house.state(product, commands[0]) is CommandState.SUCCEEDED
    assert len(channel.settled) == 2


@on_event_loop
async def test_a_reply_that_cannot_be_written_frees_nothing() -> None:
    """The device sends it again, or the payload's time runs out."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    _, channel = await house.connect(device)
    command = await house.send(product, device, b"ping", qos=1, timeout_s=HOUR_S)
    safe: list[bool] = []

    house.writer.failing.add(ReplyToPayload)
    house.payload_dispatcher.reply(device.id, command.id, b"ok", safe.append)
    await house.settle()

    assert (safe, channel.settled) == ([False], [])


@on_event_loop
async def test_another_device_cannot_reply() -> None:
    """P12: the uuid alone is no proof."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    other = await house.do(
        house.devices.create(product, NewDevice(protocol="MQTT", title="o", auth_info='"other-secret"'))
    )
    await house.connect(device)
    command = await house.send(product, device, b"ping")
    await house.reply(other, command.id, b"forged")

    assert await house.state(product, command) is CommandState.SENT


@on_event_loop
async def test_offline_without_timeout_is_refused_and_leaves_nothing() -> None:
    """Northbound reference 6.1: errno 10, no uuid."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()

    with pytest.raises(DeviceOffline):
        await house.send(product, device, b"ping")
    assert not house.writer.of(AcceptCommand)


@on_event_loop
async def test_an_lwm2m_device_takes_no_payloads() -> None:
    """Design 10.2: errno 22."""
    house = PayloadHouse()
    product = await house.add_product()
    device = await house.add_device(product)

    with pytest.raises(WrongProtocol):
        await house.send(product, device, b"ping", timeout_s=HOUR_S)


@on_event_loop
async def test_three_kept_payloads_go_out_in_order_at_the_next_connect() -> None:
    """P5; without waiting for replies."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    for payload in (b"1", b"2", b"3"):
        await house.send(product, device, payload, timeout_s=HOUR_S)
    _, channel = await house.connect(device)

    assert channel.payloads == [b"1", b"2", b"3"]


@on_event_loop
async def test_nothing_leaves_before_the_login_was_answered() -> None:
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    await house.send(product, device, b"1", timeout_s=HOUR_S)
    connection, channel = await house.connect(device, begins=False)
    await house.send(product, device, b"2")

    assert channel.payloads == []
    house.connections.begin(connection)
    await house.settle()
    assert channel.payloads == [b"1", b"2"]


@on_event_loop
async def test_at_most_sixteen_are_unconfirmed_and_a_confirmation_lets_the_next_go() -> None:
    """P4."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    names = [b"%d" % number for number in range(20)]
    for name in names:
        await house.send(product, device, name, timeout_s=HOUR_S, qos=1)
    connection, channel = await house.connect(device)

    assert channel.payloads == names[:16]
    house.payload_dispatcher.payload_confirmed(connection, channel.attempt(b"3"))
    await house.settle()
    assert channel.payloads == names[:17]


@on_event_loop
async def test_a_new_payload_does_not_overtake_those_that_wait_for_room() -> None:
    """P5."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    connection, channel = await house.connect(device)
    names = [b"%d" % number for number in range(18)]
    for name in names:
        await house.send(product, device, name, qos=1, timeout_s=HOUR_S)
    for name in names:
        house.payload_dispatcher.payload_confirmed(connection, channel.attempt(name))
        await house.settle()

    assert channel.payloads == names


@on_event_loop
async def test_the_attempt_is_on_disk_before_the_bytes_leave() -> None:
    """P3."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    _, channel = await house.connect(device)
    house.writer.is_held = True
    submitting = house.payloads.submit(product, device, PayloadRequest(payload=b"x"))
    task = asyncio.ensure_future(submitting)
    await house.settle()
    house.writer.commit()
    await house.settle()

    assert channel.payloads == []
    house.writer.release()
    await house.settle()
    assert channel.payloads == [b"x"]
    assert task.done()
    assert len(house.writer.of(Claim)) == 1


@on_event_loop
async def test_qos_1_waits_again_after_the_connection_and_goes_out_once_per_connect() -> None:
    """P3 as worded for `/cmds`: once per connect, until answered or expired, in its old place."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    first = await house.send(product, device, b"1", qos=1, timeout_s=HOUR_S)
    await house.send(product, device, b"2", qos=1, timeout_s=HOUR_S)
    connection, channel = await house.connect(device)
    house.payload_dispatcher.payload_confirmed(connection, channel.attempt(b"1"))
    await house.settle()
    house.connections.close(connection)
    await house.settle()

    assert await house.state(product, first) is CommandState.DELIVERED
    _, channel = await house.connect(device)
    assert channel.payloads == [b"1", b"2"]
    assert (await house.record(product, first)).command.attempts == 2


@on_event_loop
async def test_qos_0_is_never_sent_twice() -> None:
    """P3: not after a lost connection, whether or not it was confirmed."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    confirmed = await house.send(product, device, b"1", timeout_s=HOUR_S)
    unconfirmed = await house.send(product, device, b"2", timeout_s=HOUR_S)
    connection, channel = await house.connect(device)
    house.payload_dispatcher.payload_confirmed(connection, channel.attempt(b"1"))
    await house.settle()
    house.connections.close(connection)
    await house.settle()
    _, channel = await house.connect(device)

    assert channel.payloads == []
    ended = (await house.record(product, confirmed)).command
    assert (ended.state, ended.outcome) == (CommandState.FAILED, Outcome.TIME_OUT)
    lost = (await house.record(product, unconfirmed)).command
    assert (lost.state, lost.outcome) == (CommandState.FAILED, Outcome.OFFLINE)


@on_event_loop
async def test_a_reply_after_the_next_connect_still_counts_within_the_validity() -> None:
    """P7's one exception: status 5 becomes 4."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    command = await house.send(product, device, b"1", timeout_s=HOUR_S)
    connection, channel = await house.connect(device)
    house.payload_dispatcher.payload_confirmed(connection, channel.attempt(b"1"))
    await house.settle()
    await house.connect(device)
    assert await house.state(product, command) is CommandState.FAILED
    await house.reply(device, command.id, b"done")

    record = await house.record(product, command)
    assert record.command.state is CommandState.SUCCEEDED
    end = record.attempts[-1].end
    assert end is not None
    assert end.answer is not None
    assert end.answer.payload == b"done"


@on_event_loop
async def test_qos_0_without_a_reply_fails_after_ten_seconds() -> None:
    """Northbound reference 6.2: status 5."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    connection, channel = await house.connect(device)
    command = await house.send(product, device, b"1", timeout_s=HOUR_S)
    house.payload_dispatcher.payload_confirmed(connection, channel.attempt(b"1"))
    await house.advance(9.9)
    rescuer = Rescuer(writer=house.writer, reader=house.store, dispatcher=house.dispatcher, clock=house.clock)
    await house.do(rescuer.tick())
    assert await house.state(product, command) is CommandState.DELIVERED
    await house.advance(0.2)
    await house.do(rescuer.tick())

    ended = (await house.record(product, command)).command
    assert (ended.state, ended.outcome) == (CommandState.FAILED, Outcome.TIME_OUT)


@on_event_loop
async def test_a_payload_the_transport_never_confirms_frees_its_place_at_its_deadline() -> None:
    """Lesson b8: one bad payload does not block the rest."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    _, channel = await house.connect(device)
    for number in range(17):
        await house.send(product, device, b"%d" % number, timeout_s=HOUR_S)
    assert len(channel.sent) == 16
    await house.advance(10.1)

    assert channel.payloads[-1] == b"16"


@on_event_loop
async def test_a_kept_payload_expires_unsent() -> None:
    """P6: as a reader sees it at once, on disk after the sweep; and it never goes out."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    command = await house.send(product, device, b"1", timeout_s=60)
    await house.advance(60)

    assert await house.state(product, command) is CommandState.EXPIRED
    _, channel = await house.connect(device)
    assert channel.payloads == []
    await house.do(Expirer(writer=house.writer, clock=house.clock).tick())
    assert await house.state(product, command) is CommandState.EXPIRED


@on_event_loop
async def test_qos_1_delivered_and_never_answered_ends_at_its_expiry() -> None:
    """Status 5, read so at once, whatever the sweep does."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    connection, channel = await house.connect(device)
    command = await house.send(product, device, b"1", qos=1, timeout_s=60)
    house.payload_dispatcher.payload_confirmed(connection, channel.attempt(b"1"))
    await house.advance(59)
    assert await house.state(product, command) is CommandState.DELIVERED
    await house.advance(1)

    ended = (await house.record(product, command)).command
    assert (ended.state, ended.outcome) == (CommandState.EXPIRED, Outcome.TIME_OUT)
    await house.reply(device, command.id, b"too late")
    assert await house.state(product, command) is CommandState.EXPIRED


@on_event_loop
async def test_a_reply_that_is_too_large_ends_it() -> None:
    """Status 6."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    await house.connect(device)
    command = await house.send(product, device, b"1")
    await house.reply(device, command.id, bytes(65_537))

    ended = (await house.record(product, command)).command
    assert (ended.state, ended.outcome) == (CommandState.FAILED, Outcome.RESP_ERROR)


@on_event_loop
async def test_what_the_connection_can_never_carry_fails_and_frees_its_place() -> None:
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    _, channel = await house.connect(device)
    channel.takes_all = False
    command = await house.send(product, device, b"1", qos=1, timeout_s=HOUR_S)

    ended = (await house.record(product, command)).command
    assert (ended.state, ended.outcome) == (CommandState.FAILED, Outcome.REQ_PARAM_ERROR)


@on_event_loop
async def test_the_newest_login_wins() -> None:
    """A half-open socket never locks its device out; what it still says is nobody's."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    old, old_channel = await house.connect(device)
    _, channel = await house.connect(device)
    command = await house.send(product, device, b"1")

    assert old_channel.is_taken_over
    assert (old_channel.payloads, channel.payloads) == ([], [b"1"])
    house.payload_dispatcher.payload_confirmed(old, channel.attempt(b"1"))
    house.connections.close(old)
    await house.settle()
    assert await house.state(product, command) is CommandState.SENT
    assert house.connections.find(device.id) is not None


@on_event_loop
async def test_after_kill_9_kept_payloads_are_there_and_connections_are_not() -> None:
    """P1, P9."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    connection, channel = await house.connect(device)
    delivered = await house.send(product, device, b"1", qos=1, timeout_s=HOUR_S)
    house.payload_dispatcher.payload_confirmed(connection, channel.attempt(b"1"))
    sent = await house.send(product, device, b"2", timeout_s=HOUR_S)
    after = house.after_crash()
    await after.do(after.connections.recover())

    assert (await after.store.online_among([device.id])) == frozenset()
    assert await after.state(product, delivered) is CommandState.DELIVERED
    _, channel = await after.connect(device)
    assert channel.payloads == [b"1"]
    assert await after.state(product, sent) is CommandState.FAILED


@on_event_loop
async def test_what_an_earlier_connection_left_is_ended_before_anything_goes_out() -> None:
    """Design 10.2; in slices, so that no transaction is long."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    connection, channel = await house.connect(device)
    for number in range(120):
        await house.send(product, device, b"%d" % number, qos=1, timeout_s=HOUR_S)
        house.payload_dispatcher.payload_confirmed(connection, channel.attempt(b"%d" % number))
        await house.settle()
    house.writer.facts.clear()
    _, channel = await house.connect(device)

    kinds = [type(fact) for fact in house.writer.facts]
    assert kinds.count(EndFormerAttempts) == 2
    assert kinds.index(Claim) > len(kinds) - 1 - kinds[::-1].index(EndFormerAttempts)
    assert channel.payloads == [b"%d" % number for number in range(16)]


@on_event_loop
async def test_a_device_has_a_full_number_of_payloads() -> None:
    """Those delivered and not answered count: they may have to go out again."""
    house = PayloadHouse(settings=PayloadSettings(open_max=2))
    product, device = await house.add_product_with_device()
    connection, channel = await house.connect(device)
    first = await house.send(product, device, b"1", qos=1, timeout_s=HOUR_S)
    house.payload_dispatcher.payload_confirmed(connection, channel.attempt(b"1"))
    await house.send(product, device, b"2", qos=1, timeout_s=HOUR_S)

    with pytest.raises(QueueFull):
        await house.send(product, device, b"3", qos=1, timeout_s=HOUR_S)
    await house.reply(device, first.id, b"ok")
    await house.send(product, device, b"3", qos=1, timeout_s=HOUR_S)


@on_event_loop
async def test_when_the_store_cannot_write_a_claim_it_is_tried_again() -> None:
    """Nothing leaves without its attempt on disk, and nothing is forgotten."""
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    _, channel = await house.connect(device)
    house.writer.failing.add(Claim)
    await house.send(product, device, b"1", timeout_s=HOUR_S)
    assert channel.payloads == []
    house.writer.failing.clear()
    await house.advance(1.1)

    assert channel.payloads == [b"1"]


@on_event_loop
async def test_a_deleted_device_loses_its_connection() -> None:
    house = PayloadHouse()
    _, device = await house.add_product_with_device()
    connection, channel = await house.connect(device)
    house.connections.forget_device(device.id)
    house.payload_dispatcher.payload_confirmed(connection, house.ids.new_attempt_id(house.clock.wall_ms()))

    assert channel.is_removed
    assert house.connections.find(device.id) is None
    assert house.payload_dispatcher.lanes_open == 0


@on_event_loop
async def test_the_device_is_online_while_it_is_connected() -> None:
    house = PayloadHouse()
    _, device = await house.add_product_with_device()
    connection, _ = await house.connect(device)
    assert await house.store.online_among([device.id]) == frozenset({device.id})
    house.connections.close(connection)
    await house.settle()

    assert await house.store.online_among([device.id]) == frozenset()


@on_event_loop
async def test_a_stop_puts_all_devices_offline_and_leaves_payloads_as_they_are() -> None:
    house = PayloadHouse()
    product, device = await house.add_product_with_device()
    _, channel = await house.connect(device)
    command = await house.send(product, device, b"1", qos=1, timeout_s=HOUR_S)
    await house.do(house.payload_dispatcher.drain(1.0))
    await house.do(house.connections.drain(1.0))

    assert channel.is_removed
    assert await house.store.online_among([device.id]) == frozenset()
    assert (await house.record(product, command)).command.state is CommandState.SENT
    assert not house.writer.of(FinishAndClaim)
    assert not house.writer.of(ConfirmDelivery)
