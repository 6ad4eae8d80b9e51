"""What the reference store remembers of subscriptions, the outbox and triggers, and how events come into it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from commandpost.domain.events import EventKind, OutboxEvent
from commandpost.domain.ids import CommandId, DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.push import Feedback, PushFailure, QueueTrouble, Subscription
from commandpost.domain.trigger import Trigger, TriggerMemory


@dataclass(slots=True)
class PushState:
    """Everything about pushing. Dictionaries keep the order in which things came."""

    subscriptions: dict[int, Subscription] = field(default_factory=dict)
    events: dict[int, OutboxEvent] = field(default_factory=dict)
    """By seq."""
    queues: dict[tuple[int, DeviceId], QueueTrouble] = field(default_factory=dict)
    failures: dict[int, tuple[PushFailure, OutboxEvent]] = field(default_factory=dict)
    feedback: dict[CommandId, tuple[Feedback, ...]] = field(default_factory=dict)
    triggers: dict[int, Trigger] = field(default_factory=dict)
    subscription_of: dict[int, int] = field(default_factory=dict)
    """By trigger."""
    memories: dict[tuple[int, DeviceId], TriggerMemory] = field(default_factory=dict)
    last_subscription_id: int = 0
    last_seq: int = 0
    last_failure_id: int = 0
    last_trigger_id: int = 0

    def wanting(self, product_id: ProductId, kind: EventKind) -> list[Subscription]:
        """The subscriptions of a product that want events of a kind, by id."""
        return [each for each in self.subscriptions.values() if each.product_id == product_id and kind in each.kinds]

    def tell_wanting(self, event: OutboxEvent) -> None:
        """Put an event into the outbox, once for each subscription that wants it."""
        for subscription in self.wanting(event.product_id, event.kind):
            self.insert_event(replace(event, subscription_id=subscription.id))

    def insert_event(self, event: OutboxEvent) -> None:
        """Give an event its place."""
        self.last_seq += 1
        self.events[self.last_seq] = replace(event, seq=self.last_seq)

    def insert_subscription(self, subscription: Subscription) -> Subscription:
        """Give a subscription its id and take it in."""
        self.last_subscription_id += 1
        placed = replace(subscription, id=self.last_subscription_id)
        self.subscriptions[placed.id] = placed
        return placed

    def drop_subscription(self, subscription_id: int) -> None:
        """Forget a subscription with all that hangs on it."""
        del self.subscriptions[subscription_id]
        self._drop_events(seq for seq, each in self.events.items() if each.subscription_id == subscription_id)
        self._drop_failures(
            number for number, (each, _) in self.failures.items() if each.subscription_id == subscription_id
        )
        for place in [place for place in self.queues if place[0] == subscription_id]:
            del self.queues[place]

    def forget_device(self, device_id: DeviceId) -> None:
        """Forget what was to be told of a device, and what triggers remember of it."""
        self._drop_events(seq for seq, each in self.events.items() if each.device_id == device_id)
        self._drop_failures(number for number, (each, _) in self.failures.items() if each.device_id == device_id)
        for place in [place for place in self.queues if place[1] == device_id]:
            del self.queues[place]
        for memory in [memory for memory in self.memories if memory[1] == device_id]:
            del self.memories[memory]

    def forget_memory(self, trigger_id: int) -> None:
        """Forget what a trigger remembers."""
        for memory in [memory for memory in self.memories if memory[0] == trigger_id]:
            del self.memories[memory]

    def queue(self, subscription_id: int, device_id: DeviceId) -> list[OutboxEvent]:
        """The events of a device for a subscription, in order."""
        return [
            event
            for event in self.events.values()
            if event.subscription_id == subscription_id and event.device_id == device_id
        ]

    def tell_point(
        self,
        product_id: ProductId,
        device_id: DeviceId,
        stream_id: str,
        at: Instant,
        value: str,
        *,
        told_at: Instant,
    ) -> None:
        """Put a datapoint into the outbox for everybody who wants it."""
        self.tell_wanting(
            OutboxEvent(
                product_id=product_id,
                device_id=device_id,
                kind=EventKind.DATA,
                at=at,
                stream_id=stream_id,
                value=value,
                told_at=told_at,
            )
        )

    def _drop_events(self, seqs: Iterable[int]) -> None:
        for seq in list(seqs):
            del self.events[seq]

    def _drop_failures(self, numbers: Iterable[int]) -> None:
        for number in list(numbers):
            del self.failures[number]
