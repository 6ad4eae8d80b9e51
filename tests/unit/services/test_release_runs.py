"""Cached commands released by uplinks: order, windows, failures, silence, lost claims."""

import asyncio

from commandpost.domain.command import CommandState, DeliveryPolicy, Outcome, Trigger
from commandpost.domain.facts import Claim, FinishAndClaim, WaitingFor
from commandpost.domain.instant import HOUR_MS
from commandpost.domain.session import Session
from commandpost.services.sessions import Registration
from tests.event_loop import on_event_loop
from tests.unit.services.house import IMEI, IMSI, THERE, execute, house_with_device


@on_event_loop
async def test_commands_go_in_order_and_cost_one_commit_more_than_there_are() -> None:
    """P5, and design 3: the outcome and the next claim share a transaction."""
    house, product, device = await house_with_device()
    commands = [await house.submit(product, device, execute(number)) for number in range(4)]
    commits_before = house.writer.commits

    await house.update(device)
    for _ in commands:
        house.downlink.answer(device.id)
        await house.settle()

    assert house.downlink.operations() == [execute(number) for number in range(4)]
    gates = len(house.writer.of(Claim)) + len(house.writer.of(FinishAndClaim))
    assert gates == len(commands) + 1
    assert house.writer.commits - commits_before == len(commands) + 2  # and one look-up
    for command in commands:
        assert (await house.look(product, command)).command.state is CommandState.SUCCEEDED
    assert house.dispatcher.lanes_open == 0
    assert house.scheduler.timers == 0


@on_event_loop
async def test_submission_alone_sends_nothing() -> None:
    """NB 5.11: only an uplink releases."""
    house, product, device = await house_with_device()

    await house.submit(product, device, execute(1))

    assert house.downlink.sent == []


@on_event_loop
async def test_attempt_is_on_disk_before_its_datagram_leaves() -> None:
    """P3."""
    house, product, device = await house_with_device()
    command = await house.submit(product, device, execute(1))
    house.writer.is_held = True

    await house.update(device)
    house.writer.commit()  # the look-up
    await house.settle()
    assert house.downlink.sent == []
    house.writer.release()
    await house.settle()

    assert len(house.downlink.sent) == 1
    record = await house.look(product, command)
    assert record.command.state is CommandState.SENT
    assert record.attempts[0].coap_token == house.downlink.sent[0][1].coap_token


@on_event_loop
async def test_error_answer_lets_the_run_go_on_and_the_command_wait_for_the_next_uplink() -> None:
    """NB 5.11: a failure by answer uses a retry up and does not block those behind it."""
    house, product, device = await house_with_device()
    bad = await house.submit(product, device, execute(1), retry=1)
    good = await house.submit(product, device, execute(2))

    await house.update(device)
    house.downlink.answer_badly(device.id)
    await house.settle()
    house.downlink.answer(device.id)
    await house.settle()
    record = await house.look(product, bad)
    assert (record.command.state, record.command.remaining) == (CommandState.WAITING, 0)
    assert record.command.outcome is Outcome.METHOD_NOT_ALLOWED
    assert house.is_quiet(device.id)
    await house.update(device)
    house.downlink.answer_badly(device.id)
    await house.settle()

    assert (await house.look(product, bad)).command.state is CommandState.FAILED
    assert (await house.look(product, good)).command.state is CommandState.SUCCEEDED
    assert house.downlink.operations() == [execute(1), execute(2), execute(1)]


@on_event_loop
async def test_silence_stops_the_run() -> None:
    """SB 2.5: the device went back to sleep; those behind keep their retries."""
    house, product, device = await house_with_device()
    first = await house.submit(product, device, execute(1))
    second = await house.submit(product, device, execute(2))

    await house.update(device)
    house.downlink.stay_silent(device.id)
    await house.settle()

    assert house.downlink.operations() == [execute(1)]
    assert (await house.look(product, first)).command.remaining == 2
    assert (await house.look(product, second)).command.attempts == 0
    assert house.dispatcher.lanes_open == 0


@on_event_loop
async def test_uplink_during_a_flight_releases_others_but_not_the_command_that_then_fails() -> None:
    """An uplink heard during the flight is not the next one after the failure."""
    house, product, device = await house_with_device()
    await house.submit(product, device, execute(1))
    await house.submit(product, device, execute(2))

    await house.update(device)
    await house.notify(device)
    house.downlink.stay_silent(device.id)
    await house.settle()
    assert house.downlink.operations() == [execute(1), execute(2)]
    house.downlink.answer(device.id)
    await house.settle()
    assert house.is_quiet(device.id)
    await house.notify(device)

    assert house.downlink.operations() == [execute(1), execute(2), execute(1)]


