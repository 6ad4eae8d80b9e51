"""Points that are told and looked at in the transaction that stores them, and facts about triggers, on SQLite."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from commandpost.domain.datapoint import Datapoint
from commandpost.domain.fact import Swept
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.ports import Page
from commandpost.domain.push_facts import AddTrigger, NotTriggered, RemoveTrigger, TellSilences, UpdateTrigger
from commandpost.domain.trigger import Condition, Trigger, TriggerMemory, after_silence, format_alarm, judge
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
from commandpost.stores.trigger_rules import change_trigger, receiver_of

WATCHED_MAX: Final = 100_000
"""Names of streams that are known with their triggers, mostly without any, and whatever these name: 20 MB at most."""

_OF_SUBSCRIPTION = 10  # the columns behind those of a trigger
_OF_MEMORY = 11
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


@dataclass(frozen=True, slots=True)
class _Watch:
    """A trigger, ready to look at points."""

    trigger: Trigger
    subscription_id: int
    memory_id: int


class PointTeller:
    """Tells of points that have just been stored, and lets the triggers of their streams look at them.

    Triggers are read once and kept: whoever writes triggers, or undoes what was written, calls `forget`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self._push = load_queries("push.sql")
        self._sql = load_queries("triggers.sql")
        self._watches: dict[tuple[ProductId, str], tuple[_Watch, ...]] = {}
        self._room = WATCHED_MAX

    def tell(
        self, product_id: ProductId, device_id: DeviceId, points: Sequence[Datapoint], *, received_at: Instant
    ) -> None:
        """Put the points into the outbox for everybody who wants them, and the alarms they give.

        Where nobody subscribed and nothing triggers, that is one look into an index, whatever the number of points.
        """
        wanted = self._execute(self._push["wants_data"], (product_id,)).fetchall()
        for point in points if wanted else ():
            for (subscription_id,) in wanted:
                self._execute(
                    self._push["tell_point"],
                    (subscription_id, product_id, device_id, point.at, point.stream_id, point.value, received_at),
                )
        uuids: dict[str, str] = {}
        for point in points:
            for watch in self._watches_of(product_id, point.stream_id):
                self._look_at(watch, device_id, point, uuids, received_at)

    def forget(self) -> None:
        """Triggers may have changed: they are read anew."""
        self._watches.clear()
        self._room = WATCHED_MAX

    def _watches_of(self, product_id: ProductId, stream_id: str) -> tuple[_Watch, ...]:
        place = product_id, stream_id
        watches = self._watches.get(place)
        if watches is None:
            rows = self._execute(self._sql["triggers_of_stream"], place).fetchall()
            watches = tuple(_Watch(trigger_from_row(row), row[_OF_SUBSCRIPTION], row[_OF_MEMORY]) for row in rows)
            triggers = [watch.trigger for watch in watches]
            size = 1 + sum(len(each.device_ids or ()) + len(each.stream_uuids or ()) for each in triggers)
            if size > self._room:
                self.forget()
            self._room -= size
            self._watches[place] = watches
        return watches

    def _look_at(
        self, watch: _Watch, device_id: DeviceId, point: Datapoint, uuids: dict[str, str], now: Instant
    ) -> None:
        """Let one trigger look at a point; `uuids` are those that were asked for, for most triggers name no streams."""
        trigger = watch.trigger
        stream_uuid = "" if trigger.stream_uuids is None else self._uuid(uuids, device_id, point.stream_id)
        if not trigger.concerns(device_id, stream_uuid):
            return
        before = self._memory(watch, device_id) if trigger.condition.has_memory else None
        verdict = judge(trigger.condition, before, value=point.value, at=point.at, now=now)
        if verdict.memory is not None and verdict.memory != before:
            self._execute(self._sql["put_memory"], (watch.memory_id, device_id, *memory_to_row(verdict.memory)))
        if verdict.is_alarm:
            place = watch.subscription_id, trigger.product_id, device_id
            stream_uuid = self._uuid(uuids, device_id, point.stream_id)
            self.tell_alarm(place, point, trigger.condition, stream_uuid, now=now)

    def _uuid(self, uuids: dict[str, str], device_id: DeviceId, stream_id: str) -> str:
        if stream_id not in uuids:
            uuids[stream_id] = self.stream_uuid(device_id, stream_id)
        return uuids[stream_id]

    def _memory(self, watch: _Watch, device_id: DeviceId) -> TriggerMemory | None:
        row = self._execute(self._sql["find_memory"], (watch.memory_id, device_id)).fetchone()
        return None if row is None else memory_from_row(row)

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

    def __init__(self, connection: sqlite3.Connection, *, teller: PointTeller) -> None:
        self._execute = connection.execute
        self._push = load_queries("push.sql")
        self._sql = load_queries("triggers.sql")
        self._teller = teller

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
        subscribed = self._execute(self._push["insert_subscription"], subscription_to_row(receiver_of(trigger)))
        row = trigger_to_row(trigger)
        columns = (*(row[name] for name in _INSERTED), subscribed.lastrowid, self._ask("next_memory"))
        inserted = self._execute(self._sql["insert_trigger"], columns)
        self._teller.forget()
        return replace(trigger, id=inserted.lastrowid or 0)

    def _update(self, fact: UpdateTrigger) -> Trigger | NotTriggered | None:
        found = self._execute(self._sql["find_trigger"], (fact.trigger_id, fact.product_id)).fetchone()
        if found is None:
            return None
        before = trigger_from_row(found)
        trigger = change_trigger(before, fact.change)
        others = self._ask("count_triggers_of_stream", trigger.product_id, trigger.stream_id, trigger.id)
        if others >= fact.of_stream_max:
            return NotTriggered.TOO_MANY_OF_STREAM
        row = trigger_to_row(trigger)
        changed = {"id": trigger.id, **{name: row[name] for name in _UPDATED}}
        ((subscription_id,),) = self._execute(self._sql["update_trigger"], changed).fetchall()
        self._execute(self._push["set_alarm_url"], (trigger.url, subscription_id))
        self._teller.forget()
        if (before.condition, before.stream_id) != (trigger.condition, trigger.stream_id):
            memory_id = self._ask("next_memory")
            self._execute(self._sql["orphan_memory_of"], (trigger.id,))
            self._execute(self._sql["set_memory"], (memory_id, trigger.id))
        return trigger

    def _remove(self, fact: RemoveTrigger) -> bool:
        deleted = self._execute(self._sql["delete_trigger"], (fact.trigger_id, fact.product_id)).fetchall()
        for subscription_id, memory_id in deleted:
            self._execute(self._sql["orphan_memory"], (memory_id,))
            self._execute(self._push["delete_alarm_subscription"], (subscription_id,))
            self._execute(self._push["insert_orphan"], (subscription_id,))
            self._teller.forget()
        return bool(deleted)

    def _tell_silences(self, fact: TellSilences) -> Swept:
        limit = min(fact.limit, SLICE_ROWS_MAX)
        silent = self._execute(self._sql["silent"], {"now": fact.now, "limit": limit}).fetchall()
        told = sum(self._tell_silence(row, fact.now) for row in silent)
        return Swept(count=told, has_more=len(silent) >= limit)

    def _tell_silence(self, row: Row, now: Instant) -> bool:
        """Give an alarm; False when there is no trigger any more to give it for."""
        memory_id, device_id = row[0], DeviceId(row[1])
        memory = memory_from_row(row[2:7])
        subscription_id, product_id, stream_id, kind, threshold = row[7:]
        if subscription_id is None:
            self._execute(self._sql["delete_memory"], (memory_id, device_id))
            return False
        self._execute(self._sql["put_memory"], (memory_id, device_id, *memory_to_row(after_silence(memory))))
        # A schema of another day might have let a memory be without its point; it has none to tell of.
        if memory.value is not None and memory.at is not None:
            self._teller.tell_alarm(
                (subscription_id, product_id, device_id),
                Datapoint(stream_id=stream_id, at=memory.at, value=memory.value),
                condition_from_row(kind, threshold),
                self._teller.stream_uuid(device_id, stream_id),
                now=now,
            )
        return True

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
