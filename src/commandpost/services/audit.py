"""The audit: who did what, kept in the store for a while.

Entries are written behind, at most a second later: what a kill -9 takes is that second. Calls of one second that differ
in nothing but their moment become one entry with a number, so that whoever tries keys by the thousand fills no disk.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from commandpost.domain.audit import Actor, AppendAudit, AuditEntry, AuditReader, StoredAuditEntry
from commandpost.domain.errors import Overloaded
from commandpost.domain.ids import ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.ports import Clock, EventSink, StoreWriter

HELD_MAX: Final = 2_000  # different entries of one second; what is more is counted, not told
LOST_ACTION: Final = "audit.lost"


class AuditLog:
    """See the module."""

    def __init__(self, *, writer: StoreWriter, reader: AuditReader, clock: Clock, events: EventSink) -> None:
        self._writer = writer
        self._reader = reader
        self._clock = clock
        self._events = events
        self._held: dict[AuditEntry, tuple[Instant, int]] = {}
        self._lost = 0

    def record(self, entry: AuditEntry) -> None:
        """Keep an entry; it is written with the next flush."""
        what = replace(entry, at=Instant(0), times=1)
        at, times = self._held.get(what, (entry.at, 0))
        if times == 0 and len(self._held) >= HELD_MAX:
            self._lost += entry.times
        else:
            self._held[what] = at, times + entry.times

    async def flush(self) -> int:
        """Write what is held; gives how many entries. What the writer cannot take now is held on.

        Raises:
            CommandpostError: it cannot be written; it is lost, and that is told.
        """
        if not self._held:
            return 0
        held, lost = self._held, self._lost
        entries = [replace(what, at=at, times=times) for what, (at, times) in held.items()]
        if lost:
            entries.append(_lost_entry(self._clock.wall_ms(), lost))
        self._held, self._lost = {}, 0
        try:
            await self._writer.perform(AppendAudit(entries=tuple(entries)))
        except Overloaded:
            self._hold_again(held, lost)
            return 0
        if lost:
            self._events.emit("audit_entries_lost", count=lost)
        return len(entries)

    async def list(
        self, product_id: ProductId | None, *, before_number: int | None, limit: int
    ) -> Sequence[StoredAuditEntry]:
        """Give entries of a product, or all there are, newest first; what is held is written before."""
        await self.flush()
        return await self._reader.list_audit(product_id, before_number=before_number, limit=limit)

    def _hold_again(self, held: dict[AuditEntry, tuple[Instant, int]], lost: int) -> None:
        came_meanwhile, self._held = self._held, held
        self._lost += lost
        for what, (at, times) in came_meanwhile.items():
            self.record(replace(what, at=at, times=times))


def _lost_entry(at: Instant, lost: int) -> AuditEntry:
    return AuditEntry(
        at=at, product_id=None, actor=Actor.NOBODY, action=LOST_ACTION, remote="", result="lost", times=lost
    )


class AuditKeeper:
    """Writes the audit, again and again."""

    name = "audit_keeper"

    def __init__(self, *, audit: AuditLog, interval_s: float = 1.0) -> None:
        self._audit = audit
        self.interval_s = interval_s

    async def tick(self) -> bool:
        """Write what is held; what comes meanwhile waits for the next time."""
        await self._audit.flush()
        return False
