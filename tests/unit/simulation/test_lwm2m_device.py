"""A normal simulated device against a scripted server: its whole life, from registration to good-bye."""

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from commandpost.domain.operation import (
    CancelObserve,
    Discover,
    Execute,
    Observe,
    ObserveAttributes,
    Read,
    Write,
    WriteItem,
    WriteMode,
)
from commandpost.domain.resource import (
    DiscoveredInstance,
    DiscoveredObject,
    ObjectValues,
    ResourcePath,
    Scalar,
)
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.message import MessageType
from commandpost.protocols.lwm2m.registration import RegisterRequest, parse_registration
from commandpost.simulation.datagram_trace import Passage
from commandpost.simulation.device_settings import DeviceSettings
from commandpost.simulation.lwm2m_device import DeviceState
from commandpost.simulation.memory_network import NetworkConditions
from tests.unit.simulation.scripted_server import IMEI, IMSI, SERVER, SETTINGS, START, Stage, on_stage

ON_OFF = ResourcePath(object_id=3306, instance_id=0, resource_id=5850)
DIMMER = ResourcePath(object_id=3306, instance_id=0, resource_id=5851)
ACTUATOR = ResourcePath(object_id=3306, instance_id=0)
SENSOR = ResourcePath(object_id=3303, instance_id=0)
SENSOR_VALUE = ResourcePath(object_id=3303, instance_id=0, resource_id=5700)
RESET_EXTREMES = ResourcePath(object_id=3303, instance_id=0, resource_id=5605)
REBOOT = ResourcePath(object_id=3, instance_id=0, resource_id=4)
SLEEPER = replace(SETTINGS, sleep_s=3_600.0, awake_s=20.0)


def write(path: ResourcePath, *items: WriteItem, mode: WriteMode = WriteMode.PARTIAL) -> Write:
    return Write(path=path, mode=mode, items=items)


def leaves(result: object) -> dict[str, Scalar]:
    assert isinstance(result, ObjectValues)
    return {str(path): value.value for path, value in result.leaves()}


def test_it_registers_as_modules_do() -> None:
    stage = on_stage(Stage.registered, settings=replace(SETTINGS, lifetime_s=3_600, auth_code=b"secret"))

    (uplink,) = stage.server.heard("register")
    request = parse_registration(uplink.message)
    assert isinstance(request, RegisterRequest)
    assert request.endpoint_name == f"{IMEI};{IMSI}"
    assert (request.lifetime_s, request.binding, request.is_queue_mode) == (3_600, "U", False)
    assert request.auth_code == b"secret"
    assert [(link.object_id, link.instance_id) for link in request.links] == [(3303, 0), (3306, 0), (3311, 0)]
    assert stage.device.location == f"rd/{IMEI}"
    assert stage.device.state is DeviceState.REGISTERED


def test_a_device_without_imsi_registers_with_its_imei_alone() -> None:
    stage = on_stage(Stage.registered, settings=DeviceSettings(imei=IMEI))

    request = parse_registration(stage.server.heard("register")[0].message)
    assert isinstance(request, RegisterRequest)
    assert request.endpoint_name == IMEI


def test_a_whole_day_in_the_life_of_a_sleeping_device() -> None:
    """Register, observe, read, write, execute, notify, sleep, wake, update."""

    async def story(stage: Stage) -> None:
        await stage.registered()
        server, device = stage.server, stage.device
        observed = await server.perform(Observe(path=SENSOR))
        assert observed.code == Code.CONTENT
        assert device.observed == ("/3303/0",)
        read = await server.perform(Read(path=DIMMER))
        assert leaves(read.result) == {"/3306/0/5851": 0}
        written = await server.perform(write(ACTUATOR, WriteItem(5850, True), WriteItem(5851, 75)))
        assert written.code == Code.CHANGED
        assert (device.tree.value(ON_OFF), device.tree.value(DIMMER)) == (True, 75)
        executed = await server.perform(Execute(path=RESET_EXTREMES, arguments="reset"))
        assert executed.code == Code.CHANGED
        device.notify()
        await asyncio.sleep(1)
        assert len(server.heard("notify")) == 1
        await asyncio.sleep(20)
        assert not device.is_awake
        missed = await server.perform(Read(path=DIMMER))
        assert missed.code == 0
        await asyncio.sleep(3_590)
        assert stage.device.is_awake
        assert len(server.heard("update")) == 1
        assert (await server.perform(Read(path=DIMMER))).code == Code.CONTENT

    stage = on_stage(story, settings=SLEEPER)

    assert [type(entry.operation).__name__ for entry in stage.device.served] == [
        "Observe",
        "Read",
        "ServedWrite",
        "Execute",
        "Read",
    ]
    assert all(entry.was_done for entry in stage.device.served)
    assert stage.device.counters.missed >= 2
    assert len(stage.server.heard("register")) == 1


