"""Thousands of simulated devices in one process, on real UDP sockets, on one event loop.

Here: creating, switching on at a steady rate, counting, and stopping. Not here: what a device does (lwm2m_device).
Time and randomness are given, as everywhere.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Final

from commandpost.domain.ports import Clock
from commandpost.simulation.device_registry import DeviceRegistry
from commandpost.simulation.device_settings import DeviceCounters
from commandpost.simulation.fleet_settings import FleetError, FleetProgress, FleetSettings
from commandpost.simulation.lwm2m_device import SimulatedDevice
from commandpost.simulation.udp_device_link import LinkCounters, ServerAddress, UdpDeviceLink, allow_descriptors

RAMP_TICK_S: Final = 0.02  # how finely switching on is spread
REGISTRY_CONNECTIONS: Final = 4


class Fleet:
    """One run of a fleet."""

    def __init__(
        self,
        settings: FleetSettings,
        *,
        clock: Clock,
        random: Random,
        on_progress: Callable[[FleetProgress], object] | None = None,
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
        self._counters = DeviceCounters()
        self._link_counters = LinkCounters()
        self._links: list[UdpDeviceLink] = []
        self._created = 0
        self._existing = 0
        self._began_at = 0.0
        self.devices: list[SimulatedDevice] = []
        """Those that have been switched on, in order of their IMEI."""

    async def run(self, stop: asyncio.Event) -> FleetProgress:
        """Run until `stop` is set or `duration_s` is over, and give the last count.

        Raises:
            FleetError: too many sockets, an unknown host, or an HTTP API that refuses.
        """
        self._began_at = self._clock.monotonic()
        allow_descriptors(self._settings.count)
        server = await self._resolve()
        try:
            await self._create_devices(stop)
            await self._live(server, stop)
        finally:
            progress = self.progress()
            self._close()
        self._tell(progress)
        return progress

    def progress(self) -> FleetProgress:
        """Count."""
        counters = self._counters
        return FleetProgress(
            elapsed_s=self._clock.monotonic() - self._began_at,
            started=len(self.devices),
            registered=counters.registered_now,
            awake=counters.awake_now,
            created=self._created,
            existing=self._existing,
            registrations=counters.registrations,
            updates=counters.updates,
            notifications=counters.notifications,
            requests=counters.requests,
            answers=counters.answers,
            done=counters.done,
            failures=counters.failures,
            datagrams_sent=counters.datagrams_sent,
            datagrams_received=counters.datagrams_received,
            datagrams_lost=self._link_counters.lost,
            sends_failed=self._link_counters.sends_failed,
        )

    async def _resolve(self) -> ServerAddress:
        host, port = self._settings.coap_host, self._settings.coap_port
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            raise FleetError(f"the CoAP address {host}:{port} cannot be resolved: {error}") from error
        return ServerAddress(family=found[0][0], socket_address=found[0][4])

    async def _create_devices(self, stop: asyncio.Event) -> None:
        settings = self._settings
        if settings.registry_url is None or settings.api_key is None:
            return
        url, api_key = settings.registry_url, settings.api_key
        indexes = iter(range(settings.count))

        async def create_in_turn() -> None:
            registry = DeviceRegistry(url=url, api_key=api_key)
            try:
                for index in indexes:
                    if stop.is_set():
                        return
                    device = settings.device(index)
                    assert device.imsi is not None
                    is_new = await registry.create(imei=device.imei, imsi=device.imsi)
                    self._created += is_new
                    self._existing += not is_new
            finally:
                await registry.close()

        workers = [asyncio.create_task(create_in_turn()) for _ in range(REGISTRY_CONNECTIONS)]
        telling = asyncio.create_task(self._tell_now_and_then())
        try:
            await asyncio.gather(*workers)
        finally:
            for task in (*workers, telling):
                task.cancel()
            await asyncio.gather(*workers, telling, return_exceptions=True)

    async def _tell_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._settings.progress_s)
            self._tell(self.progress())

    async def _live(self, server: ServerAddress, stop: asyncio.Event) -> None:
        settings = self._settings
        began = self._clock.monotonic()
        ends_at = None if settings.duration_s is None else began + settings.duration_s
        tell_at = began + settings.progress_s
        while not stop.is_set():
            now = self._clock.monotonic()
            if ends_at is not None and now >= ends_at:
                return
            due = min(settings.count, int((now - began) * settings.ramp_per_s) + 1)
            while len(self.devices) < due:
                self._switch_on(server)
            if now >= tell_at:
                tell_at = now + settings.progress_s
                self._tell(self.progress())
                continue
            wake_at = tell_at if ends_at is None else min(tell_at, ends_at)
            wait_s = wake_at - now if due == settings.count else min(RAMP_TICK_S, wake_at - now)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait_s)

    def _switch_on(self, server: ServerAddress) -> None:
        loop = asyncio.get_running_loop()
        seed = self._random.getrandbits(64)
        try:
            link = UdpDeviceLink(
                loop=loop,
                server=server,
                random=Random(seed),
                loss=self._settings.loss,
                counters=self._link_counters,
            )
        except OSError as error:
            raise FleetError(f"device {len(self.devices) + 1} of {self._settings.count}: no socket: {error}") from error
        self._links.append(link)
        device = SimulatedDevice(
            settings=self._settings.device(len(self.devices)),
            server=server.remote,
            link=link,
            scheduler=loop,
            clock=self._clock,
            random=Random(seed + 1),
            counters=self._counters,
            served_kept_max=0,
        )
        self.devices.append(device)
        device.start()

    def _tell(self, progress: FleetProgress) -> None:
        if self._on_progress is not None:
            self._on_progress(progress)

    def _close(self) -> None:
        for device in self.devices:
            device.stop()
        for link in self._links:
            link.close()


async def run_fleet(
    settings: FleetSettings,
    *,
    clock: Clock,
    random: Random,
    stop: asyncio.Event,
    on_progress: Callable[[FleetProgress], object] | None = None,
) -> FleetProgress:
    """Run a fleet until `stop` is set or its time is over; see `Fleet.run`."""
    return await Fleet(settings, clock=clock, random=random, on_progress=on_progress).run(stop)
