"""A storm of registers, updates and notifications over a network that loses, doubles and reorders.

Whatever happens to single datagrams: every command ends once, is sent no more often than allowed, never outside its
window, in order, and one at a time. What is watched is in `virtual_audit`.
"""

import asyncio
from pathlib import Path
from random import Random

import pytest

from commandpost.simulation.behaviours import Behaviour
from commandpost.simulation.device_settings import DeviceSettings
from commandpost.simulation.memory_network import NetworkConditions
from tests.acceptance.virtual_world import HOUR_S, VirtualWorld

STORM = NetworkConditions(
    loss=0.2, duplication=0.15, reordering=0.2, delay_min_s=0.05, delay_max_s=2.5, held_back_s=8.0
)
BEHAVIOURS = (
    *(Behaviour.NORMAL,) * 6,
    Behaviour.MOVES_ADDRESS,
    Behaviour.SEPARATE_RESPONSE,
    Behaviour.ACK_AFTER_REPLY,
    Behaviour.ANSWERS_TWICE,
    Behaviour.ANSWERS_5_00,
    Behaviour.GARBAGE,
    Behaviour.RST,
    Behaviour.REBOOT_MID_RUN,
)
DEVICES = 14
COMMANDS = 160


def settings_of(number: int) -> DeviceSettings:
    behaviour = BEHAVIOURS[number % len(BEHAVIOURS)]
    return DeviceSettings(
        imei="",
        lifetime_s=240,
        sleep_s=50,
        awake_s=18,
        sleep_jitter=0.5,
        notify_s=20,
        deduplicates=number % 2 == 0,
        confirms_notifications=number % 3 == 0,
        behaviour=behaviour,
    )


async def ride_out(world: VirtualWorld) -> None:
    """Commands of every kind while devices come, go, reboot, move and notify."""
    chance = Random(f"storm-{world.seed}")
    for number in range(DEVICES):
        await world.add_device(settings_of(number), is_observed=True, starts_in_s=30 * chance.random())
    for number in range(COMMANDS):
        await asyncio.sleep(40 * chance.random())
        device = chance.choice(world.devices)
        envelope = await world.try_submit(
            device,
            str(number),
            operation=chance.choice(("read", "write", "execute")),
            window_s=chance.choice((20.0, 180.0, HOUR_S)),
            retry=chance.randrange(4),
            timeout=chance.choice((5, 10, 25)),
        )
        assert envelope["errno"] in (0, 5006), envelope  # 5006: ten wait already
        match chance.randrange(12):
            case 0:
                device.sim.reboot()
            case 1:
                device.sim.move()
            case 2:
                device.sim.update()
            case 3:
                device.sim.notify()
    await world.until_all_ended(at_most_s=2 * HOUR_S)
    await world.until_idle()
    world.check_everything()
    world.audit.check_first_attempts_in_order()
    assert world.audit.outcomes["succeeded"] > 40
    assert world.audit.outcomes["failed"] > 5


@pytest.mark.parametrize("seed", range(6))
def test_storm_breaks_no_promise(tmp_path: Path, seed: int) -> None:
    """P2 to P8 in a storm."""
    VirtualWorld(tmp_path, seed=seed, conditions=STORM, tick_s=5.0).run(ride_out)


@pytest.mark.long
@pytest.mark.parametrize("block", range(10))
def test_many_storms_break_no_promise(tmp_path: Path, block: int) -> None:
    """P2 to P8 in a hundred storms."""
    for seed in range(100 + 10 * block, 110 + 10 * block):
        VirtualWorld(tmp_path, seed=seed, conditions=STORM, tick_s=5.0).run(ride_out)


@pytest.mark.long  # `test_virtual_days.py` shows the same of a calmer network
def test_storm_is_the_same_twice(tmp_path: Path) -> None:
    """Design 7: loss, doubles, reboots and moves are from the seed, too."""
    traces = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        world = VirtualWorld(tmp_path / name, seed=7, conditions=STORM, tick_s=5.0)
        traces.append(world.run(ride_out).trace)

    assert traces[0] == traces[1]
