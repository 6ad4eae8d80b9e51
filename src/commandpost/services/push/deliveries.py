"""The telling: events out of the outbox to their receivers, at least once, in order per device (P10).

One task looks at the outbox for what is new, and starts a bounded number of requests; each request is a task. An event
leaves the outbox only after its receiver has answered 200 and that is committed, so that a restart resumes from the
rows. Memory holds the queues that are known to hold something (receiver_lane), and a page of each that is being told.

Here: what is told when. Not here: who subscribed (subscriptions), and how a message looks and travels (the PushSender
port). Source: northbound reference 8.6; design 4 (outbox), 10.9.
"""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

from commandpost.domain.errors import CommandpostError, Overloaded
from commandpost.domain.facts import Fact
from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import SECOND_MS, Instant
from commandpost.domain.ports import Clock, EventSink, IdSource, SecretBox, StoreReader, StoreWriter
from commandpost.domain.push import REASON_CHARACTERS_MAX, rest_s
from commandpost.domain.push_facts import DropEvents, FailedQueue, RecordPushFailure, SettleEvents
from commandpost.domain.push_ports import (
    PushMessage,
    PushOutcome,
    PushReader,
    PushSender,
    WaitingEvent,
    WaitingPage,
)
from commandpost.services.push.messages import MadeMessages, MessageMaker
from commandpost.services.push.outbox_watch import OutboxWatch
from commandpost.services.push.receiver_lane import ReceiverLane
from commandpost.services.push.settings import (
    GIVE_UP_SLICE,
    PAGE_BYTES_MAX,
    PAGE_EVENTS,
    PAUSE_S,
    PushSettings,
)

ResultT = TypeVar("ResultT")


