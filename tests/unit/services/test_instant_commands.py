"""Instant commands: one budget, their place in the lane, their end, their record."""

import asyncio

import pytest

from commandpost.domain.command import CommandMode, CommandState, DeliveryPolicy, Outcome
from commandpost.domain.errors import DeviceOffline, Overloaded
from commandpost.domain.facts import Priority
from commandpost.domain.operation import CancelObserve, Observe
from commandpost.domain.resource import ResourcePath
from commandpost.services.commands import InstantRequest
from commandpost.services.dispatcher import DispatcherSettings
from tests.event_loop import on_event_loop
from tests.unit.services.house import HERE, THERE, execute, house_with_device


@on_event_loop
async def test_answer_reaches_the_caller_and_the_record_follows() -> None:
    """Design 3: one row, behind the answer."""
    house, product, device = await house_with_device()

    task = await house.begin_instant(product, device, execute(1))
    house.downlink.answer(device.id)
    await house.settle()
    result = await task

    assert result.outcome is Outcome.SUCCESS
    record = await house.do(house.commands.get(product, device, result.command_id))
    assert record.command.mode is CommandMode.INSTANT
    assert record.command.state is CommandState.SUCCEEDED
    assert [attempt.end is not None for attempt in record.attempts] == [True]
    assert house.dispatcher.lanes_open == 0


@on_event_loop
async def test_error_answer_is_the_result() -> None:
    house, product, device = await house_with_device()

    task = await house.begin_instant(product, device, execute(1))
    house.downlink.answer_badly(device.id, Outcome.NOT_FOUND)
    await house.settle()

    assert (await task).outcome is Outcome.NOT_FOUND


@on_event_loop
async def test_offline_device_is_refused_at_once() -> None:
    """2001; nothing is sent, nothing waits."""
    house, product, device = await house_with_device(is_registered=False)

    task = await house.begin_instant(product, device, execute(1))

    with pytest.raises(DeviceOffline):
        await task
    assert house.dispatcher.lanes_open == 0


@on_event_loop
async def test_budget_runs_while_it_waits_for_the_lane() -> None:
    """One budget from arrival to answer; at its end nothing was sent, and the outcome is TIME_OUT."""
    house, product, device = await house_with_device()
    await house.submit(product, device, execute(1), answer_timeout_ms=40_000)
    await house.update(device)

    task = await house.begin_instant(product, device, execute(2), timeout_ms=5_000)
    await house.advance(5)
    result = await task

    assert result.outcome is Outcome.TIME_OUT
    assert house.downlink.operations() == [execute(1)]
    record = await house.do(house.commands.get(product, device, result.command_id))
    assert record.attempts == ()
    assert record.command.outcome is Outcome.TIME_OUT


@on_event_loop
async def test_deadline_on_the_wire_is_what_is_left_of_the_budget() -> None:
    house, product, device = await house_with_device()
    await house.submit(product, device, execute(1))
    await house.update(device)
    began = house.clock.monotonic()

    await house.begin_instant(product, device, execute(2), timeout_ms=10_000)
    await house.advance(4)
    house.downlink.answer(device.id)
    await house.settle()

    assert house.downlink.sent[-1][1].deadline == began + 10.0


@on_event_loop
async def test_it_goes_between_cached_commands() -> None:
    """SB 2.4."""
    house, product, device = await house_with_device()
    for number in (1, 2, 3):
        await house.submit(product, device, execute(number))
    await house.update(device)

    await house.begin_instant(product, device, execute(9))
    for _ in range(4):
        house.downlink.answer(device.id)
        await house.settle()

    assert house.downlink.operations() == [execute(1), execute(9), execute(2), execute(3)]


@on_event_loop
async def test_registration_sends_it_again_within_its_budget() -> None:
    """SB 2.6: the old exchange is dead; once more, to the new address."""
    house, product, device = await house_with_device()

    task = await house.begin_instant(product, device, execute(1))
    await house.register(device, remote=THERE)
    assert [sent.remote for _, sent in house.downlink.sent] == [HERE, THERE]
    house.downlink.answer(device.id)
    await house.settle()
    result = await task

    assert result.outcome is Outcome.SUCCESS
    record = await house.do(house.commands.get(product, device, result.command_id))
    assert [attempt.number for attempt in record.attempts] == [1, 2]


