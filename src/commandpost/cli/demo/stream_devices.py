"""The demo's devices on TCP: one that speaks MQTT, one that speaks EDP, connected and disconnected by the story.

What is told of them is their own log of what reached them.
"""

import asyncio
import socket
from collections.abc import Callable
from random import Random
from types import TracebackType
from typing import Final, Self

from commandpost.cli.demo.narrator import DemoFailed
from commandpost.config import ListenAddress
from commandpost.domain.ports import Clock
from commandpost.protocols.data_report import DataType
from commandpost.protocols.edp.messages import LoginRequest
from commandpost.simulation.edp_device import EdpDeviceClient
from commandpost.simulation.mqtt_device import MqttDeviceClient, MqttLogin
from commandpost.simulation.stream_client import StreamClient
from commandpost.simulation.stream_device import StreamDevice
from commandpost.simulation.stream_device_link import StreamAddress, TcpDeviceLink
from commandpost.simulation.stream_device_settings import ReceivedCommand, StreamDeviceSettings

ALWAYS_S: Final = 86_400.0  # longer than any demo
KEEPALIVE_S: Final = 120
SEED: Final = 2  # nothing in the story depends on chance


class DemoStreamDevice:
    """One device under the story's hands."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.heard: list[str] = []
        """The payloads that reached it, in the order in which they came."""
        self._changed = asyncio.Event()
        self._device: StreamDevice | None = None

    def attach(self, device: StreamDevice) -> None:
        """Say which device it is; once."""
        self._device = device

    def start(self) -> None:
        """Switch it on: it connects, logs in and reports."""
        self._own.start()

    def leave(self) -> None:
        """Let it disconnect."""
        self._own.sleep()

    def wake(self) -> None:
        """Let it connect again, and report."""
        self._own.wake()

    @property
    def reports_stored(self) -> int:
        """How many of its reports the server has acknowledged."""
        return self._own.counters.reports_stored

    def hear(self, command: ReceivedCommand) -> None:
        """Note what came."""
        self.heard.append(command.payload.decode(errors="replace"))
        self._changed.set()

    async def until_heard(self, count: int, *, deadline_s: float) -> None:
        """Wait until so many payloads have come.

        Raises:
            DemoFailed: they have not by the deadline.
        """
        await self._until(lambda: len(self.heard) >= count, f"hear {count} payloads", deadline_s)

    async def _until(self, is_so: Callable[[], bool], what: str, deadline_s: float) -> None:
        try:
            async with asyncio.timeout(deadline_s):
                while not is_so():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            end = f"; its last connection: {self._own.counters.last_end}" if self._own.counters.last_end else ""
            raise DemoFailed(
                f"the {self.name} did not {what} within {deadline_s:g} s; its log: {self.heard}{end}"
            ) from None

    @property
    def _own(self) -> StreamDevice:
        assert self._device is not None, "attach came first"
        return self._device


class DemoStreams:
    """Both of them, switched off together at the end."""

    def __init__(self, *, mqtt: ListenAddress, edp: ListenAddress, product_id: str, clock: Clock) -> None:
        self._mqtt = mqtt
        self._edp = edp
        self._product_id = product_id
        self._clock = clock
        self._random = Random(SEED)  # noqa: S311 - weather, not secrets
        self._devices: list[StreamDevice] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for device in self._devices:
            device.stop()
        await asyncio.sleep(0)  # the loop closes the connections

    def add_mqtt(self, name: str, *, device_id: str, auth_info: str) -> DemoStreamDevice:
        """Make an MQTT device that is off."""
        login = MqttLogin(
            device_id=device_id, product_id=self._product_id, password=auth_info.encode(), keepalive_s=KEEPALIVE_S
        )
        return self._add(name, self._mqtt, MqttDeviceClient(login), DataType.VALUES)

    def add_edp(self, name: str, *, auth_info: str) -> DemoStreamDevice:
        """Make an EDP device that is off: it logs in by product and auth_info, and does not know its id."""
        login = LoginRequest(
            device_id="", product_id=self._product_id, auth=auth_info.encode(), keepalive_s=KEEPALIVE_S
        )
        return self._add(name, self._edp, EdpDeviceClient(login), DataType.DELIMITED)

    def _add(self, name: str, server: ListenAddress, client: StreamClient, report_type: DataType) -> DemoStreamDevice:
        loop = asyncio.get_running_loop()
        device = DemoStreamDevice(name)
        address = StreamAddress(family=socket.AF_INET, socket_address=(server.host, server.port))
        simulated = StreamDevice(
            settings=StreamDeviceSettings(
                sleep_s=ALWAYS_S, awake_s=ALWAYS_S, report_s=0.0, report_types=(report_type,)
            ),
            client=client,
            link=TcpDeviceLink(loop=loop, server=address),
            scheduler=loop,
            clock=self._clock,
            random=Random(self._random.getrandbits(64)),  # noqa: S311 - as above
            on_command=device.hear,
        )
        device.attach(simulated)
        self._devices.append(simulated)
        return device
