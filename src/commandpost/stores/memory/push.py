"""Facts about subscriptions and deliveries, in memory, and the questions about them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from commandpost.domain.events import OutboxEvent
from commandpost.domain.fact import Swept
from commandpost.domain.ids import CommandId, DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.push import (
    FEEDBACKS_MAX,
    Feedback,
    PushFailure,
    QueueTrouble,
    Subscription,
    after_failure,
    after_giving_up,
)
from commandpost.domain.push_facts import (
    AddSubscription,
    DropEvents,
    FailedQueue,
    NotSubscribed,
    PrunePushes,
    RecordPushFailure,
    RemoveSubscription,
    ReplayFailures,
    SettleEvents,
)
from commandpost.domain.push_ports import ToldEvent, WaitingEvent, WaitingPage, WaitingQueue
from commandpost.stores.batch_store import SLICE_ROWS_MAX, FactHandlers
from commandpost.stores.memory.questions import Questions
from commandpost.stores.memory.state import MemoryState


class PushFacts:
    """Applies the facts about subscriptions and deliveries to a state."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def handlers(self) -> FactHandlers:
        """Which method applies which fact."""
        return {
            AddSubscription: self._add,
            RemoveSubscription: self._remove,
            SettleEvents: self._settle,
            RecordPushFailure: self._record_failure,
            DropEvents: self._drop,
            ReplayFailures: self._replay,
            PrunePushes: self._prune,
        }

    def forget_device(self, device_id: DeviceId) -> None:
        """Forget what was to be told of a device that is deleted, and what triggers remember of it."""
        self._state.push.forget_device(device_id)

    def _add(self, fact: AddSubscription) -> Subscription | NotSubscribed:
        product_id = fact.subscription.product_id
        if product_id not in self._state.products:
            return NotSubscribed.PRODUCT_GONE
        added = [each for each in self._state.push.subscriptions.values() if each.product_id == product_id]
        if sum(bool(each.kinds) for each in added) >= fact.subscriptions_max:
            return NotSubscribed.TOO_MANY
        return self._state.push.insert_subscription(fact.subscription)

    def _remove(self, fact: RemoveSubscription) -> bool:
        found = self._state.push.subscriptions.get(fact.subscription_id)
        if found is None or found.product_id != fact.product_id or not found.kinds:
            return False
        self._state.push.drop_subscription(found.id)
        return True

    def _settle(self, fact: SettleEvents) -> None:
        self._take(fact.subscription_id, fact.seqs)
        for event in self._take(fact.subscription_id, fact.command_seqs):
            self._note(event.command_id, fact.at, is_accepted=True)
        for device_id in fact.device_ids:
            self._state.push.queues.pop((fact.subscription_id, device_id), None)

    def _drop(self, fact: DropEvents) -> None:
        self._take(fact.subscription_id, fact.seqs)

    def _take(self, subscription_id: int, seqs: Sequence[int]) -> list[OutboxEvent]:
        found = [event for seq in seqs if (event := self._find(subscription_id, seq)) is not None]
        for event in found:
            del self._state.push.events[event.seq]
        return found

    def _record_failure(self, fact: RecordPushFailure) -> tuple[FailedQueue, ...]:
        heads: dict[DeviceId, OutboxEvent] = {}
        for seq in fact.seqs:
            event = self._find(fact.subscription_id, seq)
            if event is not None:
                self._note(event.command_id, fact.at, is_accepted=False)
                heads.setdefault(event.device_id, event)
        # The heads are counted beforehand: each of them may have to go.
        others_max = max(0, min(fact.give_up_max, SLICE_ROWS_MAX) - len(heads))
        failed: list[FailedQueue] = []
        for place, head in enumerate(heads.values()):
            unit = (fact.unit + place / len(heads)) % 1.0
            queue = self._count_failure(fact, head, unit=unit, others_max=others_max)
            others_max -= max(0, queue.given_up - 1)
            failed.append(queue)
        return tuple(failed)

    def _count_failure(
        self, fact: RecordPushFailure, head: OutboxEvent, *, unit: float, others_max: int
    ) -> FailedQueue:
        place = fact.subscription_id, head.device_id
        before = self._state.push.queues.get(place)
        trouble = after_failure(before, device_id=head.device_id, head_seq=head.seq, now=fact.at, unit=unit)
        count = self._give_up(fact, trouble, head, others_max)
        if count:
            trouble = after_giving_up(trouble, count, now=fact.at)
        self._state.push.queues[place] = trouble
        return FailedQueue(trouble=trouble, given_up=count)

    def _give_up(self, fact: RecordPushFailure, trouble: QueueTrouble, head: OutboxEvent, others_max: int) -> int:
        since, now = trouble.failing_since, fact.at
        if not fact.rule.is_given_up(
            head_failures=trouble.head_failures, failing_since=since, told_at=head.told_at, now=now
        ):
            return 0
        self._move(fact, trouble, head, failures=trouble.head_failures)
        if not trouble.given_up:
            return 1
        count = 1
        waiting = self._state.push.queue(fact.subscription_id, head.device_id)
        for event in waiting[:others_max]:
            if not fact.rule.is_over_age(failing_since=since, told_at=event.told_at, now=now):
                break
            self._move(fact, trouble, event, failures=0)
            count += 1
        return count

    def _move(self, fact: RecordPushFailure, trouble: QueueTrouble, event: OutboxEvent, *, failures: int) -> None:
        push = self._state.push
        push.last_failure_id += 1
        failure = PushFailure(
            id=push.last_failure_id,
            subscription_id=event.subscription_id,
            device_id=event.device_id,
            kind=event.kind,
            at=event.at,
            command_id=event.command_id,
            is_online=event.is_online,
            stream_id=event.stream_id,
            failures=failures,
            failing_since=trouble.failing_since,
            given_up_at=fact.at,
            reason=fact.reason,
        )
        push.failures[failure.id] = failure, event
        del push.events[event.seq]

    def _replay(self, fact: ReplayFailures) -> int:
        push = self._state.push
        subscription = push.subscriptions.get(fact.subscription_id)
        if subscription is None or subscription.product_id != fact.product_id:
            return 0
        ids = [
            number
            for number, (failure, _) in push.failures.items()
            if failure.subscription_id == fact.subscription_id
            and number <= fact.last_id
            and fact.only_id in (None, number)
        ][: min(fact.limit, SLICE_ROWS_MAX)]
        for number in ids:
            _, event = push.failures.pop(number)
            push.insert_event(replace(event, told_at=fact.at))
        return len(ids)

    def _prune(self, fact: PrunePushes) -> Swept:
        limit = min(fact.limit, SLICE_ROWS_MAX)
        failures = self._state.push.failures
        old = sorted(
            (failure.given_up_at, number)
            for number, (failure, _) in failures.items()
            if failure.given_up_at < fact.given_up_before
        )[:limit]
        for _, number in old:
            del failures[number]
        return Swept(count=len(old), has_more=len(old) >= limit)

    def _find(self, subscription_id: int, seq: int) -> OutboxEvent | None:
        event = self._state.push.events.get(seq)
        return event if event is not None and event.subscription_id == subscription_id else None

    def _note(self, command_id: CommandId | None, at: Instant, *, is_accepted: bool) -> None:
        if command_id is not None:
            before = self._state.push.feedback.get(command_id, ())
            noted = (*before, Feedback(at=at, is_accepted=is_accepted))
            self._state.push.feedback[command_id] = noted[-FEEDBACKS_MAX:]