def test_reads_of_every_level_come_back_typed() -> None:
    async def story(stage: Stage) -> None:
        await stage.registered()
        one = await stage.server.perform(Read(path=SENSOR_VALUE))
        assert one.payload == b"20.5"
        instance = await stage.server.perform(Read(path=SENSOR))
        assert leaves(instance.result)["/3303/0/5700"] == 20.5
        whole = await stage.server.perform(Read(path=ResourcePath(object_id=3)))
        values = leaves(whole.result)
        assert values["/3/0/0"] == "Commandpost"
        assert values["/3/0/2"] == IMEI
        assert values["/3/0/11/0"] == 0
        assert values["/3/0/13"] == START // 1_000 + 1

    on_stage(story)


def test_the_device_s_clock_follows_wall_time_and_can_be_set() -> None:
    time_path = ResourcePath(object_id=3, instance_id=0, resource_id=13)

    async def story(stage: Stage) -> None:
        await stage.registered()
        written = await stage.server.perform(
            write(ResourcePath(object_id=3, instance_id=0), WriteItem(13, 1_000_000_000))
        )
        assert written.code == Code.CHANGED
        await asyncio.sleep(60)
        assert stage.device.tree.value(time_path) == 1_000_000_060

    on_stage(story)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (ResourcePath(object_id=3347, instance_id=0), Code.NOT_FOUND),
        (ResourcePath(object_id=3303, instance_id=1), Code.NOT_FOUND),
        (ResourcePath(object_id=3303, instance_id=0, resource_id=1), Code.NOT_FOUND),
        (ResourcePath(object_id=3303, instance_id=0, resource_id=5605), Code.METHOD_NOT_ALLOWED),
    ],
)
def test_what_cannot_be_read_is_refused(path: ResourcePath, code: int) -> None:
    async def story(stage: Stage) -> None:
        await stage.registered()
        assert (await stage.server.perform(Read(path=path))).code == code

    on_stage(story)


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (write(SENSOR, WriteItem(5700, 1.5)), Code.METHOD_NOT_ALLOWED),
        (write(SENSOR, WriteItem(1, 1)), Code.NOT_FOUND),
        (write(ACTUATOR, WriteItem(5851, 9), WriteItem(5605, 1)), Code.NOT_FOUND),
        (Execute(path=SENSOR_VALUE), Code.METHOD_NOT_ALLOWED),
        (Execute(path=ResourcePath(object_id=3303, instance_id=0, resource_id=1)), Code.NOT_FOUND),
        (Discover(path=ResourcePath(object_id=3347)), Code.NOT_FOUND),
        (Observe(path=ResourcePath(object_id=3, instance_id=0)), Code.METHOD_NOT_ALLOWED),
        (Observe(path=ResourcePath(object_id=3303, instance_id=4)), Code.NOT_FOUND),
    ],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(operation: Write | Execute | Discover, code: int) -> None:
    async def story(stage: Stage) -> None:
        await stage.registered()
        assert (await stage.server.perform(operation)).code == code
        assert stage.device.tree.value(DIMMER) == 0
        assert stage.device.observed == ()

    on_stage(story)


def test_discover_lists_instances_and_resources_with_the_executables() -> None:
    async def story(stage: Stage) -> None:
        await stage.registered()
        answer = await stage.server.perform(Discover(path=ResourcePath(object_id=3303)))
        assert answer.result == DiscoveredObject(3303, (DiscoveredInstance(0, (5601, 5602, 5605, 5700, 5701)),))

    on_stage(story)


def test_a_replacing_write_is_merged_as_modules_do() -> None:
    async def story(stage: Stage) -> None:
        await stage.registered()
        await stage.server.perform(write(ACTUATOR, WriteItem(5851, 40)))
        await stage.server.perform(write(ACTUATOR, WriteItem(5850, True), mode=WriteMode.REPLACE))
        assert stage.device.tree.value(DIMMER) == 40

    on_stage(story)


def test_attributes_are_written_before_the_observation_begins() -> None:
    async def story(stage: Stage) -> None:
        await stage.registered()
        answer = await stage.server.perform(
            Observe(path=SENSOR_VALUE, attributes=ObserveAttributes(pmin_s=5, step=0.5))
        )
        assert answer.code == Code.CONTENT

    stage = on_stage(story)

    assert [type(entry.operation).__name__ for entry in stage.device.served] == ["WriteAttributes", "Observe"]


