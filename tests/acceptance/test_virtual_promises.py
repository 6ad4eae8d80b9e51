"""The numbered promises of docs/promises.md on a whole platform, where exact moments decide."""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from commandpost.domain.command import CommandState, Outcome
from commandpost.domain.device import KeyKind
from commandpost.domain.instant import HOUR_MS
from commandpost.simulation.behaviours import Behaviour
from commandpost.simulation.device_settings import DeviceSettings
from commandpost.simulation.memory_network import NetworkConditions
from commandpost.stores.write_queue import WriterLimits
from tests.acceptance.virtual_world import HOUR_S, VirtualWorld, WorldDevice

AWAKE = DeviceSettings(imei="", lifetime_s=86_400)
SILENT = replace(AWAKE, behaviour=Behaviour.SILENT, spares_setup=True)


async def updated(world: VirtualWorld, device: WorldDevice) -> None:
    device.sim.update()
    await world.until_idle()


# --- P5: order -------------------------------------------------------------------------------------------------------


def test_p5_commands_of_one_uplink_go_in_order_of_acceptance(tmp_path: Path) -> None:
    """Not by priority, kind or time stamp: those accepted in one millisecond, too."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(AWAKE)
        for number in range(10):
            await world.submit(device, str(number))
        await updated(world, device)

        assert device.texts == [str(number) for number in range(10)]
        world.check_everything()

    VirtualWorld(tmp_path).run(story)


def test_p5_failed_command_keeps_its_place_and_blocks_nobody(tmp_path: Path) -> None:
    """Refused at one uplink, it is the first again at the next one."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(replace(AWAKE, behaviour=Behaviour.ANSWERS_5_00, spares_setup=True))
        for text in "abc":
            await world.submit(device, text, retry=1)
        await updated(world, device)
        await world.submit(device, "d", retry=0)
        await updated(world, device)

        assert device.texts == ["a", "b", "c", "a", "b", "c", "d"]
        world.check_everything()

    VirtualWorld(tmp_path).run(story)


def test_p5_command_whose_uplink_did_not_come_is_overtaken(tmp_path: Path) -> None:
    """A later command may go first where the uplink is not one of the earlier one's."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(AWAKE)
        await world.submit(device, "register", trigger_msg=1)
        await world.submit(device, "any", trigger_msg=7)
        await world.submit(device, "update", trigger_msg=2)
        await updated(world, device)
        assert device.texts == ["any", "update"]
        device.sim.reboot()
        await world.until_idle()

        assert device.texts == ["any", "update", "register"]
        world.check_everything()

    VirtualWorld(tmp_path).run(story)


# --- P6: the window --------------------------------------------------------------------------------------------------


def test_p6_not_sent_before_its_window_opens(tmp_path: Path) -> None:
    """An uplink a moment early does not release it, the next one does."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(AWAKE)
        command = await world.submit(device, "soon", valid_time=world.text_in(600))
        opens_at = (await world.look(command)).command.valid_from
        await asyncio.sleep((opens_at - world.clock.wall_ms()) / 1000 - 0.001)
        await updated(world, device)
        assert device.texts == []
        await updated(world, device)

        assert device.texts == ["soon"]
        world.check_everything()

    VirtualWorld(tmp_path).run(story)


@pytest.mark.parametrize(("early_ms", "state"), [(1, CommandState.SUCCEEDED), (0, CommandState.EXPIRED)])
def test_p6_not_first_sent_at_the_end_of_its_window(tmp_path: Path, early_ms: int, state: CommandState) -> None:
    """The last millisecond of the window is inside, its end is not."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(AWAKE)
        command = await world.submit(device, "last", window_s=600)
        closes_at = (await world.look(command)).command.expires_at
        await asyncio.sleep((closes_at - world.clock.wall_ms() - early_ms) / 1000)
        device.sim.update()
        await asyncio.sleep(0)
        await world.until_all_ended(at_most_s=60)
        await world.until_idle()

        assert await world.state_of(command) is state
        assert device.texts == (["last"] if state is CommandState.SUCCEEDED else [])
        world.check_everything()

    VirtualWorld(tmp_path).run(story)


def test_p6_reader_at_the_end_of_the_window_sees_it_expired(tmp_path: Path) -> None:
    """Swept or not: here nothing is swept for an hour, and it cannot be cancelled any more either."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(AWAKE)
        command = await world.submit(device, "gone", window_s=600)
        uuid = str((await world.data("GET", "/nbiot/offline/history", _all(world, device)))["items"][0]["cmd_uuid"])
        closes_at = (await world.look(command)).command.expires_at
        await asyncio.sleep((closes_at - world.clock.wall_ms() - 1) / 1000)
        statuses = []
        for _ in range(2):
            shown = await world.data("GET", f"/nbiot/offline/history/{uuid}", {"imei": device.imei})
            listed = (await world.data("GET", "/nbiot/offline/history", _all(world, device)))["items"][0]
            statuses.append((shown["send_status"], listed["send_status"]))
            await asyncio.sleep(0.001)
        cancelled = await world.call("PUT", f"/nbiot/offline/cancel/{uuid}", {"imei": device.imei})

        assert statuses == [(1, 1), (4, 4)]
        assert cancelled["errno"] != 0
        assert await world.state_of(command) is CommandState.WAITING  # as stored: not swept yet

    VirtualWorld(tmp_path, tick_s=HOUR_S).run(story)


