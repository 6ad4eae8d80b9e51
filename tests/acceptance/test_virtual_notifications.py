"""A hundred observed devices for a day on a lossy network: what was acknowledged is in the store, once; crashes repeat.

What arrived and what was acknowledged is read off the network, what is stored off the disk.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from commandpost.domain.data_ports import PointFilter
from commandpost.domain.datapoint import format_value
from commandpost.domain.ids import DeviceId
from commandpost.domain.resource import ResourcePath
from commandpost.domain.resource_json import value_json
from commandpost.domain.session import Remote
from commandpost.protocols.coap.codec import decode
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Option
from commandpost.protocols.lwm2m.formats import decode_values
from commandpost.simulation.datagram_trace import Passage
from commandpost.simulation.device_settings import DeviceSettings
from commandpost.simulation.memory_network import NetworkConditions
from tests.acceptance.virtual_server import Edge, object_model
from tests.acceptance.virtual_world import DAY_S, HOUR_S, SERVER_ADDRESS, VirtualWorld, WorldDevice

DEVICES = 100
LOSSY = NetworkConditions(loss=0.05, duplication=0.02, delay_min_s=0.2, delay_max_s=2.0)
TRACE_ENTRIES = 200_000  # more than a day of these devices leaves
TICK_S = 300.0  # nothing that is looked at depends on it
CRASHES = 8
SENSOR = ResourcePath(object_id=3303, instance_id=0)
SENSOR_VALUE = 5700

Message = tuple[Remote, int, bytes]
"""What tells one notification from another: source, message id, token."""
Values = Counter[tuple[DeviceId, str]]
"""How often a value of a device's sensor was seen."""


@dataclass(kw_only=True)
class Ledger:
    """The sensor's notifications as the network saw them."""

    value_of: dict[Message, tuple[DeviceId, str]] = field(default_factory=dict)
    """Every one that reached the server."""
    arrivals: Counter[Message] = field(default_factory=Counter)
    acknowledged: dict[Message, None] = field(default_factory=dict)
    """Those the server answered, whether or not its answer arrived."""

    def values(self) -> Values:
        """Every notification that arrived, once."""
        return Counter(self.value_of.values())

    def acknowledged_values(self) -> Values:
        """Those that were acknowledged, once."""
        return Counter(self.value_of[message] for message in self.acknowledged)

    def arrived_values(self) -> Values:
        """Every datagram that arrived."""
        found: Values = Counter()
        for message, times in self.arrivals.items():
            found[self.value_of[message]] += times
        return found


def settings(number: int) -> DeviceSettings:
    """A device that wakes every two hours and notifies; every other one asks for acknowledgements."""
    return DeviceSettings(
        imei="",
        lifetime_s=86_400,
        sleep_s=2 * HOUR_S,
        awake_s=15,
        sleep_jitter=0.3,
        notify_s=0.0,
        confirms_notifications=number % 2 == 0,
        answers_observe_with_value=False,
    )


def sensor_tokens(world: VirtualWorld) -> dict[bytes, DeviceId]:
    """The tokens under which sensors are observed now."""
    return {
        observation.coap_token: device.id
        for device in world.devices
        if (session := world.platform.lwm2m.sessions.find(device.id)) is not None
        for observation in session.observations
        if observation.path == SENSOR
    }


def read_network(world: VirtualWorld, tokens: dict[bytes, DeviceId]) -> Ledger:
    """Go through everything that crossed the network."""
    assert len(world.network.trace.entries) < TRACE_ENTRIES
    ledger = Ledger()
    by_message_id: dict[tuple[Remote, int], Message] = {}
    for entry in world.network.trace.entries:
        if entry.passage is Passage.DELIVERED and entry.destination == SERVER_ADDRESS:
            message = decode(entry.datagram)
            device_id = tokens.get(message.token)
            if device_id is not None and is_notification(message):
                key = (entry.source, message.message_id, message.token)
                ledger.value_of[key] = (device_id, sensor_value(message))
                ledger.arrivals[key] += 1
                by_message_id[entry.source, message.message_id] = key
        elif entry.passage is Passage.SENT and entry.source == SERVER_ADDRESS:
            message = decode(entry.datagram)
            found = by_message_id.get((entry.destination, message.message_id))
            if found is not None and message.type is MessageType.ACK and message.code == 0:
                ledger.acknowledged[found] = None
    return ledger


def is_notification(message: CoapMessage) -> bool:
    """A response with the token of an observation that is no answer to the request for it."""
    return (
        message.code == Code.CONTENT
        and message.type in (MessageType.CON, MessageType.NON)
        and message.find_option(Option.OBSERVE) is not None
    )


def sensor_value(message: CoapMessage) -> str:
    """What the notification says of the sensor, as JSON."""
    values = decode_values(message.content_format, message.payload, path=SENSOR, model=object_model())
    return next(format_value(value_json(value)) for path, value in values.leaves() if path.resource_id == SENSOR_VALUE)


async def stored_values(world: VirtualWorld) -> Values:
    """What is on disk of the sensors."""
    found: Values = Counter()
    for device in world.devices:
        which = PointFilter(device_id=device.id, stream_ids=("3303_0_5700",))
        page = await world.server.store.list_points(which, limit=1_000)
        assert page.end is None
        found.update((device.id, point.value) for stream in page.streams for point in stream.points)
    return found


