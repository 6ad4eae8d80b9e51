"""Stopping on a whole platform: within its time, whatever the disk does (design 9: SIGTERM ends within 5 s)."""

import asyncio
from pathlib import Path

from commandpost.app.http_server import HTTP_STOP_S
from commandpost.app.server import STOP_S as SERVER_STOP_S
from commandpost.app.server import WRITER_STOP_S
from commandpost.simulation.device_settings import DeviceSettings
from commandpost.stores.commit_drivers import STOP_MAX_S as THREAD_STOP_S
from tests.acceptance.virtual_world import VirtualWorld

AWAKE = DeviceSettings(imei="", lifetime_s=86_400)
STOP_S = 2.0
FOR_EVER_S = 1e6


def test_a_disk_that_hangs_holds_a_stop_up_for_no_longer_than_it_may_take(tmp_path: Path) -> None:
    """A device registers, another was heard, and not one of the parts that wait gets the whole time to itself."""

    async def story(world: VirtualWorld) -> None:
        heard = await world.ready_device(AWAKE)
        registers = await world.ready_device(AWAKE)
        world.server.commit_s = FOR_EVER_S
        heard.sim.update()
        registers.sim.reboot()
        await asyncio.sleep(10)
        assert world.server.writer.queued > 0
        began_at = world.clock.monotonic()

        await world.platform.stop(STOP_S)

        assert 0 < world.clock.monotonic() - began_at <= STOP_S

    VirtualWorld(tmp_path).run(story)


def test_the_pieces_of_a_stop_are_less_than_sigterm_promises() -> None:
    """Also where HTTP, the platform and the writer all need what they may take; the platform has something left."""
    platform_s = SERVER_STOP_S - (HTTP_STOP_S + 0.5) - WRITER_STOP_S - THREAD_STOP_S

    assert platform_s >= 0.5
    assert SERVER_STOP_S < 5.0


def test_what_waits_for_the_disk_is_written_by_a_stop(tmp_path: Path) -> None:
    """The last moment a device was heard, as the next run finds it."""

    async def story(world: VirtualWorld) -> None:
        device = await world.ready_device(AWAKE)
        await asyncio.sleep(60)
        device.sim.update()
        await asyncio.sleep(0.5)
        heard_at = world.clock.wall_ms()

        await world.stop()
        await world.start()

        session = await world.platform.lwm2m.sessions.load(device.id)
        assert session is not None
        assert heard_at - session.last_heard_at < 1_000

    VirtualWorld(tmp_path).run(story)