def test_p6_command_whose_window_closes_while_its_attempt_is_written_does_not_leave(tmp_path: Path) -> None:
    """A slow disk: it was claimed in time, it expires unsent all the same, and the next one goes."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(AWAKE)
        command = await world.submit(device, "edge", window_s=600)
        behind = await world.submit(device, "behind")
        closes_at = (await world.look(command)).command.expires_at
        await asyncio.sleep((closes_at - world.clock.wall_ms()) / 1000 - 0.15)
        world.server.commit_s = 0.1
        device.sim.update()
        await world.until_all_ended(at_most_s=60)
        await world.until_idle()

        assert await world.state_of(command) is CommandState.EXPIRED
        assert await world.state_of(behind) is CommandState.SUCCEEDED
        assert device.texts == ["behind"]
        assert len((await world.look(command)).attempts) == 1
        world.check_everything()

    VirtualWorld(tmp_path).run(story)


# --- at_most_once ----------------------------------------------------------------------------------------------------

CONDITIONS = {
    "perfect": NetworkConditions(),
    "request lost": NetworkConditions(loss=1.0),
    "half lost": NetworkConditions(loss=0.5),
    "doubled": NetworkConditions(duplication=1.0),
    "slow": NetworkConditions(delay_min_s=8.0, delay_max_s=20.0),
    "reordered": NetworkConditions(reordering=0.5, delay_max_s=3.0, held_back_s=30.0),
}


@pytest.mark.parametrize("conditions", CONDITIONS)
@pytest.mark.parametrize("direction", ["to the device", "from the device"])
def test_at_most_once_is_one_datagram_on_any_network(tmp_path: Path, conditions: str, direction: str) -> None:
    """One datagram of ours, ever: through silence, further uplinks, a registration and a crash."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(replace(AWAKE, sleep_s=300, awake_s=60))
        commands = [await world.submit(device, text, delivery="at_most_once", timeout=10) for text in "abc"]
        commands.append(await world.submit(device, operation="read", delivery="at_most_once", timeout=10))
        device.sim.update()
        await asyncio.sleep(0.05)
        ends = {"destination": device.link.address} if direction == "to the device" else {"source": device.link.address}
        world.network.set_conditions(CONDITIONS[conditions], **ends)
        await asyncio.sleep(30)
        await world.restart()
        device.sim.reboot()
        await asyncio.sleep(1_200)
        world.network.set_conditions(NetworkConditions(), **ends)
        await world.until_all_ended(at_most_s=2 * HOUR_S)
        await world.until_idle()

        attempts = [attempt for command in commands for attempt in (await world.look(command)).attempts]
        assert all(world.audit.datagrams_of[attempt.coap_token] == 1 for attempt in attempts)
        assert max(Counter(attempt.command_id for attempt in attempts).values()) == 1
        world.check_everything()

    VirtualWorld(tmp_path).run(story)


def test_at_most_once_in_flight_at_a_crash_is_never_sent_again(tmp_path: Path) -> None:
    """Outcome unknown: failed, TIME_OUT, after the restart, whatever the device does."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(SILENT)
        command = await world.submit(device, "once", delivery="at_most_once", timeout=25)
        device.sim.update()
        await asyncio.sleep(5)
        await world.restart()
        device.sim.reboot()
        await world.until_idle()
        await updated(world, device)

        record = (await world.look(command)).command
        assert (record.state, record.outcome) == (CommandState.FAILED, Outcome.TIME_OUT)
        assert device.texts == ["once"]
        assert world.audit.datagrams_of[device.tokens[0]] == 1
        world.check_everything()

    VirtualWorld(tmp_path).run(story)


# --- wall time -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump_ms", [-HOUR_MS, HOUR_MS])
def test_jump_of_wall_time_does_not_move_the_deadline_of_an_attempt(tmp_path: Path, jump_ms: int) -> None:
    """In flight, only monotonic time counts: not over early, not late, and the lane goes on."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(SILENT)
        command = await world.submit(device, "long", retry=0, timeout=25, window_s=3 * HOUR_S)
        behind = await world.submit(device, "next", retry=0, timeout=5, window_s=3 * HOUR_S)
        device.sim.update()
        await asyncio.sleep(10)
        world.audit.clock_jumped = True
        world.clock.jump_wall(jump_ms)
        await asyncio.sleep(14.9)
        assert await world.state_of(command) is CommandState.SENT
        await asyncio.sleep(0.2)
        assert await world.state_of(command) is CommandState.FAILED
        await updated(world, device)

        # Set back by an hour, the window of what still waits has not opened yet.
        assert device.texts == (["long", "next"] if jump_ms > 0 else ["long"])
        assert await world.state_of(behind) is (CommandState.FAILED if jump_ms > 0 else CommandState.WAITING)

    VirtualWorld(tmp_path).run(story)