class MemoryPushReader(Questions):
    """The questions about subscriptions and deliveries."""

    async def find_subscription(self, subscription_id: int) -> Subscription | None:
        """Give a subscription of any product and role."""
        return self._state.push.subscriptions.get(subscription_id)

    async def list_subscriptions(self, product_id: ProductId | None) -> tuple[Subscription, ...]:
        """Those of a product that somebody added; with None, all there are, those of triggers too. By id."""
        every = self._state.push.subscriptions.values()
        if product_id is None:
            return tuple(every)
        return tuple(each for each in every if each.product_id == product_id and each.kinds)

    async def last_told(self) -> int:
        """The seq of the newest event there is or was; 0 before the first."""
        return self._state.push.last_seq

    async def told_after(self, seq: int, limit: int) -> tuple[ToldEvent, ...]:
        """What was told after an event, in order."""
        newer = [event for number, event in self._state.push.events.items() if number > seq]
        return tuple(self._told(event) for event in newer[:limit])

    def _told(self, event: OutboxEvent) -> ToldEvent:
        queue = self._queue(event.subscription_id, event.device_id)
        return ToldEvent(
            seq=event.seq,
            subscription_id=event.subscription_id,
            device_id=event.device_id,
            failures=queue.failures,
            due_at=queue.due_at,
        )

    async def waiting_queues(self, subscription_id: int, after: DeviceId, limit: int) -> tuple[WaitingQueue, ...]:
        """Queues of a subscription that have events, with a device id above `after`, by device id."""
        events = self._state.push.events.values()
        devices = sorted({event.device_id for event in events if event.subscription_id == subscription_id})
        return tuple(
            self._queue(subscription_id, device_id) for device_id in [each for each in devices if each > after][:limit]
        )

    def _queue(self, subscription_id: int, device_id: DeviceId) -> WaitingQueue:
        trouble = self._state.push.queues.get((subscription_id, device_id))
        if trouble is None:
            return WaitingQueue(device_id=device_id, failures=0, due_at=Instant(0))
        return WaitingQueue(device_id=device_id, failures=trouble.failures, due_at=trouble.due_at)

    async def waiting_events(
        self, subscription_id: int, device_id: DeviceId, *, limit: int, bytes_max: int
    ) -> WaitingPage:
        """The first events of a queue, in order: at most so many, and of so many bytes of values; but one at least."""
        found: list[WaitingEvent] = []
        size = 0
        device = self._state.devices.get(device_id)
        if device is None:
            return WaitingPage(events=(), left_since=None)
        for event in self._state.push.queue(subscription_id, device_id):
            size += len(event.value or "")
            if len(found) == limit or (found and size > bytes_max):
                return WaitingPage(events=tuple(found), left_since=event.told_at)
            found.append(WaitingEvent(event=event, imei=device.imei, protocol=device.protocol))
        return WaitingPage(events=tuple(found), left_since=None)

    async def list_failures(
        self, subscription_id: int, *, before_id: int | None, limit: int
    ) -> tuple[PushFailure, ...]:
        """The list of failures, newest first, with an id below `before_id` (keyset)."""
        found = [
            failure
            for number, (failure, _) in self._state.push.failures.items()
            if failure.subscription_id == subscription_id and (before_id is None or number < before_id)
        ]
        return tuple(sorted(found, key=lambda failure: -failure.id)[:limit])

    async def list_feedback(self, command_ids: Sequence[CommandId]) -> Mapping[CommandId, tuple[Feedback, ...]]:
        """The newest push attempts of these commands, oldest first; commands without any are left out."""
        known = self._state.push.feedback
        return {command_id: known[command_id] for command_id in command_ids if command_id in known}
