"""Devices that misbehave, each in one way: the lane always moves on, and a bad command never blocks those behind it."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from commandpost.domain.command import CommandState, Outcome
from commandpost.domain.ids import CommandId
from commandpost.simulation.behaviours import Behaviour
from commandpost.simulation.device_settings import DeviceSettings
from commandpost.simulation.memory_network import NetworkConditions
from tests.acceptance.virtual_world import VirtualWorld, WorldDevice

AWAKE = DeviceSettings(imei="", lifetime_s=86_400)
SOME_DELAY = NetworkConditions(delay_min_s=0.1, delay_max_s=0.1)


def behaving(behaviour: Behaviour, **changes: float) -> DeviceSettings:
    return replace(AWAKE, behaviour=behaviour, spares_setup=True, **changes)  # type: ignore[arg-type]  # only floats


async def ended(world: VirtualWorld, *commands: CommandId) -> list[tuple[CommandState, Outcome | None]]:
    """Give state and outcome of commands, once nothing is going on any more."""
    await world.until_idle()
    records = [(await world.look(command)).command for command in commands]
    return [(record.state, record.outcome) for record in records]


async def released(world: VirtualWorld, device: WorldDevice, texts: str, **query: object) -> list[CommandId]:
    """Submit one execute for each letter, and let an update release them."""
    commands = [await world.submit(device, text, **query) for text in texts]  # type: ignore[arg-type]  # by keyword
    device.sim.update()
    return commands


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour.ACK_AFTER_REPLY,
        Behaviour.SEPARATE_RESPONSE,
        Behaviour.ANSWERS_TWICE,
        Behaviour.MOVES_ADDRESS,
    ],
)
def test_odd_but_true_answer_counts_once(tmp_path: Path, behaviour: Behaviour) -> None:
    """A reply before its ACK, apart from it, doubled, or after a move on the uplink is an answer all the same."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(behaving(behaviour))
        commands = await released(world, device, "abc")

        assert await ended(world, *commands) == [(CommandState.SUCCEEDED, Outcome.SUCCESS)] * 3
        assert device.texts == ["a", "b", "c"]
        assert [len((await world.look(each)).attempts) for each in commands] == [1, 1, 1]
        world.check_everything()

    VirtualWorld(tmp_path, conditions=SOME_DELAY).run(story)


@pytest.mark.parametrize(
    ("behaviour", "outcome"),
    [
        (Behaviour.ANSWERS_4_05, Outcome.METHOD_NOT_ALLOWED),
        (Behaviour.ANSWERS_5_00, Outcome.INTERNAL_SERVER_ERROR),
    ],
)
def test_refusal_does_not_stop_the_run(tmp_path: Path, behaviour: Behaviour, outcome: Outcome) -> None:
    """An error answer is one failed attempt; the commands behind it go on at once."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(behaving(behaviour))
        commands = await released(world, device, "abc", retry=0)

        assert await ended(world, *commands) == [(CommandState.FAILED, outcome)] * 3
        assert device.texts == ["a", "b", "c"]
        world.check_everything()

    VirtualWorld(tmp_path).run(story)


def test_answer_that_cannot_be_read_does_not_stop_the_run(tmp_path: Path) -> None:
    """RESP_ERROR: the device is awake, so the next one goes at once."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(behaving(Behaviour.BAD_PAYLOAD))
        commands = [await world.submit(device, operation="read", retry=0) for _ in range(2)]
        device.sim.update()

        assert await ended(world, *commands) == [(CommandState.FAILED, Outcome.RESP_ERROR)] * 2
        assert len(device.tokens) == 2
        world.check_everything()

    VirtualWorld(tmp_path).run(story)


@pytest.mark.parametrize("behaviour", [Behaviour.GARBAGE, Behaviour.SILENT, Behaviour.EMPTY_ACK_ONLY])
def test_device_without_an_answer_stops_its_run_and_loses_one_attempt_an_uplink(
    tmp_path: Path, behaviour: Behaviour
) -> None:
    """Silence until the deadline; the next uplink begins with the first command again, until its retries are up."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(behaving(behaviour))
        first, second = await released(world, device, "ab", retry=1, timeout=5)
        await world.until_idle()
        assert device.texts == ["a"]
        device.sim.update()
        await world.until_idle()
        assert (await world.look(first)).command.state is CommandState.FAILED
        assert device.texts == ["a", "a"]
        for _ in range(2):
            device.sim.update()
            await world.until_idle()

        assert await ended(world, first, second) == [(CommandState.FAILED, Outcome.TIME_OUT)] * 2
        assert device.texts == ["a", "a", "b", "b"]
        world.check_everything()

    VirtualWorld(tmp_path).run(story)


def test_reset_ends_the_attempt_at_once(tmp_path: Path) -> None:
    """RST to our CON: the device refuses; the attempt failed, and its deadline is not waited for."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(behaving(Behaviour.RST))
        (command,) = await released(world, device, "a", retry=0)
        await asyncio.sleep(1)

        assert await ended(world, command) == [(CommandState.FAILED, Outcome.OFFLINE)]
        assert device.texts == ["a"]
        world.check_everything()

    VirtualWorld(tmp_path).run(story)


