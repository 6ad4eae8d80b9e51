"""How a fleet gets going, whatever its devices speak: created over HTTP, switched on at a steady rate.

Not here: what a device is (fleet, stream_fleet).
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from commandpost.domain.ports import Clock
from commandpost.simulation.device_registry import DeviceRegistry
from commandpost.simulation.fleet_settings import Pace

RAMP_TICK_S: Final = 0.02  # how finely switching on is spread
REGISTRY_CONNECTIONS: Final = 4


async def keep_pace(
    pace: Pace,
    *,
    clock: Clock,
    stop: asyncio.Event,
    switch_on: Callable[[], object],
    tell: Callable[[], object],
) -> None:
    """Switch devices on, one call each, and tell now and then, until `stop` is set or the time is over."""
    began = clock.monotonic()
    ends_at = None if pace.duration_s is None else began + pace.duration_s
    tell_at = began + pace.progress_s
    switched_on = 0
    while not stop.is_set():
        now = clock.monotonic()
        if ends_at is not None and now >= ends_at:
            return
        due = min(pace.count, int((now - began) * pace.ramp_per_s) + 1)
        while switched_on < due:
            switch_on()
            switched_on += 1
        if now >= tell_at:
            tell_at = now + pace.progress_s
            tell()
            continue
        wake_at = tell_at if ends_at is None else min(tell_at, ends_at)
        wait_s = wake_at - now if due == pace.count else min(RAMP_TICK_S, wake_at - now)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), wait_s)


async def create_all(
    pace: Pace,
    *,
    url: str,
    api_key: str,
    stop: asyncio.Event,
    create: Callable[[DeviceRegistry, int], Awaitable[object]],
    tell: Callable[[], object],
) -> None:
    """Create the devices over a few connections side by side, and tell now and then; `stop` ends it early.

    Args:
        create: creates the device at a place, counted from 0.
    """
    indexes = iter(range(pace.count))

    async def create_in_turn() -> None:
        registry = DeviceRegistry(url=url, api_key=api_key)
        try:
            for index in indexes:
                if stop.is_set():
                    return
                await create(registry, index)
        finally:
            await registry.close()

    async def tell_now_and_then() -> None:
        while True:
            await asyncio.sleep(pace.progress_s)
            tell()

    workers = [asyncio.create_task(create_in_turn()) for _ in range(min(REGISTRY_CONNECTIONS, pace.count))]
    telling = asyncio.create_task(tell_now_and_then())
    try:
        await asyncio.gather(*workers)
    finally:
        for task in (*workers, telling):
            task.cancel()
        await asyncio.gather(*workers, telling, return_exceptions=True)
