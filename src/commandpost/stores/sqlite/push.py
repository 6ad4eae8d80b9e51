"""Facts about subscriptions and deliveries, on SQLite, and the questions about them.

Events come into the outbox by the statements `tell_*` of the facts that make them true; here is how they leave it.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from commandpost.domain.ids import ID_MAX, CommandId, DeviceId, ProductId
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
    RecordPushFailure,
    RemoveSubscription,
    ReplayFailures,
    SettleEvents,
)
from commandpost.domain.push_ports import ToldEvent, WaitingEvent, WaitingPage, WaitingQueue
from commandpost.stores.batch_store import SLICE_ROWS_MAX, FactHandlers
from commandpost.stores.push_rows import (
    failure_from_row,
    subscription_from_row,
    subscription_to_row,
    trouble_from_row,
    trouble_to_row,
    waiting_event_from_row,
)
from commandpost.stores.sqlite.queries import load_queries
from commandpost.stores.sqlite.questions import Questions

_ACCEPTED: Final = 0  # northbound reference 5.6 [choice]
_FAILED: Final = 1


class PushFacts:
    """Applies the facts about subscriptions and deliveries, inside the transaction the store has begun."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self._execute_each = connection.executemany
        self._sql = load_queries("push.sql")

    def handlers(self) -> FactHandlers:
        """Which method applies which fact."""
        return {
            AddSubscription: self._add,
            RemoveSubscription: self._remove,
            SettleEvents: self._settle,
            RecordPushFailure: self._record_failure,
            DropEvents: self._drop,
            ReplayFailures: self._replay,
        }

    def _add(self, fact: AddSubscription) -> Subscription | NotSubscribed:
        subscription = fact.subscription
        if not self._is_true("is_product", subscription.product_id):
            return NotSubscribed.PRODUCT_GONE
        (count,) = self._execute(self._sql["count_subscriptions"], (subscription.product_id,)).fetchone()
        if count >= fact.subscriptions_max:
            return NotSubscribed.TOO_MANY
        inserted = self._execute(self._sql["insert_subscription"], subscription_to_row(subscription))
        return replace(subscription, id=inserted.lastrowid or 0)

    def _remove(self, fact: RemoveSubscription) -> bool:
        deleted = self._execute(self._sql["delete_subscription"], (fact.subscription_id, fact.product_id))
        if deleted.rowcount:
            self._execute(self._sql["insert_orphan"], (fact.subscription_id,))
        return deleted.rowcount > 0

    def _settle(self, fact: SettleEvents) -> None:
        self._take_out(fact.subscription_id, fact.seqs)
        for seq in fact.command_seqs:
            # Asked for, not taken from the fact: a command that went with its device gets no feedback any more.
            row = self._execute(self._sql["find_event"], (seq, fact.subscription_id)).fetchone()
            if row is not None:
                self._note(row[1], fact.at, _ACCEPTED)
        self._take_out(fact.subscription_id, fact.command_seqs)
        self._execute_each(
            self._sql["delete_queue"], [(fact.subscription_id, device_id) for device_id in fact.device_ids]
        )

    def _drop(self, fact: DropEvents) -> None:
        self._take_out(fact.subscription_id, fact.seqs)

    def _take_out(self, subscription_id: int, seqs: Sequence[int]) -> None:
        self._execute_each(self._sql["settle_event"], [(seq, subscription_id) for seq in seqs])

    def _record_failure(self, fact: RecordPushFailure) -> tuple[FailedQueue, ...]:
        heads: dict[DeviceId, tuple[int, Instant]] = {}
        for seq in fact.seqs:
            row = self._execute(self._sql["find_event"], (seq, fact.subscription_id)).fetchone()
            if row is None:
                continue
            device_id, command_id, told_at = row
            self._note(command_id, fact.at, _FAILED)
            heads.setdefault(DeviceId(device_id), (seq, told_at))
        # The heads are counted beforehand: each of them may have to go.
        others_max = max(0, min(fact.give_up_max, SLICE_ROWS_MAX) - len(heads))
        failed: list[FailedQueue] = []
        for place, (device_id, head) in enumerate(heads.items()):
            unit = (fact.unit + place / len(heads)) % 1.0
            queue = self._count_failure(fact, device_id, *head, unit=unit, others_max=others_max)
            others_max -= max(0, queue.given_up - 1)
            failed.append(queue)
        return tuple(failed)

    def _count_failure(
        self,
        fact: RecordPushFailure,
        device_id: DeviceId,
        head_seq: int,
        told_at: Instant,
        *,
        unit: float,
        others_max: int,
    ) -> FailedQueue:
        row = self._execute(self._sql["find_queue"], (fact.subscription_id, device_id)).fetchone()
        before = None if row is None else trouble_from_row(row)
        trouble = after_failure(before, device_id=device_id, head_seq=head_seq, now=fact.at, unit=unit)
        count = self._give_up(fact, trouble, told_at, others_max)
        if count:
            trouble = after_giving_up(trouble, count, now=fact.at)
        self._execute(self._sql["put_queue"], {"subscription_id": fact.subscription_id, **trouble_to_row(trouble)})
        return FailedQueue(trouble=trouble, given_up=count)

    def _give_up(self, fact: RecordPushFailure, trouble: QueueTrouble, told_at: Instant, others_max: int) -> int:
        """Move the head to the list of failures if it has had its chances, and what the fact says goes with it."""
        since, now = trouble.failing_since, fact.at
        if not fact.rule.is_given_up(
            head_failures=trouble.head_failures, failing_since=since, told_at=told_at, now=now
        ):
            return 0
        self._move(fact, trouble, trouble.head_seq, failures=trouble.head_failures)
        if not trouble.given_up:
            return 1
        others = self._execute(self._sql["first_of_queue"], (fact.subscription_id, trouble.device_id, others_max))
        count = 1
        for seq, told in others.fetchall():
            if not fact.rule.is_over_age(failing_since=since, told_at=told, now=now):
                break
            self._move(fact, trouble, seq, failures=0)
            count += 1
        return count

    def _move(self, fact: RecordPushFailure, trouble: QueueTrouble, seq: int, *, failures: int) -> None:
        self._execute(
            self._sql["give_up_event"],
            {
                "seq": seq,
                "failures": failures,
                "failing_since": trouble.failing_since,
                "given_up_at": fact.at,
                "reason": fact.reason,
            },
        )
        self._execute(self._sql["delete_event"], (seq,))

    def _replay(self, fact: ReplayFailures) -> int:
        if not self._is_true("is_subscription_of", fact.subscription_id, fact.product_id):
            return 0
        found = self._execute(
            self._sql["replayable"],
            {
                "subscription_id": fact.subscription_id,
                "last_id": fact.last_id,
                "only_id": fact.only_id,
                "limit": min(fact.limit, SLICE_ROWS_MAX),
            },
        ).fetchall()
        for (failure_id,) in found:
            self._execute(self._sql["replay_failure"], {"id": failure_id, "told_at": fact.at})
            self._execute(self._sql["delete_failure"], (failure_id,))
        return len(found)

    def _note(self, command_id: bytes | None, at: int, status: int) -> None:
        if command_id is None:
            return
        self._execute(self._sql["insert_feedback"], (command_id, at, status))
        self._execute(self._sql["trim_feedback"], {"command_id": command_id, "kept": FEEDBACKS_MAX})

    def _is_true(self, name: str, *arguments: object) -> bool:
        (value,) = self._execute(self._sql[name], arguments).fetchone()
        return bool(value)


