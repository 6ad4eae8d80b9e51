"""Two days in the life of a hundred sleeping devices and their application: all of it, and the same every time."""

import asyncio
from pathlib import Path
from random import Random

from commandpost.simulation.device_settings import DeviceSettings
from commandpost.simulation.memory_network import NetworkConditions
from tests.acceptance.virtual_world import DAY_S, HOUR_S, VirtualWorld

DEVICES = 100
HOURS = 48
CELLULAR = NetworkConditions(loss=0.02, duplication=0.01, delay_min_s=0.2, delay_max_s=2.0)
SLEEPER = DeviceSettings(imei="", lifetime_s=86_400, sleep_s=4 * HOUR_S, awake_s=15, sleep_jitter=0.3)
COMMANDS_PER_HOUR = 20
TICK_S = 300.0  # nothing that is read depends on it


async def two_days(world: VirtualWorld) -> None:
    """Devices switched on over the first hour; reads, writes and executes the whole time."""
    chance = Random(f"application-{world.seed}")
    for _ in range(DEVICES):
        await world.add_device(SLEEPER, starts_in_s=HOUR_S * chance.random())
    for number in range(HOURS * COMMANDS_PER_HOUR):
        await asyncio.sleep(HOUR_S / COMMANDS_PER_HOUR)
        device = chance.choice(world.devices)
        operation = chance.choice(("read", "write", "execute"))
        await world.submit(device, str(number), operation=operation, window_s=12 * HOUR_S)
    await world.until_all_ended(at_most_s=DAY_S)
    await world.until_idle()
    world.check_everything()
    world.audit.check_first_attempts_in_order()
    for device in world.devices:
        history = {"imei": device.imei, "start": world.text_in(-3 * DAY_S), "per_page": 100, "sort": "ASC"}
        items = (await world.data("GET", "/nbiot/offline/history", history))["items"]
        assert all(item["send_status"] in (4, 5, 6) for item in items)


def live(directory: Path, seed: int) -> VirtualWorld:
    return VirtualWorld(directory, seed=seed, conditions=CELLULAR, tick_s=TICK_S).run(two_days)


def test_two_days_of_a_hundred_devices_leave_the_same_trace_twice(tmp_path: Path) -> None:
    """Design 7: one seed, one trace; another seed, another trace; and every command ended."""
    for name in ("first", "second", "third"):
        (tmp_path / name).mkdir()

    first = live(tmp_path / "first", seed=1)
    second = live(tmp_path / "second", seed=1)
    third = live(tmp_path / "third", seed=2)

    assert first.audit.outcomes["succeeded"] > HOURS * COMMANDS_PER_HOUR * 0.95
    assert first.clock.monotonic() > HOURS * HOUR_S
    assert first.trace == second.trace
    assert first.trace != third.trace