@pytest.mark.parametrize("jump_ms", [-HOUR_MS, HOUR_MS])
def test_jump_of_wall_time_does_not_lose_an_answer(tmp_path: Path, jump_ms: int) -> None:
    """The device answers after the jump: success, and an instant command likewise."""

    async def story(world: VirtualWorld) -> None:
        slow = replace(AWAKE, behaviour=Behaviour.SLOW, slow_answer_s=10.0, spares_setup=True)
        device = await world.ready_device(slow)
        command = await world.submit(device, "cached", window_s=3 * HOUR_S)
        device.sim.update()
        await asyncio.sleep(5)
        world.audit.clock_jumped = True
        world.clock.jump_wall(jump_ms)
        await world.until_idle()
        assert await world.state_of(command) is CommandState.SUCCEEDED
        query = {"imei": device.imei, "obj_id": 3303, "obj_inst_id": 0, "res_id": 5605, "timeout": 30}
        instant = world.spawn(world.call("POST", "/nbiot/execute", query, body={"args": "now"}))
        await asyncio.sleep(3)
        world.clock.jump_wall(-jump_ms)

        assert (await instant)["errno"] == 0
        world.check_everything()

    VirtualWorld(tmp_path).run(story)


def test_restart_with_a_wall_clock_set_back_ends_the_adopted_attempt_in_its_own_time(tmp_path: Path) -> None:
    """P9: not an hour late; and what is accepted and sent afterwards works as ever."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(SILENT)
        command = await world.submit(device, "old", retry=0, timeout=25, window_s=3 * HOUR_S)
        device.sim.update()
        await asyncio.sleep(5)
        await world.crash()
        world.audit.clock_jumped = True
        world.clock.jump_wall(-HOUR_MS)
        await world.start()
        await asyncio.sleep(24.9)
        assert await world.state_of(command) is CommandState.SENT
        await asyncio.sleep(3)
        assert await world.state_of(command) is CommandState.FAILED
        normal = await world.ready_device(AWAKE)
        after = await world.submit(normal, "new")
        await updated(world, normal)

        assert await world.state_of(after) is CommandState.SUCCEEDED
        world.check_everything()

    VirtualWorld(tmp_path).run(story)


# --- P11: overload ---------------------------------------------------------------------------------------------------


def test_p11_overload_refuses_early_and_loses_nothing_it_accepted(tmp_path: Path) -> None:
    """A disk that takes a second for a commit, and hundreds of callers: each hears at once, or is kept."""

    async def story(world: VirtualWorld) -> None:
        devices = [await world.add_device(AWAKE, starts_in_s=None) for _ in range(60)]
        world.server.commit_s = 1.0
        calls = []
        for number in range(300):
            calls.append(world.spawn(_timed_submit(world, devices[number % 60], str(number))))
            await asyncio.sleep(0.01)
        answers = [await call for call in calls]
        world.server.commit_s = 0.0

        refused = [waited_s for errno, waited_s in answers if errno != 0]
        accepted = [waited_s for errno, waited_s in answers if errno == 0]
        assert len(accepted) > 20
        assert len(refused) > 100
        assert max(refused) < 0.3
        assert len(world.audit.trails) == len(accepted)
        await world.restart()
        for device in devices:
            device.sim.start()
        await world.until_all_ended(at_most_s=600)
        await world.until_idle()
        assert world.audit.outcomes == {"succeeded": len(accepted)}
        world.check_everything()

    VirtualWorld(tmp_path, writer_limits=WriterLimits(accept_max=64)).run(story)


async def _timed_submit(world: VirtualWorld, device: WorldDevice, text: str) -> tuple[int, float]:
    began = world.clock.monotonic()
    envelope = await world.try_submit(device, text)
    return envelope["errno"], world.clock.monotonic() - began


# --- P12: products ---------------------------------------------------------------------------------------------------

OTHER_KEY = "key-of-another-product"


def test_p12_key_sees_its_own_product_and_nothing_else(tmp_path: Path) -> None:
    """Another product's device, command or history is refused to the byte as one that does not exist."""

    async def story(world: VirtualWorld) -> None:
        await world.platform.products.create(name="other", master_key=OTHER_KEY)
        mine = await world.ready_device(AWAKE)
        theirs = await world.add_device(AWAKE, key=OTHER_KEY)
        await asyncio.sleep(3)
        command = await world.submit(theirs, "secret", key=OTHER_KEY)
        uuid = (await world.data("GET", "/nbiot/offline/history", _all(world, theirs), key=OTHER_KEY))["items"][0][
            "cmd_uuid"
        ]
        nobody = "869999999999999"
        for method, path, query in _calls_naming_a_device(world, uuid):
            hidden = await world.request(method, path, {**query, "imei": theirs.imei}, body=_body_of(path, method))
            unknown = await world.request(method, path, {**query, "imei": nobody}, body=_body_of(path, method))
            assert hidden.body.replace(theirs.imei.encode(), b"") == unknown.body.replace(nobody.encode(), b""), path
            assert b'"errno":0' not in hidden.body
        as_mine = await world.request("GET", f"/nbiot/offline/history/{uuid}", {"imei": mine.imei})
        never = "00000000-0000-5000-8000-000000000000"
        unknown_uuid = await world.request("GET", f"/nbiot/offline/history/{never}", {"imei": mine.imei})
        assert as_mine.body.replace(str(uuid).encode(), b"") == unknown_uuid.body.replace(never.encode(), b"")
        listed = await world.data("GET", "/devices")
        assert [item["id"] for item in listed["devices"]] == [str(mine.id)]
        foreign = await world.request("GET", f"/devices/{theirs.id}")
        missing = await world.request("GET", "/devices/4000000000")
        assert foreign.body.replace(str(theirs.id).encode(), b"") == missing.body.replace(b"4000000000", b"")

        await updated(world, theirs)
        assert await world.state_of(command) is CommandState.SUCCEEDED
        assert theirs.texts[-1:] == ["secret"]
        assert mine.texts == []

    VirtualWorld(tmp_path).run(story)