class SqlitePushReader(Questions):
    """The questions about subscriptions and deliveries."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._push = load_queries("push.sql")

    async def find_subscription(self, subscription_id: int) -> Subscription | None:
        """Give a subscription of any product and role."""
        row = self._row(self._push["find_subscription"], (subscription_id,))
        return None if row is None else subscription_from_row(row)

    async def list_subscriptions(self, product_id: ProductId | None) -> tuple[Subscription, ...]:
        """Those of a product that somebody added; with None, all there are, those of triggers too. By id."""
        if product_id is None:
            rows = self._rows(self._push["list_all_subscriptions"])
        else:
            rows = self._rows(self._push["list_subscriptions"], (product_id,))
        return tuple(subscription_from_row(row) for row in rows)

    async def last_told(self) -> int:
        """The seq of the newest event there is or was; 0 before the first."""
        return self._count(self._push["last_told"], ())

    async def told_after(self, seq: int, limit: int) -> tuple[ToldEvent, ...]:
        """What was told after an event, in order."""
        rows = self._rows(self._push["told_after"], (seq, limit))
        return tuple(
            ToldEvent(seq=row[0], subscription_id=row[1], device_id=row[2], failures=row[3], due_at=row[4])
            for row in rows
        )

    async def waiting_queues(self, subscription_id: int, after: DeviceId, limit: int) -> tuple[WaitingQueue, ...]:
        """Queues of a subscription that have events, with a device id above `after`, by device id."""
        rows = self._rows(
            self._push["waiting_queues"], {"subscription_id": subscription_id, "after": after, "limit": limit}
        )
        return tuple(WaitingQueue(device_id=row[0], failures=row[1], due_at=row[2]) for row in rows)

    async def waiting_events(
        self, subscription_id: int, device_id: DeviceId, *, limit: int, bytes_max: int
    ) -> WaitingPage:
        """The first events of a queue, in order: at most so many, and of so many bytes of values; but one at least."""
        found: list[WaitingEvent] = []
        size = 0
        # Row by row: the values of a whole page may be more than may be held. The one too many says what is left.
        for row in self._each(self._push["waiting_events"], (subscription_id, device_id, limit + 1)):
            waiting = waiting_event_from_row(row)
            size += len(waiting.event.value or "")
            if len(found) == limit or (found and size > bytes_max):
                return WaitingPage(events=tuple(found), left_since=waiting.event.told_at)
            found.append(waiting)
        return WaitingPage(events=tuple(found), left_since=None)

    async def list_failures(
        self, subscription_id: int, *, before_id: int | None, limit: int
    ) -> tuple[PushFailure, ...]:
        """The list of failures, newest first, with an id below `before_id` (keyset)."""
        below = ID_MAX if before_id is None else before_id
        rows = self._rows(self._push["list_failures"], (subscription_id, below, limit))
        return tuple(failure_from_row(row) for row in rows)

    async def list_feedback(self, command_ids: Sequence[CommandId]) -> Mapping[CommandId, tuple[Feedback, ...]]:
        """The newest push attempts of these commands, oldest first; commands without any are left out."""
        found: dict[CommandId, tuple[Feedback, ...]] = {}
        for command_id in command_ids:
            rows = self._rows(self._push["list_feedback"], (command_id,))
            if rows:
                found[command_id] = tuple(Feedback(at=row[0], is_accepted=row[1] == _ACCEPTED) for row in rows)
        return found
