"""The demo's devices: simulated ones on real UDP sockets, woken and put to sleep by the story.

What is told of them is their own log of what the server asked of them.
"""

import asyncio
import socket
from contextlib import AsyncExitStack
from random import Random
from typing import Final

from commandpost.cli.demo.watched_device import WatchedDevice
from commandpost.config import ListenAddress
from commandpost.domain.operation import Execute, Read
from commandpost.domain.ports import Clock
from commandpost.protocols.lwm2m.served_requests import ServedOperation, ServedWrite
from commandpost.simulation.behaviours import Behaviour
from commandpost.simulation.device_settings import DeviceSettings, ServedRequest
from commandpost.simulation.lwm2m_device import SimulatedDevice
from commandpost.simulation.udp_device_link import LinkCounters, ServerAddress, UdpDeviceLink

ALWAYS_S: Final = 86_400.0  # longer than any demo
SEED: Final = 1  # nothing in the story depends on chance


class DemoDevice(WatchedDevice[SimulatedDevice]):
    """One device under the story's hands."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.asked: list[str] = []
        """What applications wanted of it, in the order in which it came."""
        self.done: list[str] = []
        """What of it changed the device: writes and executes that were carried out."""

    @property
    def registrations(self) -> int:
        """How often it has registered."""
        return self._own.counters.registrations

    def hear(self, request: ServedRequest) -> None:
        """Note what the server asked; setting observations up is no application's wish."""
        if not isinstance(request.operation, ServedWrite | Execute | Read) or request.operation.path.object_id == 3:
            return
        line = describe(request.operation)
        self.asked.append(line)
        if request.was_done and not isinstance(request.operation, Read):
            self.done.append(line)
        self._changed.set()

    async def until_asked(self, count: int, *, deadline_s: float) -> None:
        """Wait until the server has asked so many things.

        Raises:
            DemoFailed: it has not by the deadline.
        """
        await self._until(self.asked, count, what=f"be asked {count} times", deadline_s=deadline_s)

    async def until_done(self, count: int, *, deadline_s: float) -> None:
        """Wait until it has done so many things.

        Raises:
            DemoFailed: it has not by the deadline.
        """
        await self._until(self.done, count, what=f"do {count} things", deadline_s=deadline_s)

    def _describe_log(self) -> str:
        return str(self.asked)


class DemoDevices(AsyncExitStack):
    """All of them, switched off together at the end."""

    def __init__(self, *, coap: ListenAddress, clock: Clock) -> None:
        super().__init__()
        self._server = ServerAddress(family=socket.AF_INET, socket_address=(coap.host, coap.port))
        self._clock = clock
        self._random = Random(SEED)  # noqa: S311 - weather, not secrets

    def add(self, name: str, imei: str, imsi: str, *, is_silent: bool = False) -> DemoDevice:
        """Make a device that is off.

        Args:
            is_silent: it registers and lets itself be observed, and answers nothing else.
        """
        loop = asyncio.get_running_loop()
        device = DemoDevice(name)
        link = UdpDeviceLink(loop=loop, server=self._server, random=self._random, loss=0.0, counters=LinkCounters())
        self.callback(link.close)
        settings = DeviceSettings(
            imei=imei,
            imsi=imsi,
            behaviour=Behaviour.SILENT if is_silent else Behaviour.NORMAL,
            spares_setup=True,
            sleep_s=ALWAYS_S,
            awake_s=ALWAYS_S,
        )
        simulated = SimulatedDevice(
            settings=settings,
            server=self._server.remote,
            link=link,
            scheduler=loop,
            clock=self._clock,
            random=Random(self._random.getrandbits(64)),  # noqa: S311 - as above
            on_served=device.hear,
        )
        device.attach(simulated)
        self.callback(simulated.stop)
        return device


def describe(operation: ServedOperation) -> str:
    """Say what was asked: `write /3306/0/5851 = 42`, `execute /3303/0/5605`, `read /3303`."""
    match operation:
        case ServedWrite():
            parts = [f"{path} = {_text(value.value)}" for path, value in operation.values.leaves()]
            return f"write {', '.join(parts)}"
        case Execute():
            return f"execute {operation.path}{f' ({operation.arguments})' if operation.arguments else ''}"
        case _:
            return f"{type(operation).__name__.lower()} {operation.path}"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
