"""Strangers on the port: made-up identities and random bytes, and what they leave behind, which is nothing."""

import asyncio
import gc
import tracemalloc
from pathlib import Path
from random import Random

import pytest

from commandpost.domain.resource import ObjectLinkEntry
from commandpost.protocols.coap.codec import encode
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.lwm2m.registration import format_register
from commandpost.simulation.device_settings import DeviceSettings
from commandpost.simulation.memory_network import memory_remote
from tests.acceptance.virtual_world import SERVER_ADDRESS, VirtualWorld

AWAKE = DeviceSettings(imei="", lifetime_s=86_400)
LINKS = (ObjectLinkEntry(object_id=3303, instance_id=0),)
PER_TURN = 20
PAUSE_S = 0.02  # a thousand a second
GROWTH_MAX_BYTES = 400_000  # noise of the interpreter; one kept record of 400 bytes each would be ten times that
GROWTH_MAX_FEW_BYTES = 150_000  # of 2,000, the second half of which would keep as much with 90 bytes each


def made_up_register(number: int) -> bytes:
    """A well-formed Register of a device nobody has created."""
    request = format_register(f"99{number:013};46{number:013}", links=LINKS)
    return encode(
        CoapMessage(
            type=MessageType.CON,
            code=request.code,
            message_id=number & 0xFFFF,
            token=number.to_bytes(4, "big"),
            options=request.options,
            payload=request.payload,
        )
    )


def random_bytes(random: Random) -> bytes:
    """Noise; half of it begins like CoAP version 1."""
    noise = random.randbytes(random.randrange(0, 120))
    return bytes((0x40 | random.randrange(64),)) + noise if random.random() < 0.5 else noise


async def stand(world: VirtualWorld, datagrams: int, *, is_noise: bool) -> int:
    """Let strangers send from ever new addresses; gives how much memory the second half cost."""
    random = Random(world.seed)
    in_use = []
    for half in range(2):
        for number in range(half * datagrams // 2, (half + 1) * datagrams // 2):
            source = memory_remote(f"198.{18 + number // 65_536 % 2}.{number // 256 % 256}.{number % 256}", 5000)
            datagram = random_bytes(random) if is_noise else made_up_register(number)
            world.network.carry(source, SERVER_ADDRESS, datagram)
            if number % PER_TURN == 0:
                await asyncio.sleep(PAUSE_S)
        await asyncio.sleep(600)  # longer than an answer to a duplicate is kept
        gc.collect()
        in_use.append(tracemalloc.get_traced_memory()[0])
    return in_use[1] - in_use[0]


async def storm_of_strangers(
    world: VirtualWorld, datagrams: int, *, is_noise: bool, growth_max_bytes: int = GROWTH_MAX_BYTES
) -> None:
    device = await world.ready_device(AWAKE)
    world.server.events.told.clear()
    tracemalloc.start()
    try:
        growth = await stand(world, datagrams, is_noise=is_noise)
    finally:
        tracemalloc.stop()
    told = len(world.server.events.told)
    world.server.events.told.clear()

    assert len(world.platform.lwm2m.sessions) == 1
    assert world.platform.lwm2m.driver.known_peers == 1
    assert world.platform.lwm2m.driver.exchanges_open == 0
    assert world.platform.lwm2m.dispatcher.lanes_open == 0
    assert told <= 2 * 100 + 10 * datagrams // 1_000  # the log has a budget, too: two bursts, and ten a second
    assert growth < growth_max_bytes
    await world.submit(device, "still here")
    device.sim.update()
    await world.until_all_ended(at_most_s=60)
    await world.until_idle()
    assert device.texts == ["still here"]
    world.check_everything()


def test_two_thousand_strangers_leave_nothing_behind(tmp_path: Path) -> None:
    """Refused without growth, and the device that is ours is served as ever."""

    async def story(world: VirtualWorld) -> None:
        await storm_of_strangers(world, 2_000, is_noise=False, growth_max_bytes=GROWTH_MAX_FEW_BYTES)

    VirtualWorld(tmp_path).run(story)


def test_ten_thousand_datagrams_of_noise_leave_nothing_behind(tmp_path: Path) -> None:
    """The same for what is no message at all."""

    async def story(world: VirtualWorld) -> None:
        await storm_of_strangers(world, 10_000, is_noise=True)

    VirtualWorld(tmp_path).run(story)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("is_noise", [False, True], ids=["made-up identities", "random bytes"])
def test_a_hundred_thousand_strangers_leave_nothing_behind(tmp_path: Path, is_noise: bool) -> None:
    """The same at length."""

    async def story(world: VirtualWorld) -> None:
        await storm_of_strangers(world, 100_000, is_noise=is_noise)

    VirtualWorld(tmp_path).run(story)
