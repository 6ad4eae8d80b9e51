"""Uplinks that come twice, too late, at the wrong moment, or from a session that is over."""

import asyncio
from pathlib import Path

from commandpost.domain.command import CommandState
from commandpost.domain.ids import CommandId, parse_command_id
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Option
from tests.acceptance.virtual_probe import Probe
from tests.acceptance.virtual_world import HOUR_S, VirtualWorld


async def submit(world: VirtualWorld, probe: Probe, text: str, **query: object) -> CommandId:
    """Submit an execute for a probe."""
    resource = {"imei": probe.imei, "obj_id": 3303, "obj_inst_id": 0, "res_id": 5605}
    terms = {"expired_time": world.text_in(HOUR_S), **query}
    answer = await world.data("POST", "/nbiot/execute/offline", {**resource, **terms}, body={"args": text})
    command_id = parse_command_id(answer["uuid"])
    assert command_id is not None
    return command_id


def executes(probe: Probe) -> list[bytes]:
    """The texts of the executes that arrived, retransmissions included."""
    return [request.payload for request in probe.requests if request.code == Code.POST]


async def registered(world: VirtualWorld, *, is_observed: bool = False, lifetime_s: int = 86_400) -> Probe:
    """A probe that has registered and answered its setup."""
    probe = await Probe.create(world, is_observed=is_observed)
    assert await probe.ask(probe.register_frame(lifetime_s=lifetime_s)) == Code.CREATED
    await probe.answer_until_quiet()
    assert world.platform.lwm2m.dispatcher.lanes_open == 0
    return probe


async def observing(world: VirtualWorld, *, lifetime_s: int = 86_400) -> tuple[Probe, bytes]:
    """The same, with the token under which 3303/0 is observed."""
    probe = await registered(world, is_observed=True, lifetime_s=lifetime_s)
    (observe,) = [each for each in probe.requests if each.find_option(Option.OBSERVE) is not None]
    return probe, observe.token


def reply_type(probe: Probe, sent: CoapMessage) -> list[MessageType]:
    return [reply.type for reply in probe.replies_to(sent)]


def test_register_twice_with_one_message_id_is_one_registration_and_one_run(tmp_path: Path) -> None:
    """A wire duplicate gets the stored answer and triggers nothing."""

    async def story(world: VirtualWorld) -> None:
        probe = await Probe.create(world)
        command = await submit(world, probe, "once")
        frame = probe.register_frame()
        for _ in range(3):
            probe.send(frame)
            await asyncio.sleep(0.1)
        await probe.answer_until_quiet()
        probe.send(frame)
        await probe.answer_until_quiet()

        assert [reply.code for reply in probe.replies_to(frame)] == [Code.CREATED] * 4
        assert world.server.events.count("device_registered") == 1
        assert executes(probe) == [b"once"]
        assert await world.state_of(command) is CommandState.SUCCEEDED
        assert world.platform.lwm2m.dispatcher.lanes_open == 0

    VirtualWorld(tmp_path).run(story)


def test_register_twice_with_two_message_ids_within_a_second(tmp_path: Path) -> None:
    """A module that restarted: two registrations, and what had not left yet leaves once, for the second."""

    async def story(world: VirtualWorld) -> None:
        probe = await Probe.create(world)
        command = await submit(world, probe, "once")
        probe.send(probe.register_frame())
        await asyncio.sleep(0.1)
        probe.send(probe.register_frame())
        await probe.answer_until_quiet()

        assert world.server.events.count("device_registered") == 2
        assert executes(probe) == [b"once"]
        assert len((await world.look(command)).attempts) == 1
        assert await world.state_of(command) is CommandState.SUCCEEDED
        assert world.platform.lwm2m.dispatcher.lanes_open == 0

    VirtualWorld(tmp_path).run(story)


def test_registration_with_a_cached_command_in_flight_sends_it_again(tmp_path: Path) -> None:
    """It failed by silence, and the REGISTER that ended it is the trigger of its next attempt."""

    async def story(world: VirtualWorld) -> None:
        probe = await registered(world)
        command = await submit(world, probe, "again", retry=1)
        await probe.ask(probe.update_frame())
        assert executes(probe) == [b"again"]
        await asyncio.sleep(1)
        await probe.ask(probe.register_frame())
        await asyncio.sleep(1)
        await probe.answer_until_quiet()

        record = await world.look(command)
        assert record.command.state is CommandState.SUCCEEDED
        assert [attempt.end is not None and attempt.end.is_silence for attempt in record.attempts] == [True, False]
        assert world.platform.lwm2m.dispatcher.lanes_open == 0

    VirtualWorld(tmp_path).run(story)


def test_update_before_and_after_the_end_of_a_lifetime(tmp_path: Path) -> None:
    """Only the lifetime decides: a millisecond early renews it, at its end there is nothing to renew."""

    async def story(world: VirtualWorld) -> None:
        probe = await Probe.create(world)
        await probe.ask(probe.register_frame(lifetime_s=60))
        since = world.clock.monotonic() - 0.05
        await probe.answer_until_quiet()
        await asyncio.sleep(since + 59.9 - world.clock.monotonic())
        assert await probe.ask(probe.update_frame()) == Code.CHANGED
        await asyncio.sleep(59.95)
        assert await probe.ask(probe.update_frame()) == Code.NOT_FOUND

        await asyncio.sleep(5)
        assert world.platform.lwm2m.dispatcher.lanes_open == 0

    VirtualWorld(tmp_path, tick_s=7.0).run(story)