class Deliveries:
    """See the module."""

    def __init__(
        self,
        *,
        writer: StoreWriter,
        reader: PushReader,
        commands: StoreReader,
        sender: PushSender,
        secrets: SecretBox,
        ids: IdSource,
        clock: Clock,
        events: EventSink,
        settings: PushSettings,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._sender = sender
        self._ids = ids
        self._clock = clock
        self._events = events
        self._settings = settings
        self._maker = MessageMaker(reader=reader, commands=commands)
        self._watch = OutboxWatch(reader=reader, secrets=secrets, clock=clock, events=events)
        self._open = 0
        self._is_stale = True
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._requests: dict[asyncio.Task[None], None] = {}

    # --- running -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin; what waits on disk is found by itself."""
        assert self._task is None, "deliveries run already"
        self._task = asyncio.get_running_loop().create_task(self._run(), name="push")

    async def stop(self) -> None:
        """End; what was not accepted and committed is told again after the next start."""
        tasks = [*self._requests, *([] if self._task is None else [self._task])]
        self._task = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._sender.close()

    def refresh(self) -> None:
        """Subscriptions have changed: look at them before anything else is told."""
        self._is_stale = True
        self._wake.set()

    async def _run(self) -> None:
        while True:
            if not self._is_stale:
                await self._wait()
            try:
                await self._look()
            except CommandpostError as error:
                self._events.emit("push_failed", error=error.code)
                await asyncio.sleep(PAUSE_S)
            except Exception as error:  # the task's top: a fault of ours must not end all pushing
                self._events.emit("push_failed", error=repr(error))
                await asyncio.sleep(PAUSE_S)

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            # Without a subscription there is nothing to look for, and no tick.
            async with asyncio.timeout(self._settings.poll_s if self._watch.lanes else None):
                await self._wake.wait()
        self._wake.clear()

    async def _look(self) -> None:
        if self._is_stale:
            self._is_stale = False
            try:
                await self._watch.load_lanes()
            except BaseException:
                self._is_stale = True
                raise
        await self._watch.find_news()
        now = self._clock.monotonic()
        for lane in list(self._watch.lanes.values()):
            lane.wake_rested(now=now)
            if lane.is_behind and await self._watch.sweep(lane):
                self._wake.set()
            self._pump(lane)

    # --- requests ----------------------------------------------------------------------------------------------------

    def _pump(self, lane: ReceiverLane) -> None:
        """Start the requests that may go to a receiver now."""
        probes_max = max(1, self._settings.requests_per_subscription_max // 2)
        while self._may_open(lane):
            turn = lane.take(probes_max=probes_max)
            if turn is not None:
                device_id, has_failed = turn
                self._request(lane, self._tell_queue(lane, device_id, has_failed=has_failed))
            elif lane.is_batch_due(now=self._clock.monotonic()):
                self._request(lane, self._tell_batch(lane))
                # The batch takes its queues when it begins: only then is it known what is left for another.
                return
            else:
                return

    def _may_open(self, lane: ReceiverLane) -> bool:
        """Whether another request may go to a receiver: within its bound and that of all.

        Receivers that do nothing but fail share half of all places, and each may have one request open whatever the
        others do: so the dead cannot keep the living waiting.
        """
        if lane.is_removed or self._task is None or lane.open >= self._settings.requests_per_subscription_max:
            return False
        if not lane.may_ask(now=self._clock.monotonic()):
            return False
        if lane.open == 0:
            return True
        if lane.is_well:
            return self._open < self._settings.requests_max
        unwell = sum(each.open for each in self._watch.lanes.values() if not each.is_well)
        return self._open < self._settings.requests_max and unwell < self._settings.requests_max // 2

    def _request(self, lane: ReceiverLane, work: Coroutine[None, None, None]) -> None:
        lane.open += 1
        lane.note_asked(now=self._clock.monotonic())
        self._open += 1
        task = asyncio.get_running_loop().create_task(work, name=f"push-{lane.id}")
        self._requests[task] = None

        def ended(_task: asyncio.Task[None]) -> None:
            self._requests.pop(task, None)
            lane.open -= 1
            self._open -= 1
            if not task.cancelled() and (error := task.exception()) is not None:
                self._events.emit("task_failed", task=task.get_name(), error=repr(error))
            self._pump(lane)
            # A place that is free may be another's turn.
            if self._open == self._settings.requests_max - 1:
                self._wake.set()

        task.add_done_callback(ended)

    async def _tell_queue(self, lane: ReceiverLane, device_id: DeviceId, *, has_failed: bool) -> None:
        """Tell a page of a queue, one event after the other; after a failure its head alone."""
        taken = [device_id]
        with self._turns(lane, taken):
            limit = 1 if has_failed else PAGE_EVENTS
            page = await self._reader.waiting_events(lane.id, device_id, limit=limit, bytes_max=PAGE_BYTES_MAX)
            if not page.events:
                lane.emptied(device_id)
                return
            made = await self._make(lane, page)
            for waiting, message in made.messages:
                # Waited for one by one, so that a crash repeats one event of a queue at most.
                if lane.is_removed or not await self._tell(lane, [(waiting, message)]):
                    break

    async def _tell_batch(self, lane: ReceiverLane) -> None:
        """Tell events of several queues in one request, each queue's in order."""
        taken: list[DeviceId] = []
        with self._turns(lane, taken):
            batch = await self._fill_batch(lane, taken)
            self._pump(lane)
            if batch:
                await self._tell(lane, batch)

    @contextmanager
    def _turns(self, lane: ReceiverLane, taken: list[DeviceId]) -> Iterator[None]:
        """See to it that the turns of queues end, however their telling does."""
        try:
            yield
        except BaseException as error:
            for device_id in filter(lane.is_open, taken):
                lane.pauses(device_id, until=self._clock.monotonic() + PAUSE_S)
            if not isinstance(error, CommandpostError):
                raise
            # The store does not answer: what was to be told stays, and is tried again.
            self._events.emit("push_failed", subscription_id=lane.id, error=error.code)
        else:
            for device_id in filter(lane.is_open, taken):
                lane.goes_on(device_id)

    async def _tell(self, lane: ReceiverLane, batch: Sequence[tuple[WaitingEvent, PushMessage]]) -> bool:
        """Make one request, and write what became of it; gives whether it was accepted."""
        events = [waiting for waiting, _ in batch]
        outcome = await self._push(lane, [message for _, message in batch])
        if outcome.is_accepted:
            await self._settle(lane, events)
        else:
            await self._record_failure(lane, events, outcome.reason)
        return outcome.is_accepted

    async def _fill_batch(self, lane: ReceiverLane, taken: list[DeviceId]) -> list[tuple[WaitingEvent, PushMessage]]:
        """Take queues, and give their first events until the batch is full."""
        count_max = 1 if lane.subscription.batch is None else lane.subscription.batch.count
        filled: list[tuple[WaitingEvent, PushMessage]] = []
        left_since: Instant | None = None
        size = 0
        while len(filled) < count_max and size < PAGE_BYTES_MAX:
            device_id = lane.take_for_batch()
            if device_id is None:
                break
            taken.append(device_id)
            page = await self._reader.waiting_events(
                lane.id, device_id, limit=count_max - len(filled), bytes_max=PAGE_BYTES_MAX - size
            )
            made = await self._make(lane, page) if page.events else MadeMessages()
            if not page.events:
                lane.emptied(device_id)
            if not lane.is_open(device_id):
                # It may be another request's soon.
                taken.remove(device_id)
            filled += made.messages
            size += sum(len(waiting.event.value or "") for waiting, _ in made.messages)
            if made.left_since is not None:
                left_since = made.left_since if left_since is None else min(left_since, made.left_since)
        since = None if left_since is None else self._clock.monotonic() - self._age_s(left_since)
        lane.batch_taken(len(filled), waiting_since=since)
        return filled

    def _age_s(self, told_at: Instant) -> float:
        return max(0, self._clock.wall_ms() - told_at) / SECOND_MS

    async def _make(self, lane: ReceiverLane, page: WaitingPage) -> MadeMessages:
        """Make a page's messages; drop what is gone, and let an event fail of which none can be made."""
        made = await self._maker.make(lane.id, page)
        if made.gone:
            await self._write(DropEvents(subscription_id=lane.id, seqs=made.gone))
        if made.unmade is not None:
            await self._record_failure(lane, [made.unmade.waiting], made.unmade.reason)
        return made

    async def _push(self, lane: ReceiverLane, messages: Sequence[PushMessage]) -> PushOutcome:
        is_array = lane.subscription.batch is not None
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                outcome = await self._sender.push(lane.target, messages, is_array=is_array)
        except TimeoutError:
            outcome = PushOutcome(is_accepted=False, reason=f"no answer within {self._settings.timeout_s:g} s")
        except Exception as error:  # a sender that breaks its word is a failure like any other: the event stays
            self._events.emit("push_sender_failed", subscription_id=lane.id, error=type(error).__name__)
            outcome = PushOutcome(is_accepted=False, reason="the request could not be made")
        if outcome.is_accepted:
            lane.note_accepted()
        else:
            lane.note_failed()
        return outcome

    # --- what became of it -------------------------------------------------------------------------------------------

    async def _settle(self, lane: ReceiverLane, events: Sequence[WaitingEvent]) -> None:
        told = [waiting.event for waiting in events]
        device_ids = tuple(dict.fromkeys(event.device_id for event in told))
        fact = SettleEvents(
            subscription_id=lane.id,
            seqs=tuple(event.seq for event in told if event.command_id is None),
            command_seqs=tuple(event.seq for event in told if event.command_id is not None),
            device_ids=device_ids,
            at=self._clock.wall_ms(),
        )
        await self._write(fact)
        for device_id in device_ids:
            lane.is_well_again(device_id)

    async def _record_failure(self, lane: ReceiverLane, events: Sequence[WaitingEvent], reason: str) -> None:
        fact = RecordPushFailure(
            subscription_id=lane.id,
            seqs=tuple(waiting.event.seq for waiting in events),
            at=self._clock.wall_ms(),
            reason=reason[:REASON_CHARACTERS_MAX],
            rule=self._settings.give_up,
            give_up_max=GIVE_UP_SLICE,
            unit=self._ids.random_unit(),
        )
        for failed in await self._write(fact):
            self._note_failure(lane, failed, reason)

    def _note_failure(self, lane: ReceiverLane, failed: FailedQueue, reason: str) -> None:
        trouble = failed.trouble
        if trouble.failures == 1 or failed.given_up:
            # Once when it begins and whenever something is given up; each failure in between would flood the log.
            self._events.emit(
                "push_given_up" if failed.given_up else "push_refused",
                subscription_id=lane.id,
                device_id=trouble.device_id,
                failures=trouble.failures,
                given_up=failed.given_up,
                reason=reason,
            )
        now = self._clock.monotonic()
        until = now + rest_s(trouble.due_at, now=self._clock.wall_ms())
        lane.failed(trouble.device_id, failures=trouble.failures, until=until, now=now)

    async def _write(self, fact: Fact[ResultT]) -> ResultT:
        """Write a fact; while the writer has better things to do, wait: what was told stays told."""
        while True:
            try:
                return await self._writer.perform(fact)
            except Overloaded:
                await asyncio.sleep(PAUSE_S)
