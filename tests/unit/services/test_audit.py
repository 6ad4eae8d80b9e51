"""What is kept of who did what, and what a flood of it costs."""

from dataclasses import replace

from commandpost.domain.audit import Actor, AuditEntry, StoredAuditEntry
from commandpost.domain.facts import Priority
from commandpost.domain.ids import ProductId
from commandpost.domain.instant import Instant
from commandpost.services.audit import HELD_MAX, LOST_ACTION, AuditLog
from tests.event_loop import on_event_loop
from tests.fakes.clock import NOW
from tests.unit.services.house import House

ENTRY = AuditEntry(
    at=NOW, product_id=ProductId(1), actor=Actor.MASTER, action="POST /devices", remote="192.0.2.7", result="0"
)


class Desk:
    """The audit over a memory store."""

    def __init__(self) -> None:
        self.house = House()
        self.events = self.house.events
        self.audit = AuditLog(
            writer=self.house.writer, reader=self.house.store, clock=self.house.clock, events=self.events
        )

    async def flush(self) -> int:
        return await self.house.do(self.audit.flush())

    async def stored(self) -> list[AuditEntry]:
        found = await self.house.store.list_audit(None, before_number=None, limit=10_000)
        return [each.entry for each in found]


@on_event_loop
async def test_calls_that_differ_in_nothing_but_their_moment_are_one_entry() -> None:
    """Until the next flush; it has the first one's moment."""
    desk = Desk()
    for later in range(1_000):
        desk.audit.record(replace(ENTRY, at=Instant(NOW + later)))
    desk.audit.record(replace(ENTRY, result="3"))

    assert await desk.flush() == 2
    assert await desk.flush() == 0
    assert await desk.stored() == [replace(ENTRY, result="3"), replace(ENTRY, times=1_000)]


@on_event_loop
async def test_a_flood_of_different_entries_is_counted_and_not_kept() -> None:
    """So much a second; how many were lost is an entry of its own."""
    desk = Desk()
    for number in range(HELD_MAX + 7):
        desk.audit.record(replace(ENTRY, remote=f"{number}"))
    desk.audit.record(replace(ENTRY, remote="0"))

    assert await desk.flush() == HELD_MAX + 1
    stored = await desk.stored()
    assert (stored[0].action, stored[0].times) == (LOST_ACTION, 7)
    assert stored[-1].times == 2
    assert desk.events.count("audit_entries_lost") == 1


@on_event_loop
async def test_an_overloaded_writer_loses_nothing() -> None:
    """What it cannot take now is held, together with what comes meanwhile."""
    desk = Desk()
    desk.house.writer.overloaded = {Priority.BEHIND}
    desk.audit.record(ENTRY)

    assert await desk.flush() == 0
    desk.audit.record(ENTRY)
    desk.house.writer.overloaded = set()
    assert await desk.flush() == 1
    assert await desk.stored() == [replace(ENTRY, times=2)]


@on_event_loop
async def test_a_list_has_what_was_recorded_a_moment_ago() -> None:
    """Whoever looks does not have to wait for a flush."""
    desk = Desk()
    desk.audit.record(ENTRY)

    found = await desk.house.do(desk.audit.list(ProductId(1), before_number=None, limit=10))
    assert list(found) == [StoredAuditEntry(number=1, entry=ENTRY)]
