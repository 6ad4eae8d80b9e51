"""One simulated device under the story's hands, whatever it speaks: switched on and off, and waited for.

What is told of a device is its own log; what goes into that is in devices and stream_devices.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from commandpost.cli.demo.narrator import DemoFailed
from commandpost.simulation.lwm2m_device import SimulatedDevice
from commandpost.simulation.stream_device import StreamDevice

Simulated = TypeVar("Simulated", SimulatedDevice, StreamDevice)


class WatchedDevice(ABC, Generic[Simulated]):
    """One device, of either kind."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._changed = asyncio.Event()
        self._device: Simulated | None = None

    def attach(self, device: Simulated) -> None:
        """Say which device it is; once."""
        self._device = device

    def start(self) -> None:
        """Switch it on: it registers, or connects and reports."""
        self._own.start()

    def sleep(self) -> None:
        """Turn its radio off, or let it disconnect."""
        self._own.sleep()

    def wake(self) -> None:
        """Turn its radio on: it sends an Update, or connects again and reports."""
        self._own.wake()

    async def _until(self, log: Sequence[str], count: int, *, what: str, deadline_s: float) -> None:
        try:
            async with asyncio.timeout(deadline_s):
                while len(log) < count:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise DemoFailed(
                f"the {self.name} did not {what} within {deadline_s:g} s; its log: {self._describe_log()}"
            ) from None

    @abstractmethod
    def _describe_log(self) -> str:
        """Say what reached it, for a story that failed."""

    @property
    def _own(self) -> Simulated:
        assert self._device is not None, "attach came first"
        return self._device