@on_event_loop
async def test_uplink_after_a_failure_in_the_same_run_gives_the_command_another_go() -> None:
    """A new uplink is a new trigger event."""
    house, product, device = await house_with_device()
    await house.submit(product, device, execute(1))
    await house.submit(product, device, execute(2))

    await house.update(device)
    house.downlink.answer_badly(device.id)
    await house.settle()
    await house.update(device)
    house.downlink.answer(device.id)
    await house.settle()

    assert house.downlink.operations() == [execute(1), execute(2), execute(1)]


@on_event_loop
async def test_burst_of_notifications_is_one_further_run() -> None:
    """SB 2.5: a NOTIFY burst coalesces."""
    house, product, device = await house_with_device()
    await house.submit(product, device, execute(1))
    look_ups = len(house.writer.of(WaitingFor))

    await house.update(device)
    for _ in range(50):
        await house.notify(device)
    house.downlink.answer(device.id)
    await house.settle()

    assert len(house.writer.of(WaitingFor)) - look_ups == 2
    assert len(house.downlink.sent) == 1


@on_event_loop
async def test_other_trigger_is_remembered_during_a_run() -> None:
    """SB 2.5: the masks are ORed; a command that the first run passed over goes in the second."""
    house, product, device = await house_with_device()
    await house.submit(product, device, execute(1), triggers=Trigger.UPDATE)
    await house.submit(product, device, execute(2), triggers=Trigger.NOTIFY)

    await house.update(device)
    await house.notify(device)
    house.downlink.answer(device.id)
    await house.settle()

    assert house.downlink.operations() == [execute(1), execute(2)]


