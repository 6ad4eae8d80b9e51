"""Devices that know nothing but their bootstrap server, from the first datagram to a command answered."""

import asyncio
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from commandpost.config import Lwm2mSettings, Settings
from commandpost.domain.command import CommandState
from commandpost.protocols.coap.codec import encode
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.lwm2m.registration import format_register
from commandpost.simulation.bootstrap_client import BootstrapConduct
from commandpost.simulation.device_settings import DeviceSettings
from commandpost.simulation.memory_network import NetworkConditions, memory_remote
from tests.acceptance.virtual_world import SERVER_ADDRESS, VirtualWorld

URI = "coap://192.0.2.1:5683"
SETTINGS = Settings(lwm2m=Lwm2mSettings(bootstrap_uri=URI))
MODULE = DeviceSettings(imei="", bootstrap=BootstrapConduct.MODULE)
GENERIC = DeviceSettings(imei="", bootstrap=BootstrapConduct.GENERIC, preferred_format=11542)
NARROW = [(Code.PUT, "/0/0", Code.CHANGED), (Code.POST, "/bs", Code.CHANGED)]
CONFIRMABLE = 0x48  # version 1, CON, a token of 8 bytes
SETUP_TIMEOUT_S = Lwm2mSettings().setup_timeout_s
FULL = [
    (Code.DELETE, "/", Code.DELETED),
    (Code.PUT, "/0/0", Code.CHANGED),
    (Code.PUT, "/0/1", Code.CHANGED),
    (Code.PUT, "/1/0", Code.CHANGED),
    (Code.POST, "/bs", Code.CHANGED),
]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (MODULE, NARROW),
        (replace(MODULE, deduplicates=False, tlv_number=1542), NARROW),
        (GENERIC, FULL),
        (replace(GENERIC, preferred_format=110), FULL),
        (replace(GENERIC, preferred_format=112), FULL),
    ],
    ids=["module", "module that repeats", "TLV", "SenML JSON", "SenML CBOR"],
)
def test_a_device_is_bootstrapped_registers_and_carries_out_a_command(
    tmp_path: Path, settings: DeviceSettings, expected: list[tuple[int, str, int]]
) -> None:
    """Each kind of client gets the sequence it takes, and is a device like any other afterwards."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(settings, is_observed=True)
        command = await world.submit(device, "hello")
        device.sim.update()
        await world.until_all_ended(at_most_s=60)

        assert device.sim.bootstrap is not None
        assert device.sim.bootstrap.answers == expected
        assert device.sim.bootstrap.server_uri == URI
        assert device.texts == ["hello"]
        assert await world.state_of(command) is CommandState.SUCCEEDED

    VirtualWorld(tmp_path, settings=SETTINGS).run(story)


def test_modules_get_through_a_network_that_loses_a_third(tmp_path: Path) -> None:
    """Within their 20 s, or by asking again."""

    async def story(world: VirtualWorld) -> None:
        devices = [await world.add_device(MODULE) for _ in range(20)]
        await asyncio.sleep(1200)

        assert [device.sim.location is not None for device in devices] == [True] * 20
        for device in devices:
            device.sim.deregister()
        await asyncio.sleep(200)
        await world.until_idle()

    VirtualWorld(tmp_path, settings=SETTINGS, conditions=NetworkConditions(loss=0.3)).run(story)


def test_a_device_that_nobody_has_created_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    """4.03 whenever it asks, at its own pace; once it is created it comes in."""

    async def story(world: VirtualWorld) -> None:
        device = await world.add_device(MODULE, starts_in_s=None)
        await world.data("DELETE", f"/devices/{device.id}")
        device.sim.start()
        await asyncio.sleep(60)
        refused = device.sim.counters.failures
        known = world.platform.lwm2m.driver.known_peers
        created = {"title": "m", "protocol": "LWM2M", "auth_info": {device.imei: device.sim.settings.imsi}}
        await world.data("POST", "/devices", body=created)
        await asyncio.sleep(400)

        assert refused >= 2
        assert known == 0
        assert device.sim.location is not None

    VirtualWorld(tmp_path, settings=SETTINGS).run(story)


def test_a_server_that_restarts_amid_a_bootstrap_is_asked_again(tmp_path: Path) -> None:
    """Nothing of a bootstrap is on disk; the module gives up after 20 s and begins anew."""

    async def story(world: VirtualWorld) -> None:
        device = await world.add_device(MODULE)
        await asyncio.sleep(0.1)  # it has been told 2.04, and nothing else yet
        await world.restart()
        await asyncio.sleep(60)

        assert device.sim.counters.failures == 1
        assert device.sim.location is not None

    VirtualWorld(tmp_path, settings=SETTINGS).run(story)


def frame(endpoint_name: str, *, number: int = 1) -> bytes:
    """A Register as a forger would write it, with as little as there can be."""
    request = format_register(endpoint_name, links=(), lifetime_s=None, binding=None)
    return encode(
        CoapMessage(
            type=MessageType.CON,
            code=request.code,
            message_id=number,
            token=b"",
            options=request.options,
            payload=request.payload,
        )
    )


@pytest.mark.parametrize("registers", [1, 20])
def test_amplification_by_forged_registers_is_three_times_at_most(tmp_path: Path, registers: int) -> None:
    """Nobody answers at the forged address: the 2.01, setup and its repetitions together, and one request at a time."""

    async def story(world: VirtualWorld) -> None:
        device = await world.add_device(DeviceSettings(imei="", lifetime_s=86_400), is_observed=True, starts_in_s=None)
        victim = world.network.bind(memory_remote("198.51.100.9", 4711))
        heard: list[tuple[float, bytes]] = []
        victim.listen(lambda _, datagram: heard.append((world.clock.monotonic(), datagram)))
        sent = 0
        for number in range(registers):
            datagram = frame(device.sim.settings.endpoint_name, number=number)
            sent += len(datagram)
            victim.send(SERVER_ADDRESS, datagram)
            await asyncio.sleep(40)
        await asyncio.sleep(400)
        asked_at = {datagram[2:4]: at for at, datagram in reversed(heard) if datagram[0] == CONFIRMABLE}
        begun = sorted(asked_at.values())

        assert begun
        assert sum(len(datagram) for _, datagram in heard) <= 3 * sent
        assert all(later - earlier >= SETUP_TIMEOUT_S for earlier, later in pairwise(begun))

    VirtualWorld(tmp_path).run(story)


def test_replayed_register_changes_nothing_while_it_is_remembered(tmp_path: Path) -> None:
    """SB 4.4: without DTLS there is no freshness; within 247 s the same datagram is a duplicate and gets its answer."""

    async def story(world: VirtualWorld) -> None:
        device = await world.add_device(DeviceSettings(imei="", lifetime_s=86_400), starts_in_s=None)
        home = world.network.bind(memory_remote("198.51.100.9", 4711))
        answers: list[bytes] = []
        home.listen(lambda _, datagram: answers.append(datagram))
        datagram = frame(device.sim.settings.endpoint_name)
        for _ in range(3):
            home.send(SERVER_ADDRESS, datagram)
            await asyncio.sleep(20)
        session = world.platform.lwm2m.sessions.find(device.id)

        assert session is not None
        assert session.epoch == 1
        assert answers.count(answers[0]) == 3

    VirtualWorld(tmp_path).run(story)


def test_reset_injection_from_elsewhere_ends_no_observation(tmp_path: Path) -> None:
    """SB 4.4: a reset counts from the bound address and for an open message id alone."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(DeviceSettings(imei="", lifetime_s=86_400), is_observed=True)
        observed = device.sim.observed
        stranger = memory_remote("198.51.100.66", 5683)
        for message_id in range(0, 65_536, 7):
            world.network.carry(stranger, SERVER_ADDRESS, b"\x70\x00" + message_id.to_bytes(2, "big"))
            if message_id % 700 == 0:
                await asyncio.sleep(0.01)
        await asyncio.sleep(1)
        session = world.platform.lwm2m.sessions.find(device.id)

        assert observed
        assert session is not None
        assert tuple(str(each.path) for each in session.observations) == observed

    VirtualWorld(tmp_path).run(story)
