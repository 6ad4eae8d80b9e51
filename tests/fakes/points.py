"""A datapoints service that keeps points in memory, when a test lets it."""

import asyncio
from collections.abc import Sequence

from commandpost.domain.datapoint import Datapoint
from commandpost.domain.ids import DeviceId, ProductId


class HeldPoints:
    """Stores at once, or keeps everybody waiting while it is held."""

    def __init__(self) -> None:
        self.points: list[tuple[DeviceId, ProductId, Datapoint]] = []
        """What is stored."""
        self.asked = 0
        """How often somebody wanted to store."""
        self.error: Exception | None = None
        """What everybody gets instead."""
        self._gate = asyncio.Event()
        self._gate.set()

    def hold(self) -> None:
        """Commit nothing until `release`."""
        self._gate.clear()

    def release(self) -> None:
        """Commit what waits."""
        self._gate.set()

    async def wait(self) -> None:
        """Wait while it is held."""
        await self._gate.wait()

    async def add(self, device_id: DeviceId, product_id: ProductId, points: Sequence[Datapoint]) -> None:
        """Store points."""
        self.asked += 1
        await self.wait()
        if self.error is not None:
            raise self.error
        self.points += [(device_id, product_id, point) for point in points]

    @property
    def shown(self) -> list[tuple[str, str]]:
        """Stream and value of what is stored, in order."""
        return [(point.stream_id, point.value) for _, _, point in self.points]

    @property
    def times(self) -> list[int]:
        """The times of what is stored, in order."""
        return [point.at for _, _, point in self.points]