@on_event_loop
async def test_second_registration_ends_it() -> None:
    """Once more, not for ever."""
    house, product, device = await house_with_device()

    task = await house.begin_instant(product, device, execute(1))
    await house.register(device, remote=THERE)
    await house.register(device, remote=HERE)

    assert (await task).outcome is Outcome.TIME_OUT
    assert len(house.downlink.sent) == 2


@on_event_loop
async def test_at_most_once_is_not_sent_again() -> None:
    house, product, device = await house_with_device()

    task = await house.begin_instant(product, device, execute(1), delivery=DeliveryPolicy.AT_MOST_ONCE)
    await house.register(device, remote=THERE)

    assert (await task).outcome is Outcome.TIME_OUT
    assert len(house.downlink.sent) == 1


@on_event_loop
async def test_value_that_cannot_be_encoded_is_the_callers_fault() -> None:
    house, product, device = await house_with_device()
    house.downlink.unencodable = [execute(1)]

    task = await house.begin_instant(product, device, execute(1))

    assert (await task).outcome is Outcome.REQ_PARAM_ERROR
    assert house.downlink.sent == []


@on_event_loop
async def test_device_that_leaves_while_it_waits_is_offline() -> None:
    """Nothing was sent: 2001; the record says OFFLINE."""
    house, product, device = await house_with_device()
    await house.submit(product, device, execute(1))
    await house.update(device)
    task = await house.begin_instant(product, device, execute(2))

    assert device.imei is not None
    await house.do(house.sessions.deregister(device.imei, None, HERE))

    with pytest.raises(DeviceOffline):
        await task
    (recent,) = [
        command
        for command in await house.store.list_commands(product.id, before_seq=None, limit=9)
        if command.mode is CommandMode.INSTANT
    ]
    assert recent.outcome is Outcome.OFFLINE


@on_event_loop
async def test_device_that_is_deleted_is_offline_for_all_who_wait() -> None:
    house, product, device = await house_with_device()
    sent = await house.begin_instant(product, device, execute(1))
    waiting = await house.begin_instant(product, device, execute(2))

    await house.do(house.devices.remove(product, device.id))

    assert (await sent).outcome is Outcome.OFFLINE
    with pytest.raises(DeviceOffline):
        await waiting
    assert house.dispatcher.lanes_open == 0


@on_event_loop
async def test_device_whose_address_another_took_ends_addr_occupied() -> None:
    """SB 2.2."""
    house, product, device = await house_with_device()
    other = await house.add_device(product, imei="860000000000002")
    task = await house.begin_instant(product, device, execute(1))

    await house.register(other, remote=HERE)
    afterwards = await house.begin_instant(product, device, execute(2))

    assert (await task).outcome is Outcome.ADDR_OCCUPIED
    assert (await afterwards).outcome is Outcome.ADDR_OCCUPIED
    assert len(house.downlink.sent) == 1


@on_event_loop
async def test_too_many_for_one_device_are_refused() -> None:
    """P11."""
    house, product, device = await house_with_device(
        settings=DispatcherSettings(setup_delay_ms=0, instants_per_device_max=2)
    )
    tasks = [await house.begin_instant(product, device, execute(number)) for number in range(4)]

    with pytest.raises(Overloaded):
        await tasks[3]
    for _ in range(3):
        await house.advance(0.3)
        house.downlink.answer(device.id)
        await house.settle()
    assert [(await task).outcome for task in tasks[:3]] == [Outcome.SUCCESS] * 3


@on_event_loop
async def test_too_many_in_all_are_refused() -> None:
    house, product, device = await house_with_device(settings=DispatcherSettings(setup_delay_ms=0, instants_max=1))
    await house.begin_instant(product, device, execute(1))

    task = await house.begin_instant(product, device, execute(2))

    with pytest.raises(Overloaded):
        await task


@on_event_loop
async def test_caller_that_goes_away_takes_what_waits_with_him() -> None:
    house, product, device = await house_with_device()
    first = await house.begin_instant(product, device, execute(1))
    second = await house.begin_instant(product, device, execute(2))

    second.cancel()
    await house.settle()
    house.downlink.answer(device.id)
    await house.settle()

    assert (await first).outcome is Outcome.SUCCESS
    assert house.downlink.operations() == [execute(1)]
    assert house.dispatcher.instants_open == 0


