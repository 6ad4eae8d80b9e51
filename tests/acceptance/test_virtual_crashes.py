"""Modelled crashes at random moments and edges: what was accepted ends once, and what was in flight is adopted.

Here a crash is the loss of everything that was not committed. Real processes and real kill -9 are another test's.
"""

import asyncio
from pathlib import Path
from random import Random

import pytest

from commandpost.domain.command import CommandState
from commandpost.simulation.behaviours import Behaviour
from commandpost.simulation.device_settings import DeviceSettings
from commandpost.simulation.memory_network import NetworkConditions
from tests.acceptance.virtual_server import ConnectionLost, Edge
from tests.acceptance.virtual_world import HOUR_S, VirtualWorld

LOSSY = NetworkConditions(loss=0.1, duplication=0.05, delay_min_s=0.05, delay_max_s=1.5)
AWAKE = DeviceSettings(imei="", lifetime_s=86_400)
BEHAVIOURS = (Behaviour.NORMAL, Behaviour.SLOW, Behaviour.SEPARATE_RESPONSE, Behaviour.SILENT, Behaviour.ANSWERS_5_00)
DEVICES = 8
COMMANDS = 50
CRASHES = 12


async def survive(world: VirtualWorld) -> None:
    """Commands, uplinks and a dozen crashes, each at an edge and a moment of the seed's choice."""
    chance = Random(f"crashes-{world.seed}")
    promised = 0
    for number in range(DEVICES):
        behaviour = BEHAVIOURS[number % len(BEHAVIOURS)]
        settings = DeviceSettings(
            imei="", lifetime_s=600, sleep_s=60, awake_s=20, sleep_jitter=0.4, behaviour=behaviour, slow_answer_s=6.0
        )
        await world.add_device(settings, is_observed=number % 2 == 0, starts_in_s=20 * chance.random())
    crashing = world.spawn(_crash_now_and_then(world, chance))
    for number in range(COMMANDS):
        await asyncio.sleep(12 * chance.random())
        device = chance.choice(world.devices)
        operation = chance.choice(("read", "write", "execute"))
        policy = chance.choice(("at_least_once", "at_most_once"))
        retry, timeout_s = chance.randrange(3), chance.choice((5, 15, 25))
        try:
            envelope = await world.try_submit(
                device, str(number), operation=operation, retry=retry, timeout=timeout_s, delivery=policy
            )
        except ConnectionLost:
            continue  # it may be in or not: its caller was told nothing
        promised += envelope["errno"] == 0
    await crashing
    await world.until_all_ended(at_most_s=2 * HOUR_S)
    await world.until_idle()

    world.check_everything()
    assert len(world.audit.trails) >= promised > COMMANDS // 6
    for trail in world.audit.trails.values():
        record = await world.look(trail.command.id)
        assert record.command.state is trail.states[-1]
        assert len(record.attempts) == len(trail.attempts)
        if record.command.delivery.value == "at_most_once":
            assert all(world.audit.datagrams_of[attempt.coap_token] <= 1 for attempt in record.attempts)
            assert len(record.attempts) <= 1


async def _crash_now_and_then(world: VirtualWorld, chance: Random) -> None:
    for _ in range(CRASHES):
        await asyncio.sleep(20 * chance.random())
        edge = chance.choice(list(Edge))
        is_back = world.crash_at(edge, passings=1 + chance.randrange(6), down_s=chance.choice((0.5, 3.0, 30.0)))
        await is_back.wait()


@pytest.mark.parametrize("seed", range(8))
def test_p9_crashes_at_random_edges_lose_nothing(tmp_path: Path, seed: int) -> None:
    """P2, P3, P4, P7, P9, and at_most_once, through a dozen crashes."""
    VirtualWorld(tmp_path, seed=seed, conditions=LOSSY).run(survive)


@pytest.mark.long
@pytest.mark.parametrize("block", range(10))
def test_p9_many_crashes_at_random_edges_lose_nothing(tmp_path: Path, block: int) -> None:
    """The same for two hundred seeds."""
    for seed in range(100 + 20 * block, 120 + 20 * block):
        VirtualWorld(tmp_path, seed=seed, conditions=LOSSY).run(survive)


@pytest.mark.parametrize("edge", list(Edge))
@pytest.mark.parametrize("passings", [1, 2, 3, 4, 5, 6])
def test_p9_command_survives_a_crash_at_every_edge_of_its_way(tmp_path: Path, edge: Edge, passings: int) -> None:
    """Accepted, looked up, claimed, sent, answered, recorded: a crash at each, and it succeeds all the same."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(AWAKE)
        commands = [await world.submit(device, text, retry=3, timeout=10) for text in "ab"]
        is_back = world.crash_at(edge, passings=passings, down_s=2.0)
        device.sim.update()
        await asyncio.sleep(20)
        while not is_back.is_set():  # fewer passings than that in one run
            device.sim.update()
            await asyncio.sleep(20)
        for _ in range(3):
            device.sim.update()
            await asyncio.sleep(30)

        assert [await world.state_of(each) for each in commands] == [CommandState.SUCCEEDED] * 2
        assert list(dict.fromkeys(device.texts)) == ["a", "b"]
        await world.until_idle()
        world.check_everything()

    VirtualWorld(tmp_path).run(story)


def test_p9_answer_to_an_adopted_attempt_counts_until_its_deadline(tmp_path: Path) -> None:
    """The request was sent by the run before, the answer comes to this one; nothing is sent again."""

    async def story(world: VirtualWorld) -> None:
        slow = DeviceSettings(
            imei="", lifetime_s=86_400, behaviour=Behaviour.SLOW, slow_answer_s=15.0, spares_setup=True
        )
        device = await world.ready_device(slow)
        command = await world.submit(device, "slow", retry=0, timeout=40)
        device.sim.update()
        await asyncio.sleep(2)
        await world.restart(down_s=1.0)
        await asyncio.sleep(20)

        record = await world.look(command)
        assert record.command.state is CommandState.SUCCEEDED
        assert len(record.attempts) == 1
        assert device.texts == ["slow"]
        await world.until_idle()
        world.check_everything()

    VirtualWorld(tmp_path).run(story)


def test_p9_adopted_attempt_without_an_answer_has_failed_by_silence_at_its_deadline(tmp_path: Path) -> None:
    """Not at the restart, not an hour later."""

    async def story(world: VirtualWorld) -> None:
        silent = DeviceSettings(imei="", lifetime_s=86_400, behaviour=Behaviour.SILENT, spares_setup=True)
        device = await world.ready_device(silent)
        command = await world.submit(device, "silent", retry=0, timeout=25)
        device.sim.update()
        await asyncio.sleep(2)
        await world.restart(down_s=1.0)
        await asyncio.sleep(21.9)
        assert await world.state_of(command) is CommandState.SENT
        await asyncio.sleep(3)

        assert await world.state_of(command) is CommandState.FAILED
        await world.until_idle()
        world.check_everything()

    VirtualWorld(tmp_path).run(story)


def test_graceful_stop_and_start_keeps_sessions_and_what_waits(tmp_path: Path) -> None:
    """The device goes on with an Update as if nothing had been, and gets its command."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(AWAKE)
        command = await world.submit(device, "kept")
        await world.stop()
        await asyncio.sleep(5)
        await world.start()
        device.sim.update()
        await world.until_idle()

        assert await world.state_of(command) is CommandState.SUCCEEDED
        assert device.sim.counters.registrations == 1
        world.check_everything()

    VirtualWorld(tmp_path).run(story)
