"""Points that are told and looked at in the transaction that stores them, and facts about triggers, on SQLite."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from commandpost.domain.datapoint import Datapoint
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.ports import Page
from commandpost.domain.push import Subscription, SubscriptionRole
from commandpost.domain.push_facts import AddTrigger, NotTriggered, RemoveTrigger, TellSilences, UpdateTrigger
from commandpost.domain.trigger import Condition, Trigger, after_silence, format_alarm, judge
from commandpost.stores.batch_store import SLICE_ROWS_MAX, FactHandlers
from commandpost.stores.push_rows import (
    condition_from_row,
    memory_from_row,
    memory_to_row,
    subscription_to_row,
    trigger_from_row,
    trigger_to_row,
)
from commandpost.stores.rows import Row
from commandpost.stores.sqlite.queries import load_queries
from commandpost.stores.sqlite.questions import Questions, cut

_OF_SUBSCRIPTION = 10  # the column behind those of a trigger
_UPDATED = ("product_id", "title", "stream_id", "device_ids", "stream_uuids", "url", "kind", "threshold")
_INSERTED = (
    "product_id",
    "title",
    "stream_id",
    "device_ids",
    "stream_uuids",
    "url",
    "kind",
    "threshold",
    "created_at",
)


class PointTeller:
    """Tells of points that have just been stored, and lets the triggers of their streams look at them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self._push = load_queries("push.sql")
        self._sql = load_queries("triggers.sql")

    def tell(
        self, product_id: ProductId, device_id: DeviceId, points: Sequence[Datapoint], *, received_at: Instant
    ) -> None:
        """Put the points into the outbox for everybody who wants them, and the alarms they give.

        Where nobody subscribed and nothing triggers, that is two looks into two indexes, whatever the number of points.
        """
        wanted = self._execute(self._push["wants_data"], (product_id,)).fetchall()
        for point in points if wanted else ():
            for (subscription_id,) in wanted:
                self._execute(
                    self._push["tell_point"],
                    (subscription_id, product_id, device_id, point.at, point.stream_id, point.value, received_at),
                )
        (has_triggers,) = self._execute(self._sql["has_triggers"], (product_id,)).fetchone()
        for point in points if has_triggers else ():
            for row in self._execute(self._sql["triggers_of_stream"], (product_id, point.stream_id)).fetchall():
                self._look_at(row, device_id, point, received_at)

    def _look_at(self, row: Row, device_id: DeviceId, point: Datapoint, now: Instant) -> None:
        trigger = trigger_from_row(row)
        stream_uuid = self.stream_uuid(device_id, point.stream_id)
        if not trigger.concerns(device_id, stream_uuid):
            return
        known = self._execute(self._sql["find_memory"], (trigger.id, device_id)).fetchone()
        before = None if known is None else memory_from_row(known)
        verdict = judge(trigger.condition, before, value=point.value, at=point.at, now=now)
        if verdict.memory is not None and verdict.memory != before:
            self._execute(self._sql["put_memory"], (trigger.id, device_id, *memory_to_row(verdict.memory)))
        if verdict.is_alarm:
            place = row[_OF_SUBSCRIPTION], trigger.product_id, device_id
            self.tell_alarm(place, point, trigger.condition, stream_uuid, now=now)

    def stream_uuid(self, device_id: DeviceId, stream_id: str) -> str:
        """Give the uuid of a stream; empty when there is none."""
        row = self._execute(self._sql["stream_uuid"], (device_id, stream_id)).fetchone()
        return "" if row is None else str(row[0])

    def tell_alarm(
        self,
        place: tuple[int, ProductId, DeviceId],
        point: Datapoint,
        condition: Condition,
        stream_uuid: str,
        *,
        now: Instant,
    ) -> None:
        """Put an alarm into the outbox.

        Args:
            place: subscription, product and device.
        """
        alarm = format_alarm(condition, stream_uuid)
        self._execute(self._push["tell_alarm"], (*place, point.at, point.stream_id, point.value, alarm, now))