def test_p12_rotated_key_is_void_at_once(tmp_path: Path) -> None:
    """And a restart does not bring it back."""

    async def story(world: VirtualWorld) -> None:
        other = await world.platform.products.create(name="other", master_key=OTHER_KEY)
        assert (await world.call("GET", "/devices", key=OTHER_KEY))["errno"] == 0
        fresh = await world.platform.products.keyring.rotate(other.product.id, KeyKind.MASTER)
        first = await world.call("GET", "/devices", key=OTHER_KEY)
        await world.restart()
        second = await world.call("GET", "/devices", key=OTHER_KEY)

        assert first["errno"] != 0
        assert second == first
        assert (await world.call("GET", "/devices", key=fresh))["errno"] == 0

    VirtualWorld(tmp_path).run(story)


def _all(world: VirtualWorld, device: WorldDevice) -> dict[str, object]:
    return {"imei": device.imei, "start": world.text_in(-24 * HOUR_S)}


def _calls_naming_a_device(world: VirtualWorld, uuid: object) -> list[tuple[str, str, dict[str, object]]]:
    path: dict[str, object] = {"obj_id": 3303, "obj_inst_id": 0, "res_id": 5605}
    window: dict[str, object] = {"expired_time": world.text_in(HOUR_S)}
    return [
        ("GET", "/nbiot", path),
        ("POST", "/nbiot", {**path, "mode": 2}),
        ("POST", "/nbiot/execute", path),
        ("POST", "/nbiot/observe", {**path, "cancel": "false"}),
        ("GET", "/nbiot/discover", {"obj_id": 3303}),
        ("GET", "/nbiot/resources", {}),
        ("GET", "/nbiot/offline", {**path, **window}),
        ("POST", "/nbiot/offline", {**path, **window, "mode": 2}),
        ("POST", "/nbiot/execute/offline", {**path, **window}),
        ("GET", "/nbiot/offline/history", {"start": world.text_in(-HOUR_S)}),
        ("GET", f"/nbiot/offline/history/{uuid}", {}),
        ("GET", f"/nbiot/offline/history/{uuid}/piecewise", {}),
        ("PUT", f"/nbiot/offline/cancel/{uuid}", {}),
        ("PUT", "/nbiot/offline/cancel/all", {}),
        ("GET", "/devices/getbyimei", {}),
    ]


def _body_of(path: str, method: str) -> dict[str, object] | None:
    if method != "POST":
        return None
    return {"args": "x"} if "execute" in path else {"data": [{"res_id": 5851, "val": 1}]}
