"""Pruning: what goes after how long, and that a backlog is worked off without a rest."""

import asyncio

from commandpost.domain.audit import Actor, AppendAudit, AuditEntry
from commandpost.domain.device import KeyKind
from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import DAY_MS
from commandpost.domain.topic import QUEUED_MESSAGES_MAX, TopicSession
from commandpost.domain.topic_facts import KeepTopicSession
from commandpost.services.maintenance import Duty, Maintenance, Sweeper
from commandpost.services.retention import Retention, prunings
from commandpost.stores.data_rules import BINARIES_SLICE_MAX
from tests.conformance import data_builders as data
from tests.event_loop import on_event_loop
from tests.fakes.clock import NOW
from tests.fakes.ids import TellTale
from tests.unit.services.house import House, execute, house_with_device

ENTRY = AuditEntry(at=NOW, product_id=None, actor=Actor.MASTER, action="POST /devices", remote="192.0.2.7", result="0")


def sweeper(house: House, name: str, retention: Retention | None = None, *, interval_s: float = 60.0) -> Sweeper:
    """The duty of a name."""
    slice_at = prunings(retention or Retention())[name]
    return Sweeper(name, slice_at, writer=house.writer, clock=house.clock, interval_s=interval_s)


@on_event_loop
async def test_a_command_goes_after_the_retention() -> None:
    """NB 5.11: 180 days."""
    house, product, device = await house_with_device()
    command = await house.submit(product, device, execute(1))
    await house.do(house.commands.cancel(product, device, command.id))
    pruner = sweeper(house, "prune_commands")
    house.clock.advance(180 * DAY_MS / 1000)
    await house.do(pruner.tick())
    assert await house.store.find_command(command.id) is not None
    house.clock.advance(1)

    assert not await house.do(pruner.tick())
    assert await house.store.find_command(command.id) is None


@on_event_loop
async def test_audit_entries_and_replaced_keys_go_by_their_own_times() -> None:
    """A key's time is over when its overlap is."""
    house = House()
    product = (await house.do(house.products.create(name="p"))).product
    await house.do(house.products.keyring.rotate(product.id, KeyKind.MASTER, overlap_s=60))
    await house.do(house.writer.perform(AppendAudit(entries=(ENTRY,))))
    pruners = [sweeper(house, name, Retention(audit_ms=DAY_MS)) for name in ("prune_audit", "prune_old_keys")]

    left: list[tuple[int, int]] = []
    for seconds in (0, 61, 86_400):
        house.clock.advance(seconds)
        for pruner in pruners:
            assert not await house.do(pruner.tick())
        entries = await house.store.list_audit(None, before_number=None, limit=9)
        left.append((len(entries), len(await house.store.old_keys(product.id))))

    assert left == [(1, 1), (1, 0), (0, 0)]


@on_event_loop
async def test_more_binaries_than_a_slice_takes_go_without_a_rest() -> None:
    """A slice has fewer of them than of points, and is full all the same."""
    house, _, device = await house_with_device()
    house.store.apply([data.binary(device, number) for number in range(BINARIES_SLICE_MAX * 2 + 1)])
    house.clock.advance(3_600)

    pruner = sweeper(house, "prune_data", Retention(data_ms=1_000))
    ticks = [await house.do(pruner.tick()) for _ in range(3)]

    assert ticks == [True, True, False]
    assert await house.store.list_binaries(device.id, limit=9) == ()


@on_event_loop
async def test_expired_sessions_with_full_queues_go_without_a_rest() -> None:
    """A slice ends with one full queue, and says that there is more."""
    house, product, first = await house_with_device()
    second = await house.add_device(product, imei="860000000000002")
    for device in (first, second):
        session = TopicSession(device_id=device.id, product_id=product.id, expiry_s=1, left_at=NOW, subscriptions=())
        keep = data.keep(product.id, data.message(), device)
        house.store.apply([KeepTopicSession(session=session, starts_clean=True), *[keep] * QUEUED_MESSAGES_MAX])
    house.clock.advance(10)

    ticks = [await house.do(sweeper(house, "prune_topics").tick()) for _ in range(3)]

    assert ticks == [True, True, False]
    assert await house.store.list_topic_sessions(product.id, after=DeviceId(0), limit=9) == ()


class Counting(Duty):
    """Has more to do, so many times."""

    name = "counting"
    interval_s = 3_600.0

    def __init__(self, slices: int) -> None:
        self.left = slices
        self.is_done = asyncio.Event()

    async def tick(self) -> bool:
        self.left -= 1
        if not self.left:
            self.is_done.set()
        return self.left > 0


@on_event_loop
async def test_a_duty_that_has_more_to_do_does_not_rest() -> None:
    """Its interval is an hour: a rest would end the test."""
    duty = Counting(5)
    maintenance = Maintenance(duties=[duty], events=TellTale())

    maintenance.start()
    await asyncio.wait_for(duty.is_done.wait(), 5)
    await maintenance.stop()

    assert duty.left == 0