class TriggerFacts:
    """Applies the facts about triggers, inside the transaction the store has begun."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self._push = load_queries("push.sql")
        self._sql = load_queries("triggers.sql")
        self._teller = PointTeller(connection)

    def handlers(self) -> FactHandlers:
        """Which method applies which fact."""
        return {
            AddTrigger: self._add,
            UpdateTrigger: self._update,
            RemoveTrigger: self._remove,
            TellSilences: self._tell_silences,
        }

    def _add(self, fact: AddTrigger) -> Trigger | NotTriggered:
        trigger = fact.trigger
        if not self._ask("is_product", trigger.product_id):
            return NotTriggered.PRODUCT_GONE
        if self._ask("count_triggers", trigger.product_id) >= fact.triggers_max:
            return NotTriggered.TOO_MANY
        if self._ask("count_triggers_of_stream", trigger.product_id, trigger.stream_id, 0) >= fact.of_stream_max:
            return NotTriggered.TOO_MANY_OF_STREAM
        receiver = Subscription(
            product_id=trigger.product_id,
            role=SubscriptionRole.ALARM,
            url=trigger.url,
            kinds=(),
            created_at=trigger.created_at,
        )
        subscribed = self._execute(self._push["insert_subscription"], subscription_to_row(receiver))
        row = trigger_to_row(trigger)
        columns = (*(row[name] for name in _INSERTED), subscribed.lastrowid)
        inserted = self._execute(self._sql["insert_trigger"], columns)
        return replace(trigger, id=inserted.lastrowid or 0)

    def _update(self, fact: UpdateTrigger) -> Trigger | NotTriggered | None:
        trigger = fact.trigger
        found = self._execute(self._sql["find_trigger"], (trigger.id, trigger.product_id)).fetchone()
        if found is None:
            return None
        others = self._ask("count_triggers_of_stream", trigger.product_id, trigger.stream_id, trigger.id)
        if others >= fact.of_stream_max:
            return NotTriggered.TOO_MANY_OF_STREAM
        before = trigger_from_row(found)
        row = trigger_to_row(trigger)
        changed = {"id": trigger.id, **{name: row[name] for name in _UPDATED}}
        ((subscription_id,),) = self._execute(self._sql["update_trigger"], changed).fetchall()
        self._execute(self._push["set_alarm_url"], (trigger.url, subscription_id))
        if (before.condition, before.stream_id) != (trigger.condition, trigger.stream_id):
            self._execute(self._sql["delete_memory"], (trigger.id,))
        return replace(trigger, created_at=before.created_at)

    def _remove(self, fact: RemoveTrigger) -> bool:
        deleted = self._execute(self._sql["delete_trigger"], (fact.trigger_id, fact.product_id)).fetchall()
        for (subscription_id,) in deleted:
            self._execute(self._sql["delete_memory"], (fact.trigger_id,))
            self._execute(self._push["delete_alarm_subscription"], (subscription_id,))
            self._execute(self._push["insert_orphan"], (subscription_id,))
        return bool(deleted)

    def _tell_silences(self, fact: TellSilences) -> int:
        limit = min(fact.limit, SLICE_ROWS_MAX)
        silent = self._execute(self._sql["silent"], {"now": fact.now, "limit": limit}).fetchall()
        for row in silent:
            trigger_id, device_id = row[0], DeviceId(row[1])
            memory = memory_from_row(row[2:7])
            subscription_id, product_id, stream_id, kind, threshold = row[7:]
            self._execute(self._sql["put_memory"], (trigger_id, device_id, *memory_to_row(after_silence(memory))))
            # A schema of another day might have let a memory be without its point; it has none to tell of.
            if memory.value is None or memory.at is None:
                continue
            point = Datapoint(stream_id=stream_id, at=memory.at, value=memory.value)
            self._teller.tell_alarm(
                (subscription_id, product_id, device_id),
                point,
                condition_from_row(kind, threshold),
                self._teller.stream_uuid(device_id, stream_id),
                now=fact.now,
            )
        return len(silent)

    def _ask(self, name: str, *arguments: object) -> int:
        (value,) = self._execute(self._sql[name], arguments).fetchone()
        return int(value)


class SqliteTriggerReader(Questions):
    """The questions about triggers."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._triggers = load_queries("triggers.sql")

    async def find_trigger(self, product_id: ProductId, trigger_id: int) -> Trigger | None:
        """Give a trigger of a product."""
        row = self._row(self._triggers["find_trigger"], (trigger_id, product_id))
        return None if row is None else trigger_from_row(row)

    async def find_trigger_of(self, subscription_id: int) -> Trigger | None:
        """Give the trigger that a subscription belongs to."""
        row = self._row(self._triggers["find_trigger_of"], (subscription_id,))
        return None if row is None else trigger_from_row(row)

    async def list_triggers(self, product_id: ProductId, title: str, page: Page) -> tuple[int, tuple[Trigger, ...]]:
        """How many triggers of a product have `title` in their title, and one page of them by id."""
        which: dict[str, object] = {"product_id": product_id, "title": title}
        with self._snapshot():
            total = self._count(self._triggers["count_titled"], which)
            rows = self._rows(self._triggers["list_titled"], {**which, **cut(page)})
        return total, tuple(trigger_from_row(row) for row in rows)