@pytest.mark.parametrize("confirms", [False, True])
def test_notifications_go_on_until_the_observation_is_cancelled(*, confirms: bool) -> None:
    async def story(stage: Stage) -> None:
        await stage.registered()
        await stage.server.perform(Observe(path=SENSOR_VALUE))
        await asyncio.sleep(60 * 5 + 1)
        await stage.server.perform(CancelObserve(path=SENSOR_VALUE))
        await asyncio.sleep(600)

    stage = on_stage(story, settings=replace(SETTINGS, notify_s=60.0, confirms_notifications=confirms))

    notified = [uplink.message for uplink in stage.server.heard("notify")]
    assert 5 <= len(notified) <= 6
    assert {message.type for message in notified} == {MessageType.CON if confirms else MessageType.NON}
    assert [message.observe for message in notified] == list(range(1, len(notified) + 1))
    assert len({message.payload for message in notified}) > 1
    assert stage.device.observed == ()


def test_a_reset_ends_the_observation_it_hits() -> None:
    async def story(stage: Stage) -> None:
        await stage.registered()
        await stage.server.perform(Observe(path=SENSOR_VALUE))
        stage.server.resets_notifications = True
        stage.device.notify()
        await asyncio.sleep(1)
        assert stage.device.observed == ()

    assert on_stage(story).device.counters.resets == 1


def test_a_device_that_never_sleeps_updates_before_its_lifetime_ends() -> None:
    async def story(stage: Stage) -> None:
        await stage.registered()
        await asyncio.sleep(10 * 300)

    stage = on_stage(story, settings=replace(SETTINGS, lifetime_s=300))

    times = [uplink.at_s for uplink in stage.server.uplinks]
    assert len(stage.server.heard("update")) >= 10
    assert all(later - earlier < 300 for earlier, later in pairwise(times))


def test_a_device_whose_sleep_outlasts_its_lifetime_wakes_in_time() -> None:
    async def story(stage: Stage) -> None:
        await stage.registered()
        await asyncio.sleep(86_400)

    stage = on_stage(story, settings=replace(SLEEPER, lifetime_s=600, updates_on_wake=False))

    times = [uplink.at_s for uplink in stage.server.uplinks]
    assert {uplink.kind for uplink in stage.server.uplinks[1:]} == {"update"}
    assert all(later - earlier < 600 for earlier, later in pairwise(times))


def test_a_device_may_wake_with_a_notification_only() -> None:
    async def story(stage: Stage) -> None:
        await stage.registered()
        await stage.server.perform(Observe(path=SENSOR_VALUE))
        await asyncio.sleep(4 * 3_700)

    stage = on_stage(story, settings=replace(SLEEPER, updates_on_wake=False, notify_s=0.0))

    assert len(stage.server.heard("notify")) == 4
    assert stage.server.heard("update") == []


def test_traffic_keeps_it_awake_and_sleep_waits_for_late_answers() -> None:
    async def story(stage: Stage) -> None:
        await stage.registered()
        for _ in range(5):
            await asyncio.sleep(15)
            assert (await stage.server.perform(Read(path=DIMMER))).after_s == 3
        await asyncio.sleep(19)
        assert stage.device.is_awake
        await asyncio.sleep(2)
        assert not stage.device.is_awake

    on_stage(story, settings=replace(SLEEPER, answer_delay_s=3.0))


def test_a_late_answer_comes_in_the_acknowledgement() -> None:
    """Modules answer when their MCU has acted; no empty acknowledgement is sent first."""

    async def story(stage: Stage) -> None:
        await stage.registered()
        await stage.server.perform(write(ACTUATOR, WriteItem(5851, 1)))

    stage = on_stage(story, settings=replace(SETTINGS, answer_delay_s=3.0))

    from_device = [entry for entry in stage.network.trace.entries if entry.source == stage.link.address]
    answer = from_device[-1].datagram
    assert answer[0] >> 4 & 3 == MessageType.ACK
    assert answer[1] == Code.CHANGED


@pytest.mark.parametrize(("deduplicates", "times"), [(True, 1), (False, 2)])
def test_a_retransmission_is_carried_out_again_unless_it_deduplicates(*, deduplicates: bool, times: int) -> None:
    async def story(stage: Stage) -> None:
        await stage.registered()
        answer = await stage.server.perform(write(ACTUATOR, WriteItem(5851, 1)))
        assert answer.code == Code.CHANGED
        await asyncio.sleep(10)

    stage = on_stage(story, settings=replace(SETTINGS, deduplicates=deduplicates, answer_delay_s=8.0))

    assert len(stage.device.served) == times
    assert len({(entry.message_id, entry.coap_token) for entry in stage.device.served}) == 1


def test_an_update_that_is_refused_leads_to_a_new_registration() -> None:
    async def story(stage: Stage) -> None:
        await stage.registered()
        await stage.server.perform(Observe(path=SENSOR_VALUE))
        stage.server.update_code = Code.NOT_FOUND
        stage.device.update()
        await asyncio.sleep(1)
        assert stage.device.state is DeviceState.REGISTERED
        assert stage.device.observed == ()

    stage = on_stage(story)

    assert [uplink.kind for uplink in stage.server.uplinks] == ["register", "update", "register"]
    assert stage.device.counters.registered_now == 1


