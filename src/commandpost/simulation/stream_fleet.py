"""Thousands of simulated MQTT or EDP devices in one process, each with its own TCP connection, on one event loop.

Here: creating, switching on, counting, and stopping. Not here: the rate (fleet_pace), what a device does
(stream_device), and fleets on UDP (fleet). Time and randomness are given, as everywhere.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from random import Random

from commandpost.domain.ports import Clock
from commandpost.simulation.device_registry import DeviceRegistry
from commandpost.simulation.edp_device import EdpDeviceClient
from commandpost.simulation.fleet_pace import create_all, keep_pace
from commandpost.simulation.fleet_settings import FleetError
from commandpost.simulation.mqtt_device import MqttDeviceClient, MqttLogin
from commandpost.simulation.stream_client import StreamClient
from commandpost.simulation.stream_device import StreamDevice
from commandpost.simulation.stream_device_link import StreamAddress, TcpDeviceLink
from commandpost.simulation.stream_device_settings import StreamCounters
from commandpost.simulation.stream_fleet_settings import StreamFleetSettings, StreamProgress
from commandpost.simulation.udp_device_link import allow_descriptors


class StreamFleet:
    """One run of a fleet."""

    def __init__(
        self,
        settings: StreamFleetSettings,
        *,
        clock: Clock,
        random: Random,
        on_progress: Callable[[StreamProgress], object] | None = None,
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
        self._counters = StreamCounters()
        self._created = 0
        self._existing = 0
        self._began_at = 0.0
        self._device_ids: dict[int, str] = {}
        """Of devices that were created, by place."""
        self.devices: list[StreamDevice] = []
        """Those that have been switched on, in order."""

    async def run(self, stop: asyncio.Event) -> StreamProgress:
        """Run until `stop` is set or `duration_s` is over, and give the last count.

        Raises:
            FleetError: too many connections, an unknown host, a bad certificate file, or an HTTP API that refuses.
        """
        self._began_at = self._clock.monotonic()
        allow_descriptors(self._settings.pace.count)
        server = await self._resolve()
        try:
            await self._create_devices(stop)
            await keep_pace(
                self._settings.pace,
                clock=self._clock,
                stop=stop,
                switch_on=lambda: self._switch_on(server),
                tell=self._tell,
            )
        finally:
            progress = self.progress()
            for device in self.devices:
                device.stop()
            await asyncio.sleep(0)  # the loop closes the connections
        self._tell(progress)
        return progress

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

    async def _resolve(self) -> StreamAddress:
        settings = self._settings
        host, port = settings.host, settings.port
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise FleetError(f"the address {host}:{port} cannot be resolved: {error}") from error
        return StreamAddress(
            family=found[0][0],
            socket_address=found[0][4],
            tls=self._tls(),
            server_name=host if settings.is_tls else None,
        )

    def _tls(self) -> ssl.SSLContext | None:
        if not self._settings.is_tls:
            return None
        try:
            return ssl.create_default_context(cafile=self._settings.ca_file)
        except OSError as error:
            raise FleetError(f"the certificates in {self._settings.ca_file} cannot be used: {error}") from error

    async def _create_devices(self, stop: asyncio.Event) -> None:
        settings = self._settings
        if settings.registry_url is None or settings.api_key is None:
            return

        async def create(registry: DeviceRegistry, index: int) -> None:
            device_id, is_new = await registry.create_stream_device(
                protocol=settings.protocol.value, auth_info=settings.auth_info_of(index)
            )
            self._device_ids[index] = device_id
            self._created += is_new
            self._existing += not is_new

        await create_all(
            settings.pace,
            url=settings.registry_url,
            api_key=settings.api_key,
            stop=stop,
            create=create,
            tell=self._tell,
        )

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

    def _tell(self, progress: StreamProgress | None = None) -> None:
        if self._on_progress is not None:
            self._on_progress(progress or self.progress())


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
