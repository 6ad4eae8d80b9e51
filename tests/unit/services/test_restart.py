"""What a start finds, what a stop leaves, and who ends what nobody ended."""

import asyncio

from commandpost.domain.command import CommandState, DeliveryPolicy, Outcome
from commandpost.domain.facts import FinishAndClaim
from commandpost.domain.session import Remote
from commandpost.services.maintenance import (
    AddressKeeper,
    Duty,
    Expirer,
    Maintenance,
    Rescuer,
    SessionSweeper,
)
from tests.event_loop import on_event_loop
from tests.fakes.ids import TellTale
from tests.unit.services.house import HERE, THERE, House, execute, house_with_device


async def restarted(house: House) -> House:
    again = house.restarted()
    await again.do(again.dispatcher.recover())
    return again


@on_event_loop
async def test_open_attempt_is_adopted_and_its_answer_still_counts() -> None:
    """P9: same token, remaining time, nothing sent."""
    house, product, device = await house_with_device()
    command = await house.submit(product, device, execute(1), retry=0)
    await house.update(device)
    await house.advance(10)

    again = await restarted(house)
    ((operation, transmission),) = again.downlink.adopted
    assert operation == execute(1)
    assert transmission.coap_token == house.downlink.sent[0][1].coap_token
    assert transmission.remote == HERE
    assert transmission.deadline == again.clock.monotonic() + 15
    assert again.downlink.sent == []
    again.downlink.answer(device.id)
    await again.settle()

    assert (await again.look(product, command)).command.state is CommandState.SUCCEEDED
    assert again.dispatcher.lanes_open == 0


@on_event_loop
async def test_attempt_is_adopted_where_its_device_was_when_it_was_sent() -> None:
    """P9: the new address is on disk with the attempt, though it is written behind otherwise."""
    house, product, device = await house_with_device()
    await house.submit(product, device, execute(1), retry=0)
    await house.update(device, remote=THERE)

    again = await restarted(house)

    assert [sent.remote for _, sent in house.downlink.sent] == [THERE]
    assert [adopted.remote for _, adopted in again.downlink.adopted] == [THERE]


@on_event_loop
async def test_adopted_attempt_holds_the_lane() -> None:
    """P4: an uplink finds it busy; what waits goes after its end."""
    house, product, device = await house_with_device()
    await house.submit(product, device, execute(1))
    await house.submit(product, device, execute(2))
    await house.update(device)

    again = await restarted(house)
    await again.update(device)
    assert again.downlink.sent == []
    again.downlink.answer(device.id)
    await again.settle()

    assert again.downlink.operations() == [execute(2)]


@on_event_loop
async def test_overdue_attempts_have_ended_when_recovery_returns() -> None:
    """P2, P9: by silence; those with retries left go at the next uplink."""
    house, product, _ = await house_with_device(is_registered=False)
    commands = []
    for number in range(600):  # more than a page
        device = await house.add_device(product, imei=f"8611111111{number:05}")
        remote = Remote(b"%d" % number)
        await house.register(device, remote=remote)
        commands.append(await house.submit(product, device, execute(1), retry=number % 2))
        await house.update(device, remote=remote)
    house.clock.advance(25)

    again = await restarted(house)

    records = [(await again.look(product, command)).command for command in commands]
    assert [record.state for record in records] == [CommandState.FAILED, CommandState.WAITING] * 300
    assert {record.outcome for record in records} == {Outcome.TIME_OUT}
    assert again.dispatcher.lanes_open == 0


@on_event_loop
async def test_at_most_once_is_not_sent_again_after_a_crash() -> None:
    """Design 2: outcome unknown, failed, TIME_OUT."""
    house, product, device = await house_with_device()
    command = await house.submit(product, device, execute(1), delivery=DeliveryPolicy.AT_MOST_ONCE)
    await house.update(device)
    house.clock.advance(30)

    again = await restarted(house)
    await again.update(device)

    record = (await again.look(product, command)).command
    assert (record.state, record.outcome) == (CommandState.FAILED, Outcome.TIME_OUT)
    assert again.downlink.sent == []


