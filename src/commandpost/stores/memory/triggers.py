"""Points that are told and looked at when they are stored, and facts about triggers, in memory."""

from collections.abc import Sequence
from dataclasses import replace

from commandpost.domain.datapoint import Datapoint
from commandpost.domain.events import EventKind, OutboxEvent
from commandpost.domain.fact import Swept
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.ports import Page
from commandpost.domain.push_facts import AddTrigger, NotTriggered, RemoveTrigger, TellSilences, UpdateTrigger
from commandpost.domain.trigger import Trigger, after_silence, format_alarm, judge
from commandpost.stores.batch_store import SLICE_ROWS_MAX, FactHandlers
from commandpost.stores.memory.questions import Questions, cut
from commandpost.stores.memory.state import MemoryState
from commandpost.stores.trigger_rules import change_trigger, receiver_of


class PointTeller:
    """Tells of points that have just been stored, and lets the triggers of their streams look at them."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def tell(
        self, product_id: ProductId, device_id: DeviceId, points: Sequence[Datapoint], *, received_at: Instant
    ) -> None:
        """Put the points into the outbox for everybody who wants them, and the alarms they give."""
        push = self._state.push
        for point in points:
            push.tell_point(product_id, device_id, point.stream_id, point.at, point.value, told_at=received_at)
        for point in points:
            for trigger in list(push.triggers.values()):
                if (trigger.product_id, trigger.stream_id) == (product_id, point.stream_id):
                    self._look_at(trigger, device_id, point, received_at)

    def _look_at(self, trigger: Trigger, device_id: DeviceId, point: Datapoint, now: Instant) -> None:
        stream_uuid = self.stream_uuid(device_id, point.stream_id)
        if not trigger.concerns(device_id, stream_uuid):
            return
        place = trigger.id, device_id
        verdict = judge(
            trigger.condition, self._state.push.memories.get(place), value=point.value, at=point.at, now=now
        )
        if verdict.memory is not None:
            self._state.push.memories[place] = verdict.memory
        if verdict.is_alarm:
            self.tell_alarm(trigger, device_id, point, now=now)

    def tell_alarm(self, trigger: Trigger, device_id: DeviceId, point: Datapoint, *, now: Instant) -> None:
        """Put an alarm into the outbox."""
        self._state.push.insert_event(
            OutboxEvent(
                subscription_id=self._state.push.subscription_of[trigger.id],
                product_id=trigger.product_id,
                device_id=device_id,
                kind=EventKind.ALARM,
                at=point.at,
                stream_id=point.stream_id,
                value=point.value,
                alarm=format_alarm(trigger.condition, self.stream_uuid(device_id, point.stream_id)),
                told_at=now,
            )
        )

    def stream_uuid(self, device_id: DeviceId, stream_id: str) -> str:
        """Give the uuid of a stream; empty when there is none."""
        kept = self._state.data.streams.get((device_id, stream_id))
        return "" if kept is None else kept.stream.uuid


class TriggerFacts:
    """Applies the facts about triggers to a state."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state
        self._teller = PointTeller(state)

    def handlers(self) -> FactHandlers:
        """Which method applies which fact."""
        return {
            AddTrigger: self._add,
            UpdateTrigger: self._update,
            RemoveTrigger: self._remove,
            TellSilences: self._tell_silences,
        }

    def _add(self, fact: AddTrigger) -> Trigger | NotTriggered:
        trigger, push = fact.trigger, self._state.push
        if trigger.product_id not in self._state.products:
            return NotTriggered.PRODUCT_GONE
        if sum(each.product_id == trigger.product_id for each in push.triggers.values()) >= fact.triggers_max:
            return NotTriggered.TOO_MANY
        if self._others_of_stream(trigger) >= fact.of_stream_max:
            return NotTriggered.TOO_MANY_OF_STREAM
        receiver = push.insert_subscription(receiver_of(trigger))
        push.last_trigger_id += 1
        placed = replace(trigger, id=push.last_trigger_id)
        push.triggers[placed.id] = placed
        push.subscription_of[placed.id] = receiver.id
        return placed

    def _update(self, fact: UpdateTrigger) -> Trigger | NotTriggered | None:
        push = self._state.push
        before = push.triggers.get(fact.trigger_id)
        if before is None or before.product_id != fact.product_id:
            return None
        trigger = change_trigger(before, fact.change)
        if self._others_of_stream(trigger) >= fact.of_stream_max:
            return NotTriggered.TOO_MANY_OF_STREAM
        push.triggers[trigger.id] = trigger
        receiver = push.subscriptions[push.subscription_of[trigger.id]]
        push.subscriptions[receiver.id] = replace(receiver, url=trigger.url)
        if (before.condition, before.stream_id) != (trigger.condition, trigger.stream_id):
            push.forget_memory(trigger.id)
        return trigger

    def _remove(self, fact: RemoveTrigger) -> bool:
        push = self._state.push
        found = push.triggers.get(fact.trigger_id)
        if found is None or found.product_id != fact.product_id:
            return False
        del push.triggers[found.id]
        push.forget_memory(found.id)
        push.drop_subscription(push.subscription_of.pop(found.id))
        return True

    def _tell_silences(self, fact: TellSilences) -> Swept:
        limit = min(fact.limit, SLICE_ROWS_MAX)
        push = self._state.push
        due = sorted(
            (memory.due_at, place)
            for place, memory in push.memories.items()
            if memory.due_at is not None and memory.due_at <= fact.now
        )[:limit]
        for _, (trigger_id, device_id) in due:
            memory = push.memories[trigger_id, device_id]
            push.memories[trigger_id, device_id] = after_silence(memory)
            trigger = push.triggers[trigger_id]
            if memory.value is not None and memory.at is not None:
                point = Datapoint(stream_id=trigger.stream_id, at=memory.at, value=memory.value)
                self._teller.tell_alarm(trigger, device_id, point, now=fact.now)
        return Swept(count=len(due), has_more=len(due) >= limit)

    def _others_of_stream(self, trigger: Trigger) -> int:
        return sum(
            (each.product_id, each.stream_id) == (trigger.product_id, trigger.stream_id) and each.id != trigger.id
            for each in self._state.push.triggers.values()
        )


class MemoryTriggerReader(Questions):
    """The questions about triggers."""

    async def find_trigger(self, product_id: ProductId, trigger_id: int) -> Trigger | None:
        """Give a trigger of a product."""
        trigger = self._state.push.triggers.get(trigger_id)
        return trigger if trigger is not None and trigger.product_id == product_id else None

    async def find_trigger_of(self, subscription_id: int) -> Trigger | None:
        """Give the trigger that a subscription belongs to."""
        push = self._state.push
        owners = (number for number, receiver in push.subscription_of.items() if receiver == subscription_id)
        return next((push.triggers[number] for number in owners), None)

    async def list_triggers(self, product_id: ProductId, title: str, page: Page) -> tuple[int, tuple[Trigger, ...]]:
        """How many triggers of a product have `title` in their title, and one page of them by id."""
        matches = [
            each for each in self._state.push.triggers.values() if each.product_id == product_id and title in each.title
        ]
        return len(matches), tuple(cut(matches, page))