def test_update_racing_the_sweep_releases_or_is_refused_never_both(tmp_path: Path) -> None:
    """Around the last instant: 2.04 and the command goes, or 4.04 and it waits."""
    fates = set()

    async def story(world: VirtualWorld) -> None:
        probe = await registered(world, lifetime_s=60)
        command = await submit(world, probe, "race")
        session = world.platform.lwm2m.sessions.find(probe.device_id)
        assert session is not None
        left_s = (session.deadline - world.clock.wall_ms()) / 1000
        await asyncio.sleep(left_s + (world.seed - 10) * 0.001)
        code = await probe.ask(probe.update_frame())
        await probe.answer_until_quiet()
        state = await world.state_of(command)
        fates.add((code, state))
        assert world.platform.lwm2m.dispatcher.lanes_open == 0

    for seed in range(20):
        VirtualWorld(tmp_path, seed=seed).run(story)

    assert fates == {(Code.CHANGED, CommandState.SUCCEEDED), (Code.NOT_FOUND, CommandState.WAITING)}


def test_notification_with_the_token_of_an_earlier_registration_is_reset(tmp_path: Path) -> None:
    """The observation ended with the registration; the new one has a token of its own."""

    async def story(world: VirtualWorld) -> None:
        probe, stale = await observing(world)
        await probe.ask(probe.register_frame())
        await probe.answer_until_quiet()
        fresh = [each.token for each in probe.requests if each.find_option(Option.OBSERVE) is not None][-1]
        refused = probe.send(probe.notification(stale))
        refused_too = probe.send(probe.notification(stale, is_confirmable=False))
        taken = probe.send(probe.notification(fresh))
        await asyncio.sleep(1)

        assert fresh != stale
        assert reply_type(probe, refused) == [MessageType.RST]
        assert reply_type(probe, refused_too) == [MessageType.RST]
        assert reply_type(probe, taken) == [MessageType.ACK]

    VirtualWorld(tmp_path).run(story)


def test_notification_during_a_release_run_changes_nothing_in_flight(tmp_path: Path) -> None:
    """Acknowledged at once; one request at a time, in order; a failed one is not sent again by it."""

    async def story(world: VirtualWorld) -> None:
        probe, token = await observing(world)
        first = await submit(world, probe, "a", retry=1)
        second = await submit(world, probe, "b", retry=1)
        await probe.ask(probe.update_frame())
        notified = probe.send(probe.notification(token))
        await asyncio.sleep(0.5)
        assert reply_type(probe, notified) == [MessageType.ACK]
        assert executes(probe) == [b"a"]
        in_flight = [request for request in probe.requests if request.payload == b"a"][-1]
        probe.answer(in_flight, Code.SERVICE_UNAVAILABLE)
        await asyncio.sleep(0.5)
        assert executes(probe) == [b"a", b"b"]
        probe.answer(probe.requests[-1], Code.CHANGED)
        await asyncio.sleep(5)

        assert executes(probe) == [b"a", b"b"]
        assert await world.state_of(first) is CommandState.WAITING
        assert await world.state_of(second) is CommandState.SUCCEEDED
        assert world.platform.lwm2m.dispatcher.lanes_open == 0
        probe.send(probe.notification(token, sequence=10))
        await asyncio.sleep(0.5)
        assert executes(probe) == [b"a", b"b", b"a"]
        probe.answer(probe.requests[-1], Code.CHANGED)
        await asyncio.sleep(0.5)
        assert await world.state_of(first) is CommandState.SUCCEEDED

    VirtualWorld(tmp_path).run(story)


def test_device_whose_lifetime_is_over_is_stopped_and_sent_back_to_register(tmp_path: Path) -> None:
    """Its notification gets a RST, its Update 4.04, swept or not; its command waits for the registration."""

    async def story(world: VirtualWorld) -> None:
        probe, token = await observing(world, lifetime_s=60)
        command = await submit(world, probe, "later")
        await asyncio.sleep(61)
        notified = probe.send(probe.notification(token))
        assert await probe.ask(probe.update_frame()) == Code.NOT_FOUND
        assert reply_type(probe, notified) == [MessageType.RST]
        assert await world.state_of(command) is CommandState.WAITING
        assert world.platform.lwm2m.dispatcher.lanes_open == 0
        await probe.ask(probe.register_frame())
        await probe.answer_until_quiet()

        assert await world.state_of(command) is CommandState.SUCCEEDED

    for seed, tick_s in ((1, 1.0), (2, 600.0)):
        VirtualWorld(tmp_path, seed=seed, tick_s=tick_s).run(story)


def test_a_send_after_a_restart_is_kept_once_without_any_other_uplink(tmp_path: Path) -> None:
    """A Send names no device: its address is enough, also for a server that has not heard it yet."""

    async def story(world: VirtualWorld) -> None:
        probe = await registered(world)
        await world.restart()
        frame = probe.send_frame(b'[{"n":"/3303/0/5700","v":21.5}]')

        assert await probe.ask(frame) == Code.CHANGED
        probe.send(frame)
        await asyncio.sleep(1.0)

        assert [reply.code for reply in probe.replies_to(frame)] == [Code.CHANGED] * 2
        points = await world.data(
            "GET", f"/devices/{probe.device_id}/datapoints", {"datastream_id": "3303_0_5700", "limit": 10}
        )
        ((point,),) = [stream["datapoints"] for stream in points["datastreams"]]
        assert point["value"] == 21.5

    VirtualWorld(tmp_path).run(story)


def test_a_stranger_who_sends_after_a_restart_finds_nothing(tmp_path: Path) -> None:
    async def story(world: VirtualWorld) -> None:
        await registered(world)
        stranger = await Probe.create(world, number=901)
        await world.restart()

        assert await stranger.ask(stranger.send_frame(b'[{"n":"/3303/0/5700","v":1}]')) == Code.NOT_FOUND

    VirtualWorld(tmp_path).run(story)
