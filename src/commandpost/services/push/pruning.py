"""A duty: removes failures that are older than the retention, and what removed subscriptions left behind."""

from commandpost.domain.instant import Instant
from commandpost.domain.ports import Clock, StoreWriter
from commandpost.domain.push_facts import PrunePushes


class PushPruner:
    """Slice by slice, so that a receiver that was dead for long does not stall anything when it is forgotten."""

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
        """Remove one slice."""
        before = Instant(self._clock.wall_ms() - self._retention_ms)
        return await self._writer.perform(PrunePushes(given_up_before=before, limit=self.slice_max))