@on_event_loop
async def test_window_is_looked_at_when_the_claim_is_made() -> None:
    """P6: neither before valid_from nor at or after expires_at, by the clock of that moment."""
    house, product, device = await house_with_device()
    await house.submit(product, device, execute(1))
    late = await house.submit(product, device, execute(2), expires_in_ms=20_000)
    early = await house.submit(product, device, execute(3), valid_in_ms=HOUR_MS // 2)

    await house.update(device)
    await house.advance(20)
    house.downlink.answer(device.id)
    await house.settle()

    assert house.downlink.operations() == [execute(1)]
    assert (await house.look(product, late)).command.state is CommandState.EXPIRED
    assert (await house.look(product, early)).command.state is CommandState.WAITING


@on_event_loop
async def test_cancelled_between_look_up_and_claim_is_passed_over() -> None:
    """A lost claim sends nothing, and the next goes."""
    house, product, device = await house_with_device()
    first = await house.submit(product, device, execute(1))
    await house.submit(product, device, execute(2))
    await house.submit(product, device, execute(3))

    await house.update(device)
    await house.do(house.commands.cancel_all(product, device))
    house.downlink.answer(device.id)
    await house.settle()

    assert house.downlink.operations() == [execute(1)]
    assert (await house.look(product, first)).command.state is CommandState.SUCCEEDED
    assert house.dispatcher.lanes_open == 0


@on_event_loop
async def test_command_that_cannot_be_encoded_fails_for_good_and_blocks_nobody() -> None:
    """SB 8: REQ_PARAM_ERROR, nothing sent, no retry."""
    house, product, device = await house_with_device()
    bad = await house.submit(product, device, execute(1))
    await house.submit(product, device, execute(2))
    worse = await house.submit(product, device, execute(3))
    house.downlink.unencodable = [execute(1), execute(3)]

    await house.update(device)
    house.downlink.answer(device.id)
    await house.settle()

    assert house.downlink.operations() == [execute(2)]
    for command in (bad, worse):
        record = await house.look(product, command)
        assert record.command.state is CommandState.FAILED
        assert record.command.outcome is Outcome.REQ_PARAM_ERROR
        assert record.attempts == ()


@on_event_loop
async def test_at_most_once_is_never_sent_again_after_silence() -> None:
    """Design 2: silence ends it, failed, TIME_OUT, whatever registers or updates afterwards."""
    house, product, device = await house_with_device()
    command = await house.submit(product, device, execute(1), delivery=DeliveryPolicy.AT_MOST_ONCE)

    await house.update(device)
    assert house.downlink.sent[0][1].delivery is DeliveryPolicy.AT_MOST_ONCE
    house.downlink.stay_silent(device.id)
    await house.settle()
    await house.update(device)
    await house.register(device)

    record = (await house.look(product, command)).command
    assert (record.state, record.outcome) == (CommandState.FAILED, Outcome.TIME_OUT)
    assert len(house.downlink.sent) == 1


@on_event_loop
async def test_registration_ends_the_flight_and_is_its_next_trigger() -> None:
    """Design 3: the old exchange is dead; the REGISTER releases the command again."""
    house, product, device = await house_with_device()
    command = await house.submit(product, device, execute(1), retry=1)

    await house.update(device)
    first = house.downlink.sent[0][1].attempt_id
    await house.register(device, remote=THERE)

    assert house.downlink.abandoned == [first]
    assert house.downlink.operations() == [execute(1), execute(1)]
    assert house.downlink.sent[1][1].remote == THERE
    record = await house.look(product, command)
    assert record.command.remaining == 0
    assert record.attempts[0].end is not None
    assert record.attempts[0].end.outcome is Outcome.TIME_OUT


@on_event_loop
async def test_registration_fails_an_at_most_once_flight_for_good() -> None:
    """Never on a new REGISTER."""
    house, product, device = await house_with_device()
    command = await house.submit(product, device, execute(1), delivery=DeliveryPolicy.AT_MOST_ONCE)

    await house.update(device)
    await house.register(device, remote=THERE)

    record = (await house.look(product, command)).command
    assert (record.state, record.outcome) == (CommandState.FAILED, Outcome.TIME_OUT)
    assert len(house.downlink.sent) == 1


@on_event_loop
async def test_claim_under_an_old_epoch_is_lost_and_the_registration_releases_the_command() -> None:
    """The epoch fences claims; nothing is sent to the address of before."""
    house, product, device = await house_with_device()
    await house.submit(product, device, execute(1))
    command = await house.submit(product, device, execute(2))
    await house.update(device)
    house.writer.is_held = True
    registering = asyncio.ensure_future(
        house.sessions.register(Registration(endpoint_name=f"{IMEI};{IMSI}", lifetime_s=60), THERE)
    )
    await house.settle()

    house.downlink.answer(device.id)
    house.writer.release()
    await house.settle()
    session = await registering
    assert isinstance(session, Session)
    assert len(house.downlink.sent) == 1
    session.pending_setup = ()
    house.dispatcher.uplink(session, Trigger.REGISTER)
    await house.settle()

    assert house.downlink.operations() == [execute(1), execute(2)]
    assert house.downlink.sent[1][1].remote == THERE
    assert (await house.look(product, command)).command.attempts == 1


@on_event_loop
async def test_late_answer_is_counted_and_changes_nothing() -> None:
    """P7."""
    house, product, device = await house_with_device()
    command = await house.submit(product, device, execute(1), retry=0)

    await house.update(device)
    attempt_id = house.downlink.sent[0][1].attempt_id
    transmission = house.downlink.open[device.id]
    house.downlink.stay_silent(device.id)
    await house.settle()
    house.downlink.open[device.id] = transmission
    house.downlink.answer(device.id)
    await house.settle()

    record = await house.look(product, command)
    assert record.command.state is CommandState.FAILED
    assert record.attempts[0].id == attempt_id
    assert record.attempts[0].late_answers == 1


@on_event_loop
async def test_driver_that_says_nothing_does_not_hold_the_lane_for_ever() -> None:
    """Every wait has a deadline."""
    house, product, device = await house_with_device()
    command = await house.submit(product, device, execute(1), retry=0)

    await house.update(device)
    await house.advance(30)

    assert (await house.look(product, command)).command.state is CommandState.FAILED
    assert house.dispatcher.lanes_open == 0
    assert len(house.downlink.abandoned) == 1


@on_event_loop
async def test_wall_clock_set_forward_does_not_end_a_flight() -> None:
    """Deadlines in flight are monotonic."""
    house, product, device = await house_with_device()
    command = await house.submit(product, device, execute(1), retry=0)

    await house.update(device)
    house.clock.jump_wall(600)
    await house.advance(10)
    house.downlink.answer(device.id)
    await house.settle()

    assert (await house.look(product, command)).command.state is CommandState.SUCCEEDED


@on_event_loop
async def test_claim_that_cannot_be_written_sends_nothing() -> None:
    """The command stays where it is."""
    house, product, device = await house_with_device()
    command = await house.submit(product, device, execute(1))
    house.writer.failing = {Claim}

    await house.update(device)

    assert house.downlink.sent == []
    assert (await house.look(product, command)).command.state is CommandState.WAITING
    assert house.dispatcher.lanes_open == 0


@on_event_loop
async def test_update_without_waiting_commands_asks_the_store_nothing() -> None:
    """Design 4: uplinks are not disk work."""
    house, _, device = await house_with_device()
    facts_before = len(house.writer.facts)

    for _ in range(100):
        await house.update(device)

    assert len(house.writer.facts) == facts_before
