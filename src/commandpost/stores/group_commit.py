"""The writer: facts from everywhere, in batches, each batch one transaction and one fsync.

A batch starts as soon as the writer is idle, with no delay to gather more: what comes while it runs is the next one.
Its size follows the measured time of a unit (Fact.units), so that a batch executes for about 5 ms. Source: design 4.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

from commandpost.domain.errors import CommandpostError, StoreUnavailable
from commandpost.domain.fact import Fact
from commandpost.domain.ports import Clock, EventSink, Scheduler, Timer
from commandpost.stores.commit_drivers import BatchDriver, BatchOutcome
from commandpost.stores.errors import StoreBroken
from commandpost.stores.write_queue import Batch, Otherwise, QueuedFact, Then, WriteQueue, WriterLimits

BATCH_TARGET_S: Final = 0.005  # design 4: what the loop may be held up by one batch, its fsync not counted
BATCH_UNITS_MIN: Final = 16
BATCH_UNITS_MAX: Final = 512
UNIT_COST_FIRST_S: Final = 0.000_1  # before anything was measured; too high is safe, it only makes first batches small
UNIT_COST_WEIGHT: Final = 0.2  # of the newest batch in the moving average

ResultT = TypeVar("ResultT")


class GroupCommit:
    """A StoreWriter over any BatchStore.

    Bounds: each class has its queue limit (WriterLimits). `submit` raises Overloaded when it is reached, and an ACCEPT
    also when the oldest has waited too long. What the caller does then: ACCEPT refuses its request, GATE answers
    nothing and sends nothing (the device or the caller tries again), BEHIND lets it be, because a later touch, sweep or
    log says the same.

    TouchSession is kept once per device, the newest, and NoteRead once per association; they are written within a
    budget of rows per second. One is guarded by its epoch, the other only raises a number, so their place among other
    facts does not matter.

    Fail-stop: after StoreBroken nothing is acknowledged, `submit` raises StoreUnavailable for ever, and `on_broken` is
    told once, so that the process ends.
    """

    def __init__(
        self,
        driver: BatchDriver,
        *,
        clock: Clock,
        scheduler: Scheduler,
        events: EventSink,
        on_broken: Callable[[StoreBroken], object],
        limits: WriterLimits | None = None,
        fsync_s: float = 0.0,
    ) -> None:
        """Make a writer that is idle.

        Args:
            fsync_s: what a commit costs whatever is in it (the median that the probe measured); it is not held
                against the size of a batch.
        """
        self._driver = driver
        self._clock = clock
        self._scheduler = scheduler
        self._events = events
        self._on_broken = on_broken
        self._fsync_s = fsync_s
        self._queue = WriteQueue(limits or WriterLimits())
        self._unit_cost_s = UNIT_COST_FIRST_S
        self._running: Batch | None = None
        self._is_scheduled = False
        self._touch_timer: Timer | None = None
        self._stopped: StoreUnavailable | None = None
        self._is_flushing = False
        self._idle_waiters: list[asyncio.Future[None]] = []

    @property
    def queued(self) -> int:
        """How many facts wait, those of the running batch included."""
        return len(self._queue) + (0 if self._running is None else len(self._running.facts))

    def submit(
        self,
        fact: Fact[ResultT],
        then: Callable[[ResultT], object] | None = None,
        otherwise: Callable[[CommandpostError], object] | None = None,
    ) -> None:
        """Queue a fact; `then` gets its result after the commit, `otherwise` the error if it could not be written.

        Facts of one priority are applied in order of submission; touches excepted (see the class).

        Raises:
            Overloaded: the class is full, or it is ACCEPT and the oldest has waited too long.
            StoreUnavailable: the writer has stopped.
        """
        if self._stopped is not None:
            raise StoreUnavailable(str(self._stopped)) from self._stopped
        self._queue.put(QueuedFact(fact=fact, submitted_at=self._clock.monotonic(), then=then, otherwise=otherwise))
        self._wake()

    async def perform(self, fact: Fact[ResultT]) -> ResultT:
        """Submit and wait. A caller that stops waiting does not take the fact back."""
        waiter: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()

        def resolve(result: ResultT) -> None:
            if not waiter.done():
                waiter.set_result(result)

        def reject(error: CommandpostError) -> None:
            if not waiter.done():
                waiter.set_exception(error)

        self.submit(fact, resolve, reject)
        return await waiter

    async def drain(self, *, timeout_s: float) -> bool:
        """Write everything that waits, touches too, whatever their budget; new facts are still taken.

        Returns:
            Whether the writer became idle within the time.
        """
        self._is_flushing = True
        try:
            self._wake()
            if self.queued == 0:
                return True
            idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle_waiters.append(idle)
            timer = self._scheduler.call_later(timeout_s, _resolve, idle)
            try:
                await idle
            finally:
                timer.cancel()
                if idle in self._idle_waiters:
                    self._idle_waiters.remove(idle)
            return self.queued == 0
        finally:
            self._is_flushing = False

    async def close(self, *, timeout_s: float) -> bool:
        """Take nothing more, write what waits, and stop; what is left after the time gets StoreUnavailable.

        The store itself stays open: it belongs to who made it.
        """
        if self._stopped is None:
            self._stopped = StoreUnavailable("the writer is stopping")
        is_drained = await self.drain(timeout_s=timeout_s)
        self._refuse(self._queue.take_all(), self._stopped)
        self._cancel_touch_timer()
        self._driver.stop()
        return is_drained

    def abandon(self) -> None:
        """Forget what waits and tell nobody, as a killed process would: how a simulated run crashes."""
        self._stopped = StoreUnavailable("the writer was abandoned")
        self._queue.take_all()
        self._cancel_touch_timer()

    def _wake(self) -> None:
        if self._is_scheduled or self._running is not None or not len(self._queue):
            return
        if self._queue.has_only_touches and not self._is_flushing:
            self._wake_for_touches()
            return
        self._is_scheduled = True
        self._scheduler.call_soon(self._start_batch)

    def _wake_for_touches(self) -> None:
        if self._touch_timer is None:
            delay = self._queue.touch_delay(self._clock.monotonic())
            self._touch_timer = self._scheduler.call_later(delay, self._start_touches)

    def _start_touches(self) -> None:
        self._touch_timer = None
        if not self._is_scheduled and self._running is None:
            self._start_batch()

    def _start_batch(self) -> None:
        self._is_scheduled = False
        if self._running is not None:
            return
        batch = self._queue.take(self._batch_units(), now=self._clock.monotonic(), is_flushing=self._is_flushing)
        if not batch.facts:
            self._wake()
            return
        self._running = batch
        self._driver.run([queued.fact for queued in batch.facts], self._batch_done)

    def _batch_units(self) -> int:
        return max(BATCH_UNITS_MIN, min(BATCH_UNITS_MAX, int(BATCH_TARGET_S / self._unit_cost_s)))

    def _batch_done(self, outcome: BatchOutcome, elapsed_s: float) -> None:
        batch = self._running
        assert batch is not None
        self._running = None
        if isinstance(outcome, StoreBroken):
            self._break(outcome, batch.facts)
            return
        self._measure(elapsed_s, batch.units)
        # Woken before the callbacks: what they submit joins the same next batch.
        self._wake()
        for queued, result in zip(batch.facts, outcome, strict=True):
            if isinstance(result, CommandpostError):
                self._refuse([queued], result)
            else:
                self._tell(queued, result)
        self._tell_idle()

    def _measure(self, elapsed_s: float, units: int) -> None:
        cost = max(elapsed_s - self._fsync_s, 0.0) / units
        self._unit_cost_s = max(1e-6, self._unit_cost_s + UNIT_COST_WEIGHT * (cost - self._unit_cost_s))

    def _break(self, error: StoreBroken, batch: list[QueuedFact]) -> None:
        self._stopped = error
        self._cancel_touch_timer()
        self._on_broken(error)
        self._refuse(batch, error)
        self._refuse(self._queue.take_all(), error)
        self._tell_idle()

    def _tell(self, queued: QueuedFact, result: object) -> None:
        for each in (*(queued.earlier or ()), queued):
            self._call(each.then, result, each)

    def _refuse(self, batch: list[QueuedFact], error: CommandpostError) -> None:
        for queued in batch:
            for each in (*(queued.earlier or ()), queued):
                self._call(each.otherwise, error, each)

    def _call(self, callback: Then | Otherwise | None, argument: Any, queued: QueuedFact) -> None:  # Any: see Then
        if callback is None:
            return
        try:
            callback(argument)
        except Exception as error:  # one callback's fault must not keep the others of its batch from their results
            self._events.emit("store_callback_failed", fact=type(queued.fact).__name__, error=repr(error))

    def _tell_idle(self) -> None:
        if self.queued == 0:
            for waiter in self._idle_waiters:
                _resolve(waiter)

    def _cancel_touch_timer(self) -> None:
        if self._touch_timer is not None:
            self._touch_timer.cancel()
            self._touch_timer = None


def _resolve(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