def test_a_refused_registration_is_tried_again_with_growing_pauses() -> None:
    async def story(stage: Stage) -> None:
        stage.server.register_code = Code.FORBIDDEN
        stage.device.start()
        await asyncio.sleep(3_600)
        assert stage.device.state.value == "unregistered"
        stage.server.register_code = Code.CREATED
        await asyncio.sleep(600)
        assert stage.device.state is DeviceState.REGISTERED

    stage = on_stage(story)

    times = [uplink.at_s for uplink in stage.server.heard("register")]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert 5 <= pauses[0] <= 7.5
    assert 10 <= pauses[1] <= 15
    assert max(pauses) <= 450


def test_a_server_that_is_away_is_found_again() -> None:
    async def story(stage: Stage) -> None:
        await stage.registered()
        stage.network.cut(SERVER)
        await asyncio.sleep(3_600)
        assert stage.device.state.value == "unregistered"
        stage.network.heal(SERVER)
        await asyncio.sleep(600)
        assert stage.device.state is DeviceState.REGISTERED

    on_stage(story, settings=replace(SETTINGS, lifetime_s=300))


def test_requests_before_the_registration_is_complete_are_ignored() -> None:
    async def story(stage: Stage) -> None:
        stage.server.register_code = Code.FORBIDDEN
        stage.device.start()
        await asyncio.sleep(1)
        assert (await stage.server.perform(Read(path=DIMMER))).code == 0

    stage = on_stage(story)

    assert len(stage.device.served) == 0
    assert stage.device.counters.ignored == 3


def test_a_reboot_on_request_is_answered_first_and_then_happens() -> None:
    async def story(stage: Stage) -> None:
        await stage.registered()
        await stage.server.perform(Observe(path=SENSOR_VALUE))
        assert (await stage.server.perform(Execute(path=REBOOT))).code == Code.CHANGED
        await asyncio.sleep(5)
        assert stage.device.observed == ()

    stage = on_stage(story)

    assert stage.device.counters.reboots == 1
    assert (stage.device.counters.registrations, stage.device.counters.let_in) == (2, 1)
    assert [uplink.kind for uplink in stage.server.uplinks] == ["register", "register"]


def test_good_bye_is_said_and_then_it_is_off() -> None:
    async def story(stage: Stage) -> None:
        await stage.registered()
        stage.device.deregister()
        await asyncio.sleep(200_000)
        assert stage.device.state is DeviceState.OFF

    stage = on_stage(story)

    assert [uplink.kind for uplink in stage.server.uplinks] == ["register", "deregister"]
    assert stage.device.counters.registered_now == 0
    assert stage.device.counters.awake_now == 0


def test_a_stopped_device_leaves_nothing_behind() -> None:
    async def story(stage: Stage) -> None:
        await stage.registered()
        stage.device.stop()
        await asyncio.sleep(200_000)
        stage.device.start()
        await asyncio.sleep(1)
        assert stage.device.state is DeviceState.REGISTERED

    assert [uplink.kind for uplink in on_stage(story).server.uplinks] == ["register", "register"]


def test_a_sleeping_device_costs_few_timers() -> None:
    """48 hours of hourly wake-ups: a handful of datagrams each, and nothing in between."""

    async def story(stage: Stage) -> None:
        await stage.registered()
        await asyncio.sleep(48 * 3_600)

    stage = on_stage(story, settings=SLEEPER)

    wakes = stage.device.counters.wakes
    assert 47 <= wakes <= 49
    assert stage.network.trace.counts[Passage.SENT] == 2 * wakes


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_runs_with_one_seed_are_the_same_run(seed: int) -> None:
    async def story(stage: Stage) -> None:
        stage.device.start()
        for _ in range(20):
            await asyncio.sleep(1_000)
            if stage.server.remote is not None:
                await stage.server.perform(write(ACTUATOR, WriteItem(5851, 1)))

    storm = NetworkConditions(loss=0.2, duplication=0.2, reordering=0.2, delay_min_s=0.1, delay_max_s=4.0)
    settings = replace(SLEEPER, sleep_s=600.0, sleep_jitter=0.3, notify_s=0.0, deduplicates=False)
    first = on_stage(story, settings=settings, conditions=storm, seed=seed)
    second = on_stage(story, settings=settings, conditions=storm, seed=seed)

    assert first.network.trace.hexdigest() == second.network.trace.hexdigest()
    assert list(first.device.served) == list(second.device.served)
    assert first.network.trace.counts[Passage.SENT] > 50