@on_event_loop
async def test_registration_after_a_crash_releases_the_adopted_command_again() -> None:
    house, product, device = await house_with_device()
    command = await house.submit(product, device, execute(1), retry=1)
    await house.update(device)

    again = await restarted(house)
    await again.register(device, remote=THERE)

    assert len(again.downlink.abandoned) == 1
    assert [sent.remote for _, sent in again.downlink.sent] == [THERE]
    assert (await again.look(product, command)).command.remaining == 0


@on_event_loop
async def test_attempt_of_a_device_without_session_is_waited_for_until_its_deadline() -> None:
    house, product, device = await house_with_device()
    command = await house.submit(product, device, execute(1), retry=0)
    await house.update(device)
    await house.do(house.sessions.deregister(device.imei or "", None, HERE))

    again = await restarted(house)
    assert again.downlink.adopted == []
    await again.advance(24)
    assert (await again.look(product, command)).command.state is CommandState.SENT
    await again.advance(1)

    assert (await again.look(product, command)).command.state is CommandState.FAILED
    assert again.dispatcher.lanes_open == 0


@on_event_loop
async def test_wall_clock_set_back_does_not_lengthen_an_adopted_deadline() -> None:
    house, product, device = await house_with_device()
    await house.submit(product, device, execute(1))
    await house.update(device)
    house.clock.jump_wall(-3_600)

    again = await restarted(house)

    assert again.downlink.adopted[0][1].deadline == again.clock.monotonic() + 25


@on_event_loop
async def test_what_waited_before_the_start_goes_at_the_next_uplink() -> None:
    house, product, device = await house_with_device()
    await house.submit(product, device, execute(1))

    again = await restarted(house)
    assert again.downlink.sent == []
    await again.update(device)

    assert again.downlink.operations() == [execute(1)]


@on_event_loop
async def test_stop_begins_nothing_and_answers_every_caller() -> None:
    """What is in flight stays sent on disk, for the next start."""
    house, product, device = await house_with_device()
    other = await house.add_device(product, imei="860000000000002")
    await house.register(other, remote=THERE)
    first = await house.submit(product, device, execute(1))
    second = await house.submit(product, device, execute(2))
    await house.update(device)
    waiting = await house.begin_instant(product, device, execute(3))
    sent = await house.begin_instant(product, other, execute(4))

    await house.do(house.dispatcher.drain(5.0))
    await house.update(device)

    assert (await waiting).outcome is Outcome.TIME_OUT
    assert (await sent).outcome is Outcome.TIME_OUT
    assert (await house.look(product, first)).command.state is CommandState.SENT
    assert (await house.look(product, second)).command.state is CommandState.WAITING
    assert house.downlink.operations() == [execute(1), execute(4)]
    assert house.scheduler.timers == 0


@on_event_loop
async def test_callers_are_answered_before_anything_else_stops() -> None:
    """By their devices, as far as those are quick enough; an answer to a cached command is taken after that, too."""
    house, product, device = await house_with_device()
    other = await house.add_device(product, imei="860000000000002")
    await house.register(other, remote=THERE)
    cached = await house.submit(product, other, execute(1))
    await house.update(other, remote=THERE)
    quick = await house.begin_instant(product, device, execute(2))
    late = await house.begin_instant(product, other, execute(3))

    answering = asyncio.ensure_future(house.dispatcher.answer_callers(0.05))
    house.downlink.answer(device.id)
    await house.settle()
    assert (await quick).outcome is Outcome.SUCCESS
    assert not late.done()
    await asyncio.wait_for(answering, 5.0)
    assert (await late).outcome is Outcome.TIME_OUT
    house.downlink.answer(other.id)
    await house.settle()

    assert (await house.look(product, cached)).command.state is CommandState.SUCCEEDED
    assert execute(3) not in house.downlink.operations()


