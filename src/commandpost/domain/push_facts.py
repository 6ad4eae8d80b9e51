"""What is written about subscriptions, deliveries and triggers: facts like those of `domain.facts`, same promises.

Events get into the outbox by the facts that make them true (a command that ends, a session that starts or ends, points
that are stored), in the same transaction; here is how they leave it. All deliveries are class BEHIND: nobody's push may
slow a command. Source: design 4 (outbox), 10.9; northbound reference 8.6, 9.2.
"""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from commandpost.domain.fact import Fact, Priority, Sweep, units_of_rows
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.push import GiveUpRule, QueueTrouble, Subscription
from commandpost.domain.trigger import Trigger, TriggerChange

# --- subscriptions ---------------------------------------------------------------------------------------------------


class NotSubscribed(Enum):
    """Why a subscription was not added."""

    PRODUCT_GONE = "product_gone"
    TOO_MANY = "too_many"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddSubscription(Fact[Subscription | NotSubscribed]):
    """Take a subscription in; it hears of what becomes true from now on. Those of triggers do not count."""

    subscription: Subscription
    subscriptions_max: int
    """Of the product."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveSubscription(Fact[bool]):
    """Forget a subscription and all that was to be told; from the disk in slices (PrunePushes).

    False when the product has no such subscription; that of a trigger goes with its trigger only.
    """

    product_id: ProductId
    subscription_id: int


# --- deliveries ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleEvents(Fact[None]):
    """The receiver has accepted these events: they leave the outbox, and their queues are well again."""

    priority: ClassVar[Priority] = Priority.BEHIND
    subscription_id: int
    seqs: tuple[int, ...]
    """Of those that tell of no command."""
    command_seqs: tuple[int, ...]
    """Of those that tell of a command's end: each of these commands gets a feedback `accepted`."""
    device_ids: tuple[DeviceId, ...]
    """Whose events they are."""
    at: Instant

    @property
    def units(self) -> int:
        """By its events."""
        return units_of_rows(len(self.seqs) + len(self.command_seqs))


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedQueue:
    """How a queue stands after a failure."""

    trouble: QueueTrouble
    given_up: int
    """Events that have just gone into the list of failures: its head at least, or none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPushFailure(Fact[tuple[FailedQueue, ...]]):
    """One request with these events failed; gives how their queues stand, in the order of the events.

    The first event of each device among them is that queue's head. When `rule` gives it up it goes into the list of
    failures. When the queue gave up another one since its last success, its receiver is taken for dead rather than the
    event for bad: all that has waited the full time goes with it, up to `give_up_max` events of all queues together.
    Each command among the events gets a feedback `failed`. Events that are gone meanwhile are passed over.
    """

    priority: ClassVar[Priority] = Priority.BEHIND
    subscription_id: int
    seqs: tuple[int, ...]
    at: Instant
    reason: str
    rule: GiveUpRule
    give_up_max: int
    unit: float = 0.0
    """Chance, from 0 up to 1, in how long the queues rest; it is spread over them, so that they part."""

    @property
    def units(self) -> int:
        """By its events and those that may be given up with them."""
        return units_of_rows(len(self.seqs) + self.give_up_max)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropEvents(Fact[None]):
    """Take events out that cannot be told any more, because what they told of is gone."""

    priority: ClassVar[Priority] = Priority.BEHIND
    subscription_id: int
    seqs: tuple[int, ...]

    @property
    def units(self) -> int:
        """By its events."""
        return units_of_rows(len(self.seqs))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayFailures(Fact[int]):
    """Move up to `limit` failures back into the outbox, oldest first, behind what waits there; gives how many."""

    priority: ClassVar[Priority] = Priority.BEHIND
    product_id: ProductId
    subscription_id: int
    last_id: int
    """Only those up to here, so that what fails again is not replayed again."""
    at: Instant
    limit: int
    only_id: int | None = None

    @property
    def units(self) -> int:
        """A full slice's."""
        return units_of_rows(self.limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunePushes(Sweep):
    """Remove up to `limit` failures older than an instant, or rows of what is gone: subscriptions, devices, triggers.

    Counts the rows.
    """

    given_up_before: Instant


# --- triggers --------------------------------------------------------------------------------------------------------


class NotTriggered(Enum):
    """Why a trigger was not added."""

    PRODUCT_GONE = "product_gone"
    TOO_MANY = "too_many"
    TOO_MANY_OF_STREAM = "too_many_of_stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddTrigger(Fact[Trigger | NotTriggered]):
    """Take a trigger in, with a subscription of its own for its url; it looks at points that come from now on."""

    trigger: Trigger
    triggers_max: int
    """Of the product."""
    of_stream_max: int
    """Of the product's streams of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateTrigger(Fact[Trigger | NotTriggered | None]):
    """Change a trigger of a product; gives it as it is then, or None when the product has none with this id.

    What it remembers is forgotten when its condition or its stream is another. Alarms that wait go to the new url.
    """

    product_id: ProductId
    trigger_id: int
    change: TriggerChange
    of_stream_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveTrigger(Fact[bool]):
    """Forget a trigger with its memory and its alarms that wait; False when the product has none such."""

    product_id: ProductId
    trigger_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TellSilences(Sweep):
    """Give the alarms of up to `limit` silences that are long enough by `now`; counts them."""

    now: Instant
