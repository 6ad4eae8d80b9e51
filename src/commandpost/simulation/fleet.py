"""Thousands of simulated devices in one process, on real UDP sockets, on one event loop.

Here: what a device of it is made of, and its counts. Not here: how a fleet runs (fleet_runner), what a device does
(lwm2m_device), and fleets on TCP (stream_fleet). Time and randomness are given, as everywhere.
"""

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from random import Random

from commandpost.domain.ports import Clock
from commandpost.simulation.device_channel import DeviceLink
from commandpost.simulation.device_registry import DeviceRegistry
from commandpost.simulation.device_settings import DeviceCounters
from commandpost.simulation.dtls_device_link import DtlsCredential, DtlsDeviceLink
from commandpost.simulation.fleet_runner import FleetRunner, resolve
from commandpost.simulation.fleet_settings import FleetError, FleetProgress, FleetSettings
from commandpost.simulation.lwm2m_device import SimulatedDevice
from commandpost.simulation.udp_device_link import LinkCounters, ServerAddress, UdpDeviceLink


class Fleet(FleetRunner[FleetSettings, FleetProgress]):
    """One run of a fleet that speaks LwM2M."""

    def __init__(
        self,
        settings: FleetSettings,
        *,
        clock: Clock,
        random: Random,
        on_progress: Callable[[FleetProgress], object] | None = None,
    ) -> None:
        """Prepare, as every fleet does."""
        super().__init__(settings, clock=clock, random=random, on_progress=on_progress)
        self._counters = DeviceCounters()
        self._link_counters = LinkCounters()
        self._links: list[UdpDeviceLink] = []
        self._protected: list[DtlsDeviceLink] = []
        self.devices: list[SimulatedDevice] = []
        """Those that have been switched on, in order of their IMEI."""

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

    async def _find_server(self) -> Callable[[], object]:
        settings = self._settings
        family, address = await resolve(settings.coap_host, settings.coap_port, socket.SOCK_DGRAM)
        return partial(self._switch_on, ServerAddress(family=family, socket_address=address))

    async def _create(self, registry: DeviceRegistry, index: int) -> bool:
        device = self._settings.device(index)
        assert device.imsi is not None
        return await registry.create(imei=device.imei, imsi=device.imsi, psk=self._settings.psk)

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
            count = self._settings.pace.count
            raise FleetError(f"device {len(self.devices) + 1} of {count}: no socket: {error}") from error
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
