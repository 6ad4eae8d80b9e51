"""The writer: order, priorities, bounds, coalescing, fail-stop and the way out."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from commandpost.domain.audit import Actor, AppendAudit, AuditEntry, PruneAudit
from commandpost.domain.dtls_association import NoteRead, ReadMark
from commandpost.domain.errors import Overloaded, StoreUnavailable
from commandpost.domain.facts import AcceptCommand, CancelAll, ExpireDue, Fact, PruneOldKeys
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.payload_facts import NoteHeard
from commandpost.domain.ports import StoreWriter
from commandpost.domain.push import GiveUpRule
from commandpost.domain.push_facts import (
    DropEvents,
    PrunePushes,
    RecordPushFailure,
    ReplayFailures,
    SettleEvents,
    TellSilences,
)
from commandpost.domain.resource import DiscoveredObject
from commandpost.domain.session import Remote
from commandpost.domain.session_facts import KeepIdentity, KeepResources, TouchSession
from commandpost.stores.batch_store import FactOutcome
from commandpost.stores.commit_drivers import DriverKind, InlineDriver, ThreadDriver, choose_driver
from commandpost.stores.errors import StoreBroken
from commandpost.stores.group_commit import BATCH_UNITS_MAX, BATCH_UNITS_MIN, GroupCommit
from commandpost.stores.memory import MemoryStore
from commandpost.stores.write_queue import WriterLimits
from tests.conformance import data_builders as data
from tests.conformance import store_builders as build
from tests.unit.stores.fakes import CountingStore, EventLog, FakeClock, FakeScheduler, Outcomes

ROWS = tuple(range(1_000))
ENTRY = AuditEntry(at=build.T0, product_id=None, actor=Actor.NOBODY, action="a", remote="", result="0")
FAILURE = RecordPushFailure(
    subscription_id=1, seqs=(1,), at=build.T0, reason="http 500", rule=GiveUpRule(), give_up_max=1_000
)


def gate(number: int) -> CancelAll:
    """A fact that gates a reply."""
    return CancelAll(device_id=DeviceId(number), at=build.T0)


def accept(number: int) -> AcceptCommand:
    """A new command."""
    return build.accept(build.device(ProductId(1), device_id=1), number)


def behind(number: int) -> KeepIdentity:
    """A fact nobody waits for."""
    return KeepIdentity(device_id=DeviceId(number), manufacturer="", model="")


def touch(device: int, heard: int = 0) -> TouchSession:
    """An uplink to be written behind."""
    return TouchSession(
        device_id=DeviceId(device),
        epoch=1,
        remote=Remote(b"r"),
        last_heard_at=build.at(heard),
        deadline=build.at(heard + 1),
    )


class Bench:
    """A writer over a counting store, on a clock that stands still."""

    def __init__(self, limits: WriterLimits | None = None, *, unit_cost_s: float = 0.0) -> None:
        self.clock = FakeClock()
        self.scheduler = FakeScheduler(self.clock)
        self.store = CountingStore(self.clock, unit_cost_s=unit_cost_s)
        self.events = EventLog()
        self.broken: list[StoreBroken] = []
        self.writer = GroupCommit(
            InlineDriver(self.store, monotonic=self.clock.monotonic),
            clock=self.clock,
            scheduler=self.scheduler,
            events=self.events,
            on_broken=self.broken.append,
            limits=limits,
        )
        self.outcomes = Outcomes()

    def submit(self, *facts: Fact[Any]) -> None:
        for fact in facts:
            self.writer.submit(fact, self.outcomes.then, self.outcomes.otherwise)


class TestBatches:
    def test_nothing_happens_inside_submit(self) -> None:
        bench = Bench()

        bench.submit(gate(1))

        assert bench.store.batches == []
        assert bench.outcomes.results == []

    def test_an_idle_writer_starts_without_waiting_for_more(self) -> None:
        bench = Bench()
        bench.submit(gate(1))

        bench.scheduler.run_soon()

        assert bench.store.batches == [[gate(1)]]
        assert bench.outcomes.results == [1]
        assert bench.scheduler.pending == 0

    def test_what_comes_before_the_batch_starts_is_in_it(self) -> None:
        bench = Bench()
        bench.submit(gate(1), gate(2), gate(3))

        bench.scheduler.run_soon()

        assert bench.store.batches == [[gate(1), gate(2), gate(3)]]
        assert bench.outcomes.results == [1, 2, 3]

    def test_classes_go_by_rank_and_each_in_order(self) -> None:
        bench = Bench()
        bench.submit(behind(1), accept(2), gate(3), touch(4), behind(5), accept(6), gate(7))

        bench.scheduler.run_soon()

        expected = [gate(3), gate(7), accept(2), accept(6), behind(1), behind(5), touch(4)]
        assert bench.store.batches == [expected]

    def test_what_a_callback_submits_is_in_the_next_batch(self) -> None:
        bench = Bench()
        bench.writer.submit(gate(1), lambda _: bench.submit(gate(2)))

        bench.scheduler.run_soon()

        assert bench.store.batches == [[gate(1)], [gate(2)]]

    def test_a_bad_fact_is_told_to_its_submitter_alone(self) -> None:
        bench = Bench()
        bench.store.bad.append(gate(2))
        bench.submit(gate(1), gate(2), gate(3))

        bench.scheduler.run_soon()

        assert bench.outcomes.results == [1, 3]
        assert len(bench.outcomes.errors) == 1

    def test_a_callback_that_fails_keeps_nobody_from_his_result(self) -> None:
        bench = Bench()

        def fail(result: object) -> None:
            raise RuntimeError("a fault of ours")

        bench.writer.submit(gate(1), fail)
        bench.submit(gate(2))
        bench.scheduler.run_soon()

        assert bench.outcomes.results == [2]
        assert [name for name, _ in bench.events.events] == ["store_callback_failed"]

    def test_batches_shrink_when_facts_are_dear(self) -> None:
        bench = Bench(unit_cost_s=0.01)
        bench.submit(*(gate(number) for number in range(500)))

        bench.scheduler.run_soon()

        assert len(bench.store.batches[-2]) == BATCH_UNITS_MIN
        assert len(bench.store.facts) == 500

    def test_batches_grow_when_facts_are_cheap_but_not_for_ever(self) -> None:
        bench = Bench()
        for _ in range(20):
            bench.submit(gate(1))
            bench.scheduler.run_soon()

        bench.submit(*(gate(number) for number in range(2_000)))
        bench.scheduler.run_soon()

        assert max(len(batch) for batch in bench.store.batches) == BATCH_UNITS_MAX

    def test_batches_stay_as_long_as_they_were_after_facts_that_weigh_much(self) -> None:
        """A unit is what is measured, whatever number of facts it was."""
        bench = Bench(unit_cost_s=0.000_025)
        for _ in range(20):
            bench.submit(ExpireDue(now=build.T0, limit=500))
            bench.scheduler.run_soon()

        bench.submit(*(gate(number) for number in range(1_000)))
        bench.scheduler.run_soon()

        assert 180 <= len(bench.store.batches[20]) <= 200

    @pytest.mark.parametrize(
        "heavy",
        [
            SettleEvents(subscription_id=1, seqs=ROWS, command_seqs=(), device_ids=(), at=build.T0),
            SettleEvents(subscription_id=1, seqs=(), command_seqs=ROWS, device_ids=(), at=build.T0),
            DropEvents(subscription_id=1, seqs=ROWS),
            FAILURE,
            ReplayFailures(product_id=ProductId(1), subscription_id=1, last_id=9, at=build.T0, limit=1_000),
            PrunePushes(given_up_before=build.T0, limit=1_000),
            TellSilences(now=build.T0, limit=1_000),
            PruneAudit(before=build.T0, rows_max=9, limit=1_000),
            PruneOldKeys(expired_before=build.T0, limit=1_000),
            AppendAudit(entries=(ENTRY,) * 1_000),
            replace(data.binary(build.device(ProductId(1), device_id=1), 1), payload=bytes(3_000_000)),
            KeepResources(device_id=DeviceId(1), objects=(DiscoveredObject(object_id=3, instances=()),) * 1_000),
        ],
        ids=lambda fact: type(fact).__name__,
    )
    def test_what_writes_much_fills_a_batch(self, heavy: Fact[Any]) -> None:
        """So that nothing else waits for it but in its own turn."""
        bench = Bench()
        bench.submit(heavy, heavy, behind(1))

        bench.scheduler.run_soon()

        assert bench.store.batches == [[heavy], [heavy], [behind(1)]]

    def test_a_sweep_weighs_as_many_facts(self) -> None:
        bench = Bench()
        sweep = ExpireDue(now=build.T0, limit=500)
        bench.submit(sweep, sweep, behind(1))

        bench.scheduler.run_soon()

        assert bench.store.batches == [[sweep], [sweep], [behind(1)]]

    def test_a_report_weighs_by_its_points_and_a_message_by_its_receivers(self) -> None:
        device = build.device(ProductId(1), None, device_id=1)
        bench = Bench()
        report = data.add(device, *[data.point("t", at) for at in range(1_000)])
        message = data.keep(ProductId(1), data.message(), *[device] * 1_000)
        bench.submit(report, message, gate(1))

        bench.scheduler.run_soon()

        assert bench.store.batches == [[report], [message], [gate(1)]]


class TestElders:
    def test_work_behind_gets_its_share_when_gates_never_end(self) -> None:
        bench = Bench(unit_cost_s=0.001)
        bench.submit(behind(1), touch(2))
        bench.submit(*(gate(number) for number in range(3_000)))

        bench.scheduler.run_soon()

        order = bench.store.facts
        assert 900 < order.index(behind(1)) < 1_300
        assert 900 < order.index(touch(2)) < 1_300
        assert order[-1] == gate(2_999)

    def test_a_chatty_device_does_not_put_its_own_row_off(self) -> None:
        bench = Bench()
        bench.submit(touch(1, 0))
        bench.clock.now += 0.9
        bench.submit(touch(1, 1))
        bench.clock.now += 0.2
        bench.submit(gate(1))

        bench.scheduler.run_soon()

        assert bench.store.facts == [touch(1, 1), gate(1)]

    def test_accepts_get_their_share_when_gates_never_end(self) -> None:
        bench = Bench(unit_cost_s=0.001)
        bench.submit(accept(1))
        bench.submit(*(gate(number) for number in range(3_000)))

        bench.scheduler.run_soon()

        assert 200 < bench.store.facts.index(accept(1)) < 400


class TestBounds:
    def test_an_accept_is_refused_when_the_oldest_has_waited_too_long(self) -> None:
        bench = Bench()
        bench.submit(accept(1))
        bench.clock.now += 0.25
        bench.submit(accept(2))
        bench.clock.now += 0.001

        with pytest.raises(Overloaded, match=r"0\.25 s"):
            bench.submit(accept(3))
        bench.submit(gate(4), behind(5))
        bench.scheduler.run_soon()
        bench.submit(accept(6))

        assert accept(3) not in bench.store.facts

    @pytest.mark.parametrize("make", [gate, accept, behind, touch])
    def test_every_class_has_a_bound(self, make: Any) -> None:
        bench = Bench(WriterLimits(gate_max=3, accept_max=3, behind_max=3, touches_max=3))
        bench.submit(*(make(number) for number in (1, 2, 3)))

        with pytest.raises(Overloaded, match="3"):
            bench.submit(make(4))

        bench.scheduler.run_for(1)
        assert len(bench.outcomes.results) == 3
        bench.submit(make(4))


class TestTouches:
    def test_the_newest_of_a_device_is_written_once(self) -> None:
        bench = Bench()
        bench.submit(touch(1, 10), touch(2, 20), touch(1, 30))

        bench.scheduler.run_for(1)

        assert bench.store.facts == [touch(1, 30), touch(2, 20)]
        assert bench.outcomes.results == [1, 1, 2]

    def test_an_association_is_noted_once_and_in_its_turn(self) -> None:
        """As every touch: behind all other work, and within the budget of rows."""
        bench = Bench()
        first, newer, another = (
            NoteRead(mark=ReadMark(remote=Remote(name), read_next=number, at=build.T0))
            for name, number in ((b"\x80a", 1), (b"\x80a", 2), (b"\x80b", 3))
        )
        bench.submit(first, touch(1), another, newer, gate(1))

        bench.scheduler.run_for(1)

        assert bench.store.facts == [gate(1), newer, touch(1), another]

    def test_a_connected_device_is_noted_once_too(self) -> None:
        bench = Bench()
        notes = [NoteHeard(device_id=DeviceId(1), epoch=1, last_heard_at=build.at(heard)) for heard in (10, 30)]
        bench.submit(*notes)

        bench.scheduler.run_for(1)

        assert bench.store.facts == [notes[1]]
        assert bench.outcomes.results == [1, 1]

    def test_the_budget_spreads_them(self) -> None:
        bench = Bench(WriterLimits(touches_per_s=100, touches_burst=10))
        bench.submit(*(touch(number) for number in range(1_000)))

        bench.scheduler.run_for(1.0)
        after_one = len(bench.store.facts)
        bench.scheduler.run_for(2.0)

        assert 90 <= after_one <= 112
        assert 290 <= len(bench.store.facts) <= 312

    def test_the_budget_does_not_hold_up_the_others(self) -> None:
        bench = Bench(WriterLimits(touches_per_s=1, touches_burst=1))
        bench.submit(touch(1), touch(2), touch(3), gate(4))

        bench.scheduler.run_soon()

        assert bench.store.facts == [gate(4), touch(1)]

    def test_a_touch_replaced_without_end_is_refused_when_many_wait_for_it(self) -> None:
        bench = Bench()
        with pytest.raises(Overloaded):
            bench.submit(*(touch(1, heard) for heard in range(1_000)))


class TestFailStop:
    def broken(self) -> Bench:
        bench = Bench()
        bench.store.broken = StoreBroken("the disk is gone")
        bench.submit(gate(1))
        bench.submit(*(accept(number) for number in range(600)))
        bench.submit(touch(5))
        bench.scheduler.run_for(10)
        return bench

    def test_nothing_is_acknowledged_and_all_are_told(self) -> None:
        bench = self.broken()

        assert bench.outcomes.results == []
        assert len(bench.outcomes.errors) == 602
        assert all(isinstance(error, StoreUnavailable) for error in bench.outcomes.errors)

    def test_the_process_is_told_once_and_nothing_is_tried_again(self) -> None:
        bench = self.broken()
        bench.store.broken = None

        for make in (gate, accept, behind, touch):
            with pytest.raises(StoreUnavailable, match="the disk is gone"):
                bench.submit(make(9))
        bench.scheduler.run_for(10)

        assert len(bench.broken) == 1
        assert bench.store.batches == []

    def test_a_store_that_fails_in_its_own_way_is_broken_too(self) -> None:
        class Faulty:
            def apply(self, facts: Sequence[Fact[Any]]) -> list[FactOutcome]:
                raise MemoryError("no more")

        broken: list[StoreBroken] = []
        clock = FakeClock()
        scheduler = FakeScheduler(clock)
        writer = GroupCommit(
            InlineDriver(Faulty(), monotonic=clock.monotonic),
            clock=clock,
            scheduler=scheduler,
            events=EventLog(),
            on_broken=broken.append,
        )
        writer.submit(gate(1))
        scheduler.run_soon()

        assert [str(error) for error in broken] == ["the store failed: no more"]


class TestDrain:
    def test_touches_are_flushed_whatever_their_budget(self) -> None:
        bench = Bench(WriterLimits(touches_per_s=0.001, touches_burst=1))
        bench.submit(*(touch(number) for number in range(2_000)), gate(1))

        async def drain() -> bool:
            waiting = asyncio.create_task(bench.writer.drain(timeout_s=1))
            await asyncio.sleep(0)
            bench.scheduler.run_soon()
            return await waiting

        assert asyncio.run(drain()) is True
        assert len(bench.store.facts) == 2_001

    def test_an_idle_writer_drains_at_once(self) -> None:
        bench = Bench()

        assert asyncio.run(bench.writer.drain(timeout_s=1)) is True

    def test_close_gives_up_at_its_deadline_and_says_so(self) -> None:
        bench = Bench()
        bench.submit(gate(1))

        async def close() -> bool:
            closing = asyncio.create_task(bench.writer.close(timeout_s=3))
            await asyncio.sleep(0)
            # The batch never gets its turn; only the deadline's timer fires.
            for timer in bench.scheduler._later:
                timer.callback()
            return await closing

        assert asyncio.run(close()) is False
        assert len(bench.outcomes.errors) == 1

    def test_a_closed_writer_takes_nothing(self) -> None:
        bench = Bench()
        bench.submit(gate(1))

        async def close() -> bool:
            closing = asyncio.create_task(bench.writer.close(timeout_s=3))
            await asyncio.sleep(0)
            with pytest.raises(StoreUnavailable, match="stopping"):
                bench.submit(gate(2))
            bench.scheduler.run_soon()
            return await closing

        assert asyncio.run(close()) is True
        assert bench.store.facts == [gate(1)]
        assert bench.outcomes.results == [1]


def test_an_abandoned_writer_writes_nothing_and_tells_nobody() -> None:
    bench = Bench()
    bench.submit(gate(1), accept(2), behind(3), touch(4))

    bench.writer.abandon()
    bench.scheduler.run_for(10)

    assert bench.store.batches == []
    assert (bench.outcomes.results, bench.outcomes.errors) == ([], [])
    with pytest.raises(StoreUnavailable, match="abandoned"):
        bench.submit(gate(5))


class LoopClock:
    """The running loop's own time."""

    def wall_ms(self) -> Instant:
        return build.T0

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