async def a_day(world: VirtualWorld) -> dict[bytes, DeviceId]:
    """Devices switched on over the first hour; gives every token a sensor was observed under."""
    chance = Random(f"day-{world.seed}")
    tokens: dict[bytes, DeviceId] = {}
    for number in range(DEVICES):
        await world.add_device(settings(number), is_observed=True, starts_in_s=HOUR_S * chance.random())
    for _ in range(48):
        await asyncio.sleep(DAY_S / 48)
        tokens |= sensor_tokens(world)
    for device in world.devices:
        device.sim.stop()
    await asyncio.sleep(120)
    return tokens


def test_a_day_of_notifications_on_a_lossy_network_is_stored_once(tmp_path: Path) -> None:
    """Datagrams lost, doubled, overtaken: every notification that arrived is one point."""

    async def story(world: VirtualWorld) -> None:
        tokens = await a_day(world)
        ledger = read_network(world, tokens)
        stored = await stored_values(world)

        assert len(ledger.value_of) > DEVICES * 8
        assert len(ledger.acknowledged) > DEVICES * 4
        assert sum(ledger.arrivals.values()) > len(ledger.value_of)  # some came twice
        assert stored == ledger.values()
        assert sum(device.sim.counters.resets for device in world.devices) == 0

    VirtualWorld(tmp_path, conditions=LOSSY, tick_s=TICK_S, trace_entries=TRACE_ENTRIES).run(story)


def test_a_day_with_crashes_loses_no_notification_that_was_acknowledged(tmp_path: Path) -> None:
    """At any edge: what was acknowledged is on disk; what is there more often came more often."""

    async def story(world: VirtualWorld) -> None:
        crashing = world.spawn(crash_now_and_then(world))
        tokens = await a_day(world)
        await crashing
        ledger = read_network(world, tokens)
        stored = await stored_values(world)

        assert len(ledger.acknowledged) > DEVICES * 4
        assert ledger.acknowledged_values() <= stored
        assert stored <= ledger.arrived_values()

    VirtualWorld(tmp_path, seed=2, conditions=LOSSY, tick_s=TICK_S, trace_entries=TRACE_ENTRIES).run(story)


async def crash_now_and_then(world: VirtualWorld) -> None:
    """A crash every other hour, each at an edge of the seed's choice."""
    chance = Random(f"crashes-{world.seed}")
    await asyncio.sleep(2 * HOUR_S)
    for _ in range(CRASHES):
        edge = chance.choice([Edge.BEFORE_COMMIT, Edge.AFTER_COMMIT, Edge.BEFORE_SEND, Edge.AFTER_SEND])
        is_back = world.crash_at(edge, passings=1 + chance.randrange(6), down_s=chance.choice((0.5, 3.0)))
        await is_back.wait()
        await asyncio.sleep(2 * HOUR_S * chance.random())


async def one_observed(world: VirtualWorld) -> WorldDevice:
    """A device that stays awake and notifies when it is told to."""
    awake = DeviceSettings(imei="", confirms_notifications=True, answers_observe_with_value=False)
    device = await world.ready_device(awake, is_observed=True)
    assert device.sim.observed
    return device


def test_a_crash_between_commit_and_acknowledgement_stores_the_repetition_once_more(tmp_path: Path) -> None:
    """At least once: the device repeats what nobody acknowledged, and the next run cannot know it."""

    async def story(world: VirtualWorld) -> None:
        device = await one_observed(world)
        is_back = world.crash_at(Edge.AFTER_COMMIT, down_s=1.0)
        device.sim.notify()
        await is_back.wait()
        await asyncio.sleep(30)

        assert list((await stored_values(world)).values()) == [2]
        assert device.sim.counters.failures == device.sim.counters.resets == 0

    VirtualWorld(tmp_path, tick_s=TICK_S).run(story)


def test_a_crash_before_the_commit_leaves_one_point(tmp_path: Path) -> None:
    """Nothing was on disk, nothing was acknowledged: the repetition is the first."""

    async def story(world: VirtualWorld) -> None:
        device = await one_observed(world)
        is_back = world.crash_at(Edge.BEFORE_COMMIT, down_s=1.0)
        device.sim.notify()
        await is_back.wait()
        await asyncio.sleep(30)

        assert list((await stored_values(world)).values()) == [1]
        assert device.sim.counters.failures == device.sim.counters.resets == 0

    VirtualWorld(tmp_path, tick_s=TICK_S).run(story)


def test_what_the_setup_reads_is_in_streams(tmp_path: Path) -> None:
    """Read /3/0 after a registration, and the answer to the Observe (northbound reference 7)."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(is_observed=True)
        streams = await world.server.store.list_datastreams(device.id)

        shown = {stream.id: stream.current_value for stream in streams}
        assert shown["3_0_0"] == '"Commandpost"'
        assert shown["3303_0_5700"] == "20.5"
        assert shown["3306_0_5850"] == "false"

    VirtualWorld(tmp_path).run(story)
