"""The demo's devices on TCP: one that speaks MQTT, one that speaks EDP, connected and disconnected by the story.

What is told of them is their own log of what reached them.
"""

import asyncio
import socket
from contextlib import AsyncExitStack
from random import Random
from typing import Final

from commandpost.cli.demo.watched_device import WatchedDevice
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


class DemoStreamDevice(WatchedDevice[StreamDevice]):
    """One device under the story's hands."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.heard: list[str] = []
        """The payloads that reached it, in the order in which they came."""

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
        await self._until(self.heard, count, what=f"hear {count} payloads", deadline_s=deadline_s)

    def _describe_log(self) -> str:
        end = self._own.counters.last_end
        return f"{self.heard}; its last connection: {end}" if end else str(self.heard)


class DemoStreams(AsyncExitStack):
    """Both of them, switched off together at the end."""

    def __init__(self, *, mqtt: ListenAddress, edp: ListenAddress, product_id: str, clock: Clock) -> None:
        super().__init__()
        self.push_async_callback(asyncio.sleep, 0)  # comes last: the loop closes the connections
        self._mqtt = mqtt
        self._edp = edp
        self._product_id = product_id
        self._clock = clock
        self._random = Random(SEED)  # noqa: S311 - weather, not secrets

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
        self.callback(simulated.stop)
        return device
