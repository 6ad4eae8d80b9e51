"""Duties that let go of what is no longer kept: reported data, and topic messages and sessions that have expired.

Each tick does a bounded slice (see maintenance); ended commands have a duty of their own there.
"""

from collections.abc import Callable

from commandpost.domain.data_facts import PruneData, PruneOrphans
from commandpost.domain.instant import Instant
from commandpost.domain.ports import Clock, StoreWriter
from commandpost.domain.topic_facts import PruneTopics


class DataPruner:
    """Removes datapoints and binaries that arrived longer ago than they are kept, and what deleted streams left."""

    def __init__(
        self,
        *,
        writer: StoreWriter,
        clock: Clock,
        retention_ms: int,
        slice_max: int = 500,
        interval_s: float = 60.0,
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._retention_ms = retention_ms
        self.slice_max = slice_max
        self.interval_s = interval_s

    async def tick(self) -> int:
        """Remove one slice of each."""
        received_before = Instant(self._clock.wall_ms() - self._retention_ms)
        pruned = await self._writer.perform(PruneData(received_before=received_before, limit=self.slice_max))
        orphans = await self._writer.perform(PruneOrphans(limit=self.slice_max))
        return max(pruned, orphans)


class TopicPruner:
    """Removes topic sessions and messages that have expired, on disk and in the broker's memory."""

    def __init__(
        self,
        *,
        writer: StoreWriter,
        clock: Clock,
        sweep: Callable[[], object],
        slice_max: int = 500,
        interval_s: float = 60.0,
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._sweep = sweep
        self.slice_max = slice_max
        self.interval_s = interval_s

    async def tick(self) -> int:
        """Remove one slice."""
        self._sweep()
        return await self._writer.perform(PruneTopics(now=self._clock.wall_ms(), limit=self.slice_max))
