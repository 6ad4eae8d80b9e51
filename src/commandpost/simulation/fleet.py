"""Thousands of simulated devices in one process, on real UDP sockets, on one event loop.

Here: creating, switching on, counting, and stopping. Not here: the rate (fleet_pace), what a device does
(lwm2m_device), and fleets on TCP (stream_fleet). Time and randomness are given, as everywhere.
"""

import asyncio
import socket
from collections.abc import Callable
from random import Random

from commandpost.domain.ports import Clock
from commandpost.simulation.device_channel import DeviceLink
from commandpost.simulation.device_registry import DeviceRegistry
from commandpost.simulation.device_settings import DeviceCounters
from commandpost.simulation.dtls_device_link import DtlsCredential, DtlsDeviceLink
from commandpost.simulation.fleet_pace import create_all, keep_pace
from commandpost.simulation.fleet_settings import FleetError, FleetProgress, FleetSettings
from commandpost.simulation.lwm2m_device import SimulatedDevice
from commandpost.simulation.udp_device_link import LinkCounters, ServerAddress, UdpDeviceLink, allow_descriptors


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
        self._protected: list[DtlsDeviceLink] = []
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
            never_let_in=len(self.devices) - counters.let_in,
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
            last_failure=counters.last_failure,
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

        async def create(registry: DeviceRegistry, index: int) -> None:
            device = settings.device(index)
            assert device.imsi is not None
            is_new = await registry.create(imei=device.imei, imsi=device.imsi, psk=settings.psk)
            self._created += is_new
            self._existing += not is_new

        await create_all(
            settings.pace,
            url=settings.registry_url,
            api_key=settings.api_key,
            stop=stop,
            create=create,
            tell=lambda: self._tell(self.progress()),
        )

    async def _live(self, server: ServerAddress, stop: asyncio.Event) -> None:
        await keep_pace(
            self._settings.pace,
            clock=self._clock,
            stop=stop,
            switch_on=lambda: self._switch_on(server),
            tell=lambda: self._tell(self.progress()),
        )

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
        settings = self._settings.device(len(self.devices))
        device = SimulatedDevice(
            settings=settings,
            server=server.remote,
            link=self._protect(link, settings.imei, server, Random(seed + 2)),
            scheduler=loop,
            clock=self._clock,
            random=Random(seed + 1),
            counters=self._counters,
            served_kept_max=0,
        )
        self.devices.append(device)
        device.start()

    def _protect(self, link: UdpDeviceLink, imei: str, server: ServerAddress, random: Random) -> DeviceLink:
        if self._settings.psk is None:
            return link
        protected = DtlsDeviceLink(
            link=link,
            server=server.remote,
            credential=DtlsCredential(
                identity=imei.encode(),
                key=self._settings.psk.encode(),
                has_connection_id=self._settings.has_connection_id,
            ),
            scheduler=asyncio.get_running_loop(),
            clock=self._clock,
            random_bytes=random.randbytes,  # of a seed, as everything here: these devices have no secrets
            counters=self._counters,
        )
        self._protected.append(protected)
        return protected

    def _tell(self, progress: FleetProgress) -> None:
        if self._on_progress is not None:
            self._on_progress(progress)

    def _close(self) -> None:
        for device in self.devices:
            device.stop()
        for protected in self._protected:
            protected.close()
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