@on_event_loop
async def test_stop_waits_for_what_is_being_written_but_not_for_ever() -> None:
    house, product, device = await house_with_device()
    await house.submit(product, device, execute(1))
    house.writer.is_held = True
    await house.update(device)

    stopping = asyncio.ensure_future(house.dispatcher.drain(5.0))
    await house.settle()
    assert not stopping.done()
    await house.advance(5)

    assert stopping.done()


# --- duties ----------------------------------------------------------------------------------------------------------


@on_event_loop
async def test_rescuer_ends_what_no_lane_holds() -> None:
    """Here: its end could not be written."""
    house, product, device = await house_with_device()
    command = await house.submit(product, device, execute(1), retry=0)
    rescuer = Rescuer(writer=house.writer, reader=house.store, dispatcher=house.dispatcher, clock=house.clock)
    await house.update(device)
    house.writer.failing = {FinishAndClaim}
    house.downlink.answer(device.id)
    await house.settle()
    house.writer.failing = set()
    assert house.dispatcher.lanes_open == 0
    await house.do(rescuer.tick())
    assert (await house.look(product, command)).command.state is CommandState.SENT
    await house.advance(25)

    assert not await house.do(rescuer.tick())

    record = (await house.look(product, command)).command
    assert (record.state, record.outcome) == (CommandState.FAILED, Outcome.TIME_OUT)


@on_event_loop
async def test_rescuer_leaves_alone_what_a_lane_holds() -> None:
    """A wall clock that jumps must not end what is in flight."""
    house, product, device = await house_with_device()
    command = await house.submit(product, device, execute(1))
    rescuer = Rescuer(
        writer=house.writer, reader=house.store, dispatcher=house.dispatcher, clock=house.clock, slice_max=1
    )
    await house.update(device)
    house.clock.jump_wall(600)

    assert not await house.do(rescuer.tick())
    assert (await house.look(product, command)).command.state is CommandState.SENT


@on_event_loop
async def test_expirer_works_in_slices() -> None:
    house, product, device = await house_with_device()
    commands = [await house.submit(product, device, execute(n), expires_in_ms=1_000) for n in range(5)]
    expirer = Expirer(writer=house.writer, clock=house.clock, slice_max=2)
    await house.advance(1)

    assert [await house.do(expirer.tick()) for _ in range(3)] == [True, True, False]
    for command in commands:
        record = (await house.look(product, command)).command
        assert (record.state, record.finished_at) == (CommandState.EXPIRED, command.expires_at)


@on_event_loop
async def test_sweeper_and_address_keeper_do_their_slice() -> None:
    house, _, device = await house_with_device(is_registered=False)
    await house.register(device, lifetime_s=60)
    await house.update(device, remote=THERE)
    keeper = AddressKeeper(sessions=house.sessions)
    sweeper = SessionSweeper(sessions=house.sessions, clock=house.clock)

    written = len(house.writer.facts)
    assert not await house.do(keeper.tick())
    await house.settle()
    assert len(house.writer.facts) == written + 1
    await house.advance(60)
    assert await house.do(sweeper.tick())
    assert not await house.do(sweeper.tick())


class Failing(Duty):
    """Fails, then works."""

    name = "failing"
    interval_s = 0.0

    def __init__(self) -> None:
        self.ticks = 0
        self.has_worked = asyncio.Event()

    async def tick(self) -> bool:
        self.ticks += 1
        if self.ticks == 1:
            raise RuntimeError("a bug")
        self.has_worked.set()
        return False


@on_event_loop
async def test_duty_that_fails_is_told_of_and_tried_again() -> None:
    events = TellTale()
    duty = Failing()
    maintenance = Maintenance(duties=[duty], events=events)

    maintenance.start()
    await duty.has_worked.wait()
    await maintenance.stop()

    assert events.count("duty_failed") == 1