@on_event_loop
async def test_caller_that_goes_away_after_the_sending_leaves_a_record() -> None:
    house, product, device = await house_with_device()
    task = await house.begin_instant(product, device, execute(1))

    task.cancel()
    await house.settle()
    house.downlink.answer(device.id)
    await house.settle()

    (command,) = await house.store.list_commands(product.id, before_seq=None, limit=9)
    assert command.state is CommandState.SUCCEEDED


OBSERVE = Observe(path=ResourcePath(object_id=3303, instance_id=0))
CANCEL = CancelObserve(path=ResourcePath(object_id=3303, instance_id=0))


@on_event_loop
async def test_observation_is_kept_and_dropped_after_its_cancel() -> None:
    house, product, device = await house_with_device()
    session = house.sessions.find(device.id)
    assert session is not None

    await house.begin_instant(product, device, OBSERVE)
    stored = await house.store.find_session(device.id)
    assert stored is not None
    assert stored.observations == session.observations
    token = house.downlink.sent[0][1].coap_token
    assert [kept.coap_token for kept in session.observations] == [token]
    assert not session.observations[0].is_automatic
    house.downlink.answer(device.id)
    await house.settle()
    await house.begin_instant(product, device, CANCEL)
    assert house.downlink.sent[1][1].coap_token != token
    house.downlink.answer(device.id)
    await house.settle()

    assert session.observations == ()
    stored = await house.store.find_session(device.id)
    assert stored is not None
    assert stored.observations == ()


@on_event_loop
async def test_observing_again_keeps_the_token() -> None:
    """Whatever becomes of the request, notifications stay known."""
    house, product, device = await house_with_device()
    for _ in range(2):
        await house.begin_instant(product, device, OBSERVE)
        house.downlink.stay_silent(device.id)
        await house.settle()

    first, second = (sent.coap_token for _, sent in house.downlink.sent)
    assert first == second


@on_event_loop
async def test_refused_observation_does_not_exist() -> None:
    house, product, device = await house_with_device()

    await house.begin_instant(product, device, OBSERVE)
    house.downlink.answer_badly(device.id)
    await house.settle()

    session = house.sessions.find(device.id)
    assert session is not None
    assert session.observations == ()


@on_event_loop
async def test_record_is_written_later_when_the_writer_is_busy() -> None:
    """The caller does not wait for it."""
    house, product, device = await house_with_device()
    task = await house.begin_instant(product, device, execute(1))
    house.writer.overloaded = {Priority.BEHIND}
    house.downlink.answer(device.id)
    await house.settle()
    result = await task

    house.writer.overloaded = set()
    await house.advance(1)

    record = await house.do(house.commands.get(product, device, result.command_id))
    assert record.command.state is CommandState.SUCCEEDED


@on_event_loop
async def test_session_of_before_the_start_is_loaded() -> None:
    """An instant command may be the first to ask for a device after a restart."""
    house, product, device = await house_with_device()
    again = house.restarted()

    task = await again.begin_instant(product, device, execute(1))
    again.downlink.answer(device.id)
    await again.settle()

    assert (await task).outcome is Outcome.SUCCESS


@on_event_loop
async def test_thousand_waiting_cost_no_task_each() -> None:
    """One timer per lane."""
    house, product, device = await house_with_device(
        settings=DispatcherSettings(setup_delay_ms=0, instants_per_device_max=1_000)
    )
    tasks = [
        asyncio.ensure_future(
            house.commands.run(product, device, InstantRequest(operation=execute(1), timeout_ms=5_000))
        )
        for _ in range(1_000)
    ]
    await house.settle()

    assert house.scheduler.timers == 1
    await house.advance(8)
    assert {(await task).outcome for task in tasks} == {Outcome.TIME_OUT}
    assert house.dispatcher.lanes_open == 0


@on_event_loop
async def test_no_request_beats_our_answer_to_the_registration() -> None:
    """Modules ignore what comes before they are registered, whatever it is."""
    house, product, device = await house_with_device(settings=DispatcherSettings(setup_delay_ms=250))
    await house.advance(1)
    await house.register(device, remote=THERE)
    assert house.dispatcher.lanes_open == 0

    await house.begin_instant(product, device, execute(1))
    assert house.downlink.sent == []
    await house.advance(0.25)

    assert len(house.downlink.sent) == 1