@pytest.mark.parametrize("kind", list(DriverKind))
def test_either_driver_answers_who_waits_on_the_loops_own_thread(kind: DriverKind) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        store = MemoryStore()
        driver = (
            InlineDriver(store, monotonic=loop.time)
            if kind is DriverKind.INLINE
            else ThreadDriver(store, monotonic=loop.time, loop=loop)
        )
        writer = GroupCommit(driver, clock=LoopClock(), scheduler=loop, events=EventLog(), on_broken=lambda error: None)
        port: StoreWriter = writer
        threads: list[int] = []
        port.submit(gate(1), lambda _: threads.append(threading.get_ident()))

        results = await asyncio.gather(*(writer.perform(gate(number)) for number in range(100)))
        with pytest.raises(StoreUnavailable):
            await writer.perform(Fact())
        waiting = asyncio.ensure_future(writer.perform(gate(1)))
        await asyncio.sleep(0)
        waiting.cancel()
        is_drained = await writer.close(timeout_s=5)

        assert results == [()] * 100
        assert threads == [threading.get_ident()]
        assert is_drained

    asyncio.run(scenario())


def test_the_thread_driver_reports_a_broken_store() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        store = CountingStore()
        store.broken = StoreBroken("gone")
        broken: list[StoreBroken] = []
        writer = GroupCommit(
            ThreadDriver(store, monotonic=loop.time, loop=loop),
            clock=LoopClock(),
            scheduler=loop,
            events=EventLog(),
            on_broken=broken.append,
        )

        with pytest.raises(StoreBroken):
            await writer.perform(gate(1))
        await writer.close(timeout_s=1)

        assert broken == [store.broken]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("fsync_s", "kind"),
    [(0.0, DriverKind.INLINE), (0.003, DriverKind.INLINE), (0.0031, DriverKind.THREAD), (0.03, DriverKind.THREAD)],
)
def test_a_slow_disk_gets_the_thread(fsync_s: float, kind: DriverKind) -> None:
    assert choose_driver(fsync_s) is kind