def test_answer_after_the_deadline_is_recorded_and_changes_nothing(tmp_path: Path) -> None:
    """P7: failed stays failed; the attempt counts a late answer."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(behaving(Behaviour.SLOW, slow_answer_s=30.0))
        (command,) = await released(world, device, "a", retry=0, timeout=25)
        await asyncio.sleep(26)
        assert await world.state_of(command) is CommandState.FAILED
        await asyncio.sleep(60)

        record = await world.look(command)
        assert (record.command.state, record.command.outcome) == (CommandState.FAILED, Outcome.TIME_OUT)
        assert [attempt.late_answers for attempt in record.attempts] == [1]
        world.check_everything()

    VirtualWorld(tmp_path).run(story)


def test_slow_device_within_its_deadline_succeeds_and_sees_one_token(tmp_path: Path) -> None:
    """Retransmissions of one attempt are one sending: same token, however often a module carries it out."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(behaving(Behaviour.SLOW, slow_answer_s=20.0))
        commands = await released(world, device, "ab", timeout=40)

        assert await ended(world, *commands) == [(CommandState.SUCCEEDED, Outcome.SUCCESS)] * 2
        assert device.texts == ["a", "b"]
        assert all(world.audit.datagrams_of[token] > 1 for token in device.tokens)
        world.check_everything()

    VirtualWorld(tmp_path).run(story)


def test_nat_rebinding_between_request_and_answer_is_silence_and_the_next_uplink_retries(tmp_path: Path) -> None:
    """An answer from elsewhere proves nothing in NoSec: it does not count, and it does not end anything."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(behaving(Behaviour.MOVES_BEFORE_ANSWER))
        first, second = await released(world, device, "ab", retry=0, timeout=5)
        await world.until_idle()
        assert await world.state_of(first) is CommandState.FAILED
        device.sim.update()

        assert await ended(world, first, second) == [(CommandState.FAILED, Outcome.TIME_OUT)] * 2
        assert device.sim.counters.reboots == 0
        world.check_everything()

    VirtualWorld(tmp_path).run(story)


def test_reboot_in_the_middle_of_a_run(tmp_path: Path) -> None:
    """The command in flight failed by silence; the new REGISTER sends it again, then the rest in order."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(behaving(Behaviour.REBOOT_MID_RUN))
        commands = await released(world, device, "abc", retry=1)

        assert await ended(world, *commands) == [(CommandState.SUCCEEDED, Outcome.SUCCESS)] * 3
        assert device.texts == ["a", "a", "b", "c"]
        assert device.sim.counters.registrations == 2
        world.check_everything()

    VirtualWorld(tmp_path).run(story)


def test_registration_does_not_send_again_what_is_at_most_once(tmp_path: Path) -> None:
    """Outcome unknown: failed, TIME_OUT; those behind it go on."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(behaving(Behaviour.REBOOT_MID_RUN))
        first = await world.submit(device, "a", delivery="at_most_once")
        second = await world.submit(device, "b")
        device.sim.update()

        assert await ended(world, first, second) == [
            (CommandState.FAILED, Outcome.TIME_OUT),
            (CommandState.SUCCEEDED, Outcome.SUCCESS),
        ]
        assert device.texts == ["a", "b"]
        world.check_everything()

    VirtualWorld(tmp_path).run(story)


@pytest.mark.parametrize(("delivery", "errno", "times"), [("at_least_once", 0, 2), ("at_most_once", 5106, 1)])
def test_registration_with_an_instant_command_in_flight(tmp_path: Path, delivery: str, errno: int, times: int) -> None:
    """Sent once more within its budget, if the policy allows; else its caller hears TIME_OUT."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(behaving(Behaviour.REBOOT_MID_RUN))
        query = {
            "imei": device.imei,
            "obj_id": 3303,
            "obj_inst_id": 0,
            "res_id": 5605,
            "timeout": 40,
            "delivery": delivery,
        }
        envelope = await world.call("POST", "/nbiot/execute", query, body={"args": "now"})

        assert envelope["errno"] == errno
        await world.until_idle()
        assert device.texts == ["now"] * times
        world.check_everything()

    VirtualWorld(tmp_path).run(story)


def test_two_devices_swapping_addresses(tmp_path: Path) -> None:
    """A NAT gives ports out again: neither gets the other's commands, and both go on."""

    async def story(world: VirtualWorld) -> None:
        one = await world.ready_device(replace(behaving(Behaviour.SLOW, slow_answer_s=3.0)))
        other = await world.ready_device(replace(behaving(Behaviour.SLOW, slow_answer_s=3.0)))
        commands = [await world.submit(one, text, retry=3) for text in "ab"]
        commands += [await world.submit(other, text, retry=3) for text in "xy"]
        one.sim.update()
        await asyncio.sleep(1)
        world.network.swap(one.link, other.link)
        for device in (other, one, other, one):
            device.sim.update()
            await asyncio.sleep(30)

        assert await ended(world, *commands) == [(CommandState.SUCCEEDED, Outcome.SUCCESS)] * 4
        assert set(one.texts) <= {"a", "b"}
        assert set(other.texts) <= {"x", "y"}
        world.check_everything()

    VirtualWorld(tmp_path).run(story)


def test_late_acknowledgement_changes_nothing(tmp_path: Path) -> None:
    """The empty ACK comes half a second after the reply, when the next request is in flight already."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(behaving(Behaviour.ACK_AFTER_REPLY))
        commands = await released(world, device, "abcd")

        assert await ended(world, *commands) == [(CommandState.SUCCEEDED, Outcome.SUCCESS)] * 4
        assert [world.audit.datagrams_of[token] for token in device.tokens] == [1, 1, 1, 1]
        world.check_everything()

    VirtualWorld(tmp_path).run(story)
