"""What fleets of either kind do alike: created over HTTP, switched on at a steady rate, counted, and stopped.

Not here: what a device is (fleet, stream_fleet).
"""

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any, Final, Generic, TypeVar

from commandpost.domain.ports import Clock
from commandpost.simulation.device_registry import DeviceRegistry
from commandpost.simulation.fleet_settings import FleetError, FleetPlan
from commandpost.simulation.udp_device_link import allow_descriptors

RAMP_TICK_S: Final = 0.02  # how finely switching on is spread
REGISTRY_CONNECTIONS: Final = 4

Plan = TypeVar("Plan", bound=FleetPlan)
Progress = TypeVar("Progress")


class FleetRunner(ABC, Generic[Plan, Progress]):
    """One run of a fleet."""

    def __init__(
        self,
        settings: Plan,
        *,
        clock: Clock,
        random: Random,
        on_progress: Callable[[Progress], object] | None = None,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            clock: its monotonic time is that of the event loop `run` is called on.
            random: the only source of chance; every device gets a generator seeded from it.
            on_progress: hears every `progress_s`, and once at the end.
        """
        self._settings = settings
        self._clock = clock
        self._random = random
        self._on_progress = on_progress
        self._created = 0
        self._existing = 0
        self._began_at = 0.0

    async def run(self, stop: asyncio.Event) -> Progress:
        """Run until `stop` is set or `duration_s` is over, and give the last count.

        Raises:
            FleetError: too many sockets, an unknown host, a bad certificate file, or an HTTP API that refuses.
        """
        self._began_at = self._clock.monotonic()
        allow_descriptors(self._settings.pace.count)
        switch_on = await self._find_server()
        try:
            await self._create_all(stop)
            await self._keep_pace(switch_on, stop)
        finally:
            progress = self.progress()
            self._close()
            await asyncio.sleep(0)  # the loop closes the connections
        self._tell(progress)
        return progress

    @abstractmethod
    def progress(self) -> Progress:
        """Count."""

    @abstractmethod
    async def _find_server(self) -> Callable[[], object]:
        """Resolve where the server is, and give what switches the next device on there."""

    @abstractmethod
    async def _create(self, registry: DeviceRegistry, index: int) -> bool:
        """Create the device at this place, counted from 0; whether it is new."""

    @abstractmethod
    def _close(self) -> None:
        """Switch everything off."""

    async def _create_all(self, stop: asyncio.Event) -> None:
        """Create the devices over a few connections side by side, and tell now and then; `stop` ends it early."""
        pace, url, api_key = self._settings.pace, self._settings.registry_url, self._settings.api_key
        if url is None or api_key is None:
            return
        indexes = iter(range(pace.count))

        async def create_in_turn() -> None:
            registry = DeviceRegistry(url=url, api_key=api_key)
            try:
                for index in indexes:
                    if stop.is_set():
                        return
                    is_new = await self._create(registry, index)
                    self._created += is_new
                    self._existing += not is_new
            finally:
                await registry.close()

        async def tell_now_and_then() -> None:
            while True:
                await asyncio.sleep(pace.progress_s)
                self._tell()

        workers = [asyncio.create_task(create_in_turn()) for _ in range(min(REGISTRY_CONNECTIONS, pace.count))]
        telling = asyncio.create_task(tell_now_and_then())
        try:
            await asyncio.gather(*workers)
        finally:
            for task in (*workers, telling):
                task.cancel()
            await asyncio.gather(*workers, telling, return_exceptions=True)

    async def _keep_pace(self, switch_on: Callable[[], object], stop: asyncio.Event) -> None:
        """Switch devices on, one call each, and tell now and then, until `stop` is set or the time is over."""
        pace = self._settings.pace
        began = self._clock.monotonic()
        ends_at = None if pace.duration_s is None else began + pace.duration_s
        tell_at = began + pace.progress_s
        switched_on = 0
        while not stop.is_set():
            now = self._clock.monotonic()
            if ends_at is not None and now >= ends_at:
                return
            due = min(pace.count, int((now - began) * pace.ramp_per_s) + 1)
            while switched_on < due:
                switch_on()
                switched_on += 1
            if now >= tell_at:
                tell_at = now + pace.progress_s
                self._tell()
                continue
            wake_at = tell_at if ends_at is None else min(tell_at, ends_at)
            wait_s = wake_at - now if due == pace.count else min(RAMP_TICK_S, wake_at - now)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait_s)

    def _tell(self, progress: Progress | None = None) -> None:
        if self._on_progress is not None:
            self._on_progress(self.progress() if progress is None else progress)


async def resolve(host: str, port: int, kind: socket.SocketKind) -> tuple[int, tuple[Any, ...]]:  # Any: of any family
    """Give the family and the socket address of a server, once for a whole fleet.

    Raises:
        FleetError: the host is unknown.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=kind)
    except (OSError, UnicodeError) as error:
        raise FleetError(f"the address {host}:{port} cannot be resolved: {error}") from error
    return found[0][0], found[0][4]
