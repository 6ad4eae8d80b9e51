"""Thousands of simulated MQTT or EDP devices in one process, each with its own TCP connection, on one event loop.

Here: what a device of it is made of, and its counts. Not here: how a fleet runs (fleet_runner), what a device does
(stream_device), and fleets on UDP (fleet). Time and randomness are given, as everywhere.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from functools import partial
from random import Random

from commandpost.domain.ports import Clock
from commandpost.simulation.device_registry import DeviceRegistry
from commandpost.simulation.edp_device import EdpDeviceClient
from commandpost.simulation.fleet_runner import FleetRunner, resolve
from commandpost.simulation.fleet_settings import FleetError
from commandpost.simulation.mqtt_device import MqttDeviceClient, MqttLogin
from commandpost.simulation.stream_client import StreamClient
from commandpost.simulation.stream_device import StreamDevice
from commandpost.simulation.stream_device_link import StreamAddress, TcpDeviceLink
from commandpost.simulation.stream_device_settings import StreamCounters
from commandpost.simulation.stream_fleet_settings import StreamFleetSettings, StreamProgress


class StreamFleet(FleetRunner[StreamFleetSettings, StreamProgress]):
    """One run of a fleet that speaks MQTT or EDP."""

    def __init__(
        self,
        settings: StreamFleetSettings,
        *,
        clock: Clock,
        random: Random,
        on_progress: Callable[[StreamProgress], object] | None = None,
    ) -> None:
        """Prepare, as every fleet does."""
        super().__init__(settings, clock=clock, random=random, on_progress=on_progress)
        self._counters = StreamCounters()
        self._device_ids: dict[int, str] = {}
        """Of devices that were created, by place."""
        self.devices: list[StreamDevice] = []
        """Those that have been switched on, in order."""

    def progress(self) -> StreamProgress:
        """Count."""
        counters = self._counters
        return StreamProgress(
            elapsed_s=self._clock.monotonic() - self._began_at,
            started=len(self.devices),
            connected=counters.connected_now,
            never_let_in=len(self.devices) - counters.let_in,
            created=self._created,
            existing=self._existing,
            logins=counters.logins,
            refused=counters.refused,
            lost=counters.lost,
            failures=counters.failures,
            sleeps=counters.sleeps,
            commands=counters.commands,
            done=counters.done,
            answers=counters.answers,
            messages=counters.messages,
            reports=counters.reports,
            reports_stored=counters.reports_stored,
            reports_refused=counters.reports_refused,
            bytes_sent=counters.bytes_sent,
            bytes_received=counters.bytes_received,
            last_end=counters.last_end,
        )

    async def _find_server(self) -> Callable[[], object]:
        settings = self._settings
        family, address = await resolve(settings.host, settings.port, socket.SOCK_STREAM)
        name = settings.host if settings.is_tls else None
        server = StreamAddress(family=family, socket_address=address, tls=self._tls(), server_name=name)
        return partial(self._switch_on, server)

    def _tls(self) -> ssl.SSLContext | None:
        if not self._settings.is_tls:
            return None
        try:
            return ssl.create_default_context(cafile=self._settings.ca_file)
        except OSError as error:
            raise FleetError(f"the certificates in {self._settings.ca_file} cannot be used: {error}") from error

    async def _create(self, registry: DeviceRegistry, index: int) -> bool:
        settings = self._settings
        self._device_ids[index], is_new = await registry.create_stream_device(
            protocol=settings.protocol.value, auth_info=settings.auth_info_of(index)
        )
        return is_new

    def _switch_on(self, server: StreamAddress) -> None:
        loop = asyncio.get_running_loop()
        device = StreamDevice(
            settings=self._settings.device,
            client=self._client(len(self.devices)),
            link=TcpDeviceLink(loop=loop, server=server),
            scheduler=loop,
            clock=self._clock,
            random=Random(self._random.getrandbits(64)),
            counters=self._counters,
            heard_kept_max=0,
        )
        self.devices.append(device)
        device.start()

    def _client(self, index: int) -> StreamClient:
        settings = self._settings
        login = settings.login(index, device_id=self._device_ids.get(index) or settings.device_id_of(index))
        return MqttDeviceClient(login) if isinstance(login, MqttLogin) else EdpDeviceClient(login)

    def _close(self) -> None:
        for device in self.devices:
            device.stop()


async def run_stream_fleet(
    settings: StreamFleetSettings,
    *,
    clock: Clock,
    random: Random,
    stop: asyncio.Event,
    on_progress: Callable[[StreamProgress], object] | None = None,
) -> StreamProgress:
    """Run a fleet until `stop` is set or its time is over; see `StreamFleet.run`."""
    return await StreamFleet(settings, clock=clock, random=random, on_progress=on_progress).run(stop)
