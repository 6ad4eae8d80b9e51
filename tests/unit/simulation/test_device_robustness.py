"""A device in bad weather: whatever it is sent and however it behaves, its life goes on and stays the same run."""

import asyncio
from dataclasses import replace
from random import Random

import pytest

from commandpost.domain.operation import Execute, Observe, Read, Write, WriteItem, WriteMode
from commandpost.domain.resource import ResourcePath
from commandpost.protocols.errors import DecodeError
from commandpost.simulation.behaviours import Behaviour
from commandpost.simulation.lwm2m_device import DeviceState
from commandpost.simulation.memory_network import NetworkConditions
from tests.unit.simulation.scripted_server import SERVER, SETTINGS, Stage, on_stage

STORM = NetworkConditions(loss=0.2, duplication=0.2, reordering=0.2, delay_min_s=0.1, delay_max_s=3.0)
ACTUATOR = ResourcePath(object_id=3306, instance_id=0)
OPERATIONS = (
    Observe(path=ACTUATOR),
    Read(path=ACTUATOR),
    Write(path=ACTUATOR, mode=WriteMode.PARTIAL, items=(WriteItem(5850, True),)),
    Execute(path=ResourcePath(object_id=3, instance_id=0, resource_id=4)),
)


@pytest.mark.parametrize("behaviour", list(Behaviour))
def test_every_behaviour_survives_a_storm_and_leaves_one_trace(behaviour: Behaviour) -> None:
    async def story(stage: Stage) -> None:
        stage.device.start()
        for turn in range(40):
            await asyncio.sleep(150)
            if stage.server.remote is None:
                continue
            try:
                await stage.server.perform(OPERATIONS[turn % len(OPERATIONS)])
            except DecodeError:
                assert behaviour is Behaviour.BAD_PAYLOAD
        stage.network.set_conditions(NetworkConditions())
        await asyncio.sleep(2_000)
        assert stage.device.state is DeviceState.REGISTERED

    settings = replace(
        SETTINGS,
        lifetime_s=600,
        sleep_s=200.0,
        sleep_jitter=0.5,
        notify_s=30.0,
        confirms_notifications=True,
        deduplicates=False,
        answer_delay_s=2.0,
    )
    first = on_stage(story, settings=settings, behaviour=behaviour, conditions=STORM)
    second = on_stage(story, settings=settings, behaviour=behaviour, conditions=STORM)

    assert first.network.trace.hexdigest() == second.network.trace.hexdigest()
    assert first.device.counters == second.device.counters
    assert first.device.counters.registered_now == 1


@pytest.mark.parametrize("seed", range(5))
def test_random_bytes_from_its_server_do_nothing(seed: int) -> None:
    random = Random(seed)

    async def story(stage: Stage) -> None:
        await stage.registered()
        # Some of it looks like CoAP, so that it gets past the first byte.
        for _ in range(2_000):
            size = random.randrange(64)
            noise = random.getrandbits(8 * size + 8).to_bytes(size + 1, "big")
            head = bytes((0x40 | random.randrange(64), random.randrange(256))) if random.random() < 0.7 else b""
            stage.device._channel._receive(SERVER, head + noise)
        await asyncio.sleep(1_000)
        assert stage.device.state is DeviceState.REGISTERED
        assert (await stage.server.perform(Read(path=ACTUATOR))).code == 0x45

    on_stage(story, settings=replace(SETTINGS, lifetime_s=300), seed=seed)


def test_strangers_are_not_heard() -> None:
    async def story(stage: Stage) -> None:
        await stage.registered()
        stranger = stage.network.bind()
        stranger.send(stage.link.address, bytes.fromhex("41010001aa"))
        await asyncio.sleep(1)

    stage = on_stage(story)

    assert stage.device.counters.ignored == 1
    assert len(stage.device.served) == 0


def test_a_nat_rebind_between_request_and_answer_is_the_network_s_doing() -> None:
    """The device does not know that it has moved; its late answer leaves from the new address."""

    async def story(stage: Stage) -> None:
        await stage.registered()
        asking = asyncio.create_task(stage.server.perform(Read(path=ACTUATOR)))
        await asyncio.sleep(2)
        before = stage.link.address
        moved = stage.link.rebind()
        await asyncio.sleep(2)
        assert stage.network.trace.entries[-1].source == moved != before
        assert (await asking).code == 0

    on_stage(story, settings=replace(SETTINGS, answer_delay_s=3.0))
